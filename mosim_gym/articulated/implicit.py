"""The matrix that a step is solved with: mass plus what is stepped implicitly.

MuJoCo's Euler steps joint damping implicitly, its implicitfast integrator the actuators'
dependence on speed as well; RK4 nothing (documentation: Computation, Numerical integration):
``(M - h dF/dv) a = F``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.smooth import Motion, Smooth
from mosim_gym.robots.spec import Integrator


class Implicit:
    """Knows what a body's integrator steps implicitly."""

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
        #: Whether the matrix is another than the mass.
        self.active = self._damping or self._actuators

    def matrix(
        self,
        physics: Physics,
        motion: Motion,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        ctrl: Tensor,
    ) -> Tensor:
        """The matrix ``(batch, nv, nv)`` for states of which `motion` tells."""
        matrix = motion.mass
        if self._damping:
            matrix = matrix + torch.diag_embed(self._step * physics.damping)
        if self._actuators:
            slope = self._smooth.actuation.damping(physics, qpos, qvel, act, ctrl)
            matrix = matrix if slope is None else matrix + self._step * slope
        return matrix
