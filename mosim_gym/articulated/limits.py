"""Rows of joint limits and of dry friction (documentation: Computation, Constraint model).

A hinge or slide has one row, of the limit that is nearer: a range narrower than twice its margin,
where both would act at once, is not covered.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.impedance import impedance, limit_rows, reference, regularizer
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.rows import Block, Dense, OnDofs
from mosim_gym.articulated.weights import Weights
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.spec import JointType

_TINY = 1e-15


class JointRows:
    """What the joints of a body ask for.

    Attributes:
        limits: whether any joint has a limit.
        friction: whether any has dry friction.
    """

    def __init__(self, description: Description) -> None:
        """Find the joints that have limits or dry friction."""
        options, joints, nv = description.options, description.tree.joints, description.tree.nv
        self._shortest = 2 * options.timestep if options.refsafe else 0.0
        self.friction = options.friction_loss and bool(description.rubbing.any())
        joint, place = np.zeros(nv, dtype=np.int64), np.zeros(nv, dtype=np.int64)
        bounds = np.array([[-np.inf], [np.inf]]).repeat(nv, axis=1)
        self._balls: list[_Ball] = []
        for j, kind in enumerate(joints.types):
            v, q = int(joints.dof_index[j]), int(joints.qpos_index[j])
            if not (joints.limited[j] and options.limits):
                continue
            if kind is JointType.BALL:
                self._balls.append(_Ball(j, q, v, float(joints.range[j].max()), nv))
            elif kind is not JointType.FREE:
                joint[v], place[v], bounds[:, v] = j, q, joints.range[j]
        self._straight = bool(np.isfinite(bounds).any())
        self.limits = self._straight or bool(self._balls)
        self._constants = Constants(joint, place, bounds[..., None])

    def __call__(
        self, physics: Physics, weights: Weights, qpos: Tensor, qvel: Tensor
    ) -> list[Block]:
        """The rows of a batch of states."""
        blocks: list[Block] = []
        if self._straight:
            blocks.append(self._limits(physics, weights, qpos.t(), qvel.t()))
        if self._balls:
            blocks.append(self._ball_limits(physics, weights, qpos.t(), qvel.t()))
        if self.friction:
            blocks.append(self._friction(physics, weights, qvel.t()))
        return blocks

    def _limits(self, physics: Physics, weights: Weights, q: Tensor, v: Tensor) -> OnDofs:
        joint, place, (low, high) = self._constants.like(q)
        position = q.index_select(0, place)
        upper = (high - position < position - low).detach()
        sign = torch.where(upper, -1.0, 1.0).to(q.dtype)
        # Without a limit neither side is near.
        distance = torch.where(upper, high - position, position - low)
        distance = distance - physics.limit_margin.index_select(0, joint)[:, None]
        solref = physics.limit_solref.index_select(0, joint)
        solimp = physics.limit_solimp.index_select(0, joint)
        asked, firmness = limit_rows(
            solref, solimp, distance, sign * v, weights.dof, self._shortest
        )
        never = torch.full_like(firmness[:, :1], -torch.inf)
        return OnDofs(sign, asked, firmness, never, torch.zeros_like(never))

    def _ball_limits(self, physics: Physics, weights: Weights, q: Tensor, v: Tensor) -> Dense:
        """One row each: away from the axis that the ball is turned about."""
        rows = [ball.row(q) for ball in self._balls]
        jacobian = torch.stack([row for row, _ in rows])
        joint = [ball.joint for ball in self._balls]
        room = torch.stack([left for _, left in rows]) - physics.limit_margin[joint][:, None]
        asked, firmness = limit_rows(
            physics.limit_solref[joint],
            physics.limit_solimp[joint],
            room,
            (jacobian * v).sum(1),
            weights.dof[[ball.dof for ball in self._balls]],
            self._shortest,
        )
        return Dense(jacobian, asked, firmness)

    def _friction(self, physics: Physics, weights: Weights, v: Tensor) -> OnDofs:
        solimp, loss = physics.friction_solimp, physics.friction_loss[:, None]
        _, damping = reference(physics.friction_solref, solimp, self._shortest)
        d = impedance(solimp, torch.zeros_like(loss))
        firmness = (1 / regularizer(d, weights.dof[:, None])).expand_as(v)
        return OnDofs(torch.ones_like(loss), -damping * v, firmness, -loss, loss)


class _Ball:
    """A limited ball joint."""

    def __init__(self, joint: int, q: int, dof: int, most: float, nv: int) -> None:
        self.joint, self.dof, self._q, self._most = joint, dof, q, most
        self._after = nv - dof - 3

    def row(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Its row of J ``(nv, batch)``, and the angle that is left ``(batch,)``."""
        w, axis = q[self._q], q[self._q + 1 : self._q + 4]
        square = axis.square().sum(0)
        sine = square.clamp_min(_TINY**2).sqrt()
        # The shorter way round.
        sign = torch.where(w < 0, -1.0, 1.0).to(q.dtype)
        angle = 2 * torch.atan2(sine, w.abs())
        away = -sign * axis / sine
        zeros = torch.zeros_like(q[:1])
        ahead, after = zeros.expand(self.dof, -1), zeros.expand(self._after, -1)
        return torch.cat([ahead, away, after]), self._most - angle
