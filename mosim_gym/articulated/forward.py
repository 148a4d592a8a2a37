"""The whole forward dynamics: from state and control to acceleration, as MuJoCo has it.

Smooth forces, then constraints (limits, dry friction, contacts), then what the integrator steps
implicitly (documentation: Computation, Simulation pipeline).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.contacts import Contacts
from mosim_gym.articulated.description import Description
from mosim_gym.articulated.factor import factorised
from mosim_gym.articulated.implicit import Implicit
from mosim_gym.articulated.limits import JointRows
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.rows import Block
from mosim_gym.articulated.smooth import Motion, Smooth
from mosim_gym.articulated.solver import Solution, solve
from mosim_gym.articulated.weights import InverseWeights, Weights


class Prepared(NamedTuple):
    """Physics, and what follows from it alone."""

    physics: Physics
    weights: Weights


class Forward:
    """Forward dynamics of a body, compiled once for batches of any dtype on any device.

    Attributes:
        smooth: its part without constraints.
        constrained: whether there are constraints at all.
    """

    def __init__(
        self,
        description: Description,
        step: float | None = None,
        slots: int | None = None,
        iterations: int = 8,
    ) -> None:
        """Compile the description.

        Args:
            description: of the body.
            step: of the integrator, in seconds, which implicit damping depends on; the
                description's own by default.
            slots: of contacts that are kept, see `Contacts`.
            iterations: of the solver, see `solve`.
        """
        self.smooth = Smooth(description)
        step = description.options.timestep if step is None else step
        self._implicit = Implicit(description, self.smooth, step)
        self._weights = InverseWeights(description, self.smooth)
        self._joints = JointRows(description)
        self._contacts = Contacts(description, slots) if len(description.pairs) else None
        self._iterations = iterations
        limited, rubbing = self._joints.limits, bool(description.rubbing.any())
        self.constrained = limited or rubbing or self._contacts is not None

    def prepare(self, physics: Physics) -> Prepared:
        """Work out what depends on the physics alone, once for many steps."""
        return Prepared(physics, self._weights(physics))

    def __call__(
        self, prepared: Prepared, qpos: Tensor, qvel: Tensor, act: Tensor | None, ctrl: Tensor
    ) -> Solution:
        """Accelerations ``(batch, nv)``, and which rows converged.

        By Euler and implicitfast a step adds ``step * acceleration`` to qvel: the acceleration is
        that of the step, not of the moment, where these solve for damping implicitly.

        Args:
            prepared: physics of the body.
            qpos: ``(batch, nq)``.
            qvel: ``(batch, nv)``.
            act: ``(batch, na)``; ``None`` for bodies without activations.
            ctrl: ``(batch, nu)``.
        """
        physics = prepared.physics
        motion = self.smooth(physics, qpos, qvel, act, ctrl)
        if not self.constrained:
            matrix = self._implicit.matrix(physics, motion, qpos, qvel, act, ctrl)
            acceleration = _solved(matrix, motion.force)
            return Solution(acceleration, acceleration.detach().isfinite().all(1))
        found = self.instantaneous(prepared, motion, qpos, qvel)
        if not self._implicit.active:
            return found
        matrix = self._implicit.matrix(physics, motion, qpos, qvel, act, ctrl)
        force = (motion.mass @ found.acceleration.unsqueeze(2)).squeeze(2)
        return Solution(_solved(matrix, force), found.converged)

    def instantaneous(
        self, prepared: Prepared, motion: Motion, qpos: Tensor, qvel: Tensor
    ) -> Solution:
        """Accelerations under constraints at the moment (qacc), for states of which `motion` is."""
        physics, weights = prepared
        blocks: list[Block] = self._joints(physics, weights, qpos, qvel)
        overflow = torch.zeros_like(qvel[:, 0], dtype=torch.bool)
        if self._contacts is not None:
            rows = self._contacts(physics, weights, motion.kinetics, qvel)
            blocks, overflow = blocks + rows.blocks, rows.overflow
        smooth = _solved(motion.mass, motion.force)
        found = solve(motion.mass, smooth, blocks, iterations=self._iterations)
        return Solution(found.acceleration, found.converged & ~overflow)


def _solved(matrix: Tensor, force: Tensor) -> Tensor:
    """Accelerations ``(batch, nv)`` that forces ``(batch, nv)`` give."""
    return factorised(matrix.permute(1, 2, 0))(force.t()).t()
