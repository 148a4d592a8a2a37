"""What a step is solved with: the mass, and what is stepped implicitly.

MuJoCo's Euler steps joint damping implicitly, its implicitfast integrator the actuators'
dependence on speed as well; RK4 nothing (documentation: Computation, Numerical integration):
``(M - h dF/dv) a = F``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.smooth import Smooth, State
from mosim_gym.robots.spec import Integrator


class Implicit:
    """Knows what a body's integrator steps implicitly.

    Attributes:
        active: whether it does at all.
    """

    def __init__(self, description: Description, smooth: Smooth, step: float) -> None:
        """Keep what is needed.

        Args:
            description: of the body.
            smooth: its dynamics.
            step: of the integrator, in seconds.
        """
        options = description.options
        self._smooth, self._step = smooth, step
        euler, fast = Integrator.EULER, Integrator.IMPLICITFAST
        self._damping = options.dampers and (
            options.integrator is fast or (options.integrator is euler and options.implicit_damping)
        )
        self._actuators = options.integrator is fast
        self.active = self._damping or self._actuators

    def matrix(self, physics: Physics, mass: Tensor, state: State) -> Tensor:
        """The matrix of the step, ``(batch, nv, nv)``, for mass matrices of that shape."""
        if self._damping:
            mass = mass + torch.diag_embed(self._step * physics.damping)
        slope = self._slope(physics, state)
        return mass if slope is None else mass + self._step * slope

    def force(self, physics: Physics, state: State, acceleration: Tensor) -> Tensor:
        """What the matrix adds to the mass, times accelerations ``(batch, nv)``."""
        force = torch.zeros_like(acceleration)
        if self._damping:
            force = force + self._step * physics.damping * acceleration
        slope = self._slope(physics, state)
        if slope is None:
            return force
        return force + self._step * (slope @ acceleration.unsqueeze(2)).squeeze(2)

    def _slope(self, physics: Physics, state: State) -> Tensor | None:
        return self._smooth.actuation.damping(physics, *state) if self._actuators else None
