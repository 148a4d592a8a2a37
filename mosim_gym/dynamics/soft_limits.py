"""Joint limits as MuJoCo has them: soft constraints, with parameters that are learned.

A joint past its limit is asked for the acceleration ``-b v - k d r`` (r its depth, v its velocity)
by a force that yields in proportion to how far it is from it, and that can only push back
(documentation: Computation, Constraint model; `mj_makeImpedance`). What is learned are the
stiffness k, the damping b, the impedance d over the depth, and the weight that the joint is taken
to have.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.memo import Memo
from mosim_gym.robots.spec import JointType, RobotSpec

# MuJoCo's defaults, to start from: solref (.02, 1), solimp (.9, .95, .001).
_SECONDS, _LEAST, _MOST, _WIDTH = 0.02, 0.9, 0.95, 1e-3


class SoftLimits(nn.Module):
    """What the limits of a body ask for; all ``(batch, nv)``, nothing where there is no limit.

    Attributes:
        limited: degrees of freedom with a limit.
    """

    low: Tensor
    high: Tensor

    def __init__(self, spec: RobotSpec) -> None:
        """Start at MuJoCo's default parameters."""
        super().__init__()
        ranges = [
            j.range if j.type in (JointType.SLIDE, JointType.HINGE) else None for j in spec.joints
        ]
        self.limited = [dof for dof, r in enumerate(ranges) if r is not None]
        infinite = (-math.inf, math.inf)
        bounds = torch.tensor([r or infinite for r in ranges], dtype=torch.float64)
        self.register_buffer("low", bounds[:, 0], persistent=False)
        self.register_buffer("high", bounds[:, 1], persistent=False)
        nv = spec.nv
        damping = 2 / (_MOST * _SECONDS)
        self.log_damping = nn.Parameter(torch.full((nv,), math.log(damping)))
        self.log_stiffness = nn.Parameter(torch.full((nv,), math.log(damping**2 / 4)))
        self.log_weight = nn.Parameter(torch.zeros(nv))
        self.log_width = nn.Parameter(torch.full((nv,), math.log(_WIDTH)))
        self.logit_least = nn.Parameter(torch.full((nv,), math.log(_LEAST / (1 - _LEAST))))
        self.logit_most = nn.Parameter(torch.full((nv,), math.log(_MOST / (1 - _MOST))))
        self._memo = Memo(_numbers)

    def shape(self) -> list[nn.Parameter]:
        """How the impedance rises with depth."""
        return [self.log_width, self.logit_least, self.logit_most]

    def forward(self, qpos: Tensor, qvel: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where a joint is past its limit, what is asked of it and how softly.

        Args:
            qpos: ``(batch, nv)``.
            qvel: ``(batch, nv)``.
            scale: what a whitened acceleration of one is, ``(nv,)``.

        Returns:
            How far it is past its limit (above 0 on the upper side, 0 within); the whitened
            acceleration asked for; and the softness, MuJoCo's regularizer R, in the units of the
            inverse of a whitened mass.
        """
        of = self._memo(*self._weights(), scale)
        past = qpos - torch.clamp(qpos, self.low, self.high)
        depth = torch.clamp(past.abs() * of.steepness, max=1.0)
        # Two parabolas that meet halfway, 2 d^2 and 1 - 2 (1 - d)^2, in one formula.
        beyond = depth - 0.5
        impedance = torch.addcmul(of.middle, of.rise, beyond * (1 - beyond.abs()))
        asked = torch.addcmul(of.damping * qvel, of.stiffness * past, impedance)
        softness = (impedance.reciprocal() - 1) * of.lightness
        return past, asked, softness

    def _weights(self) -> tuple[nn.Parameter, ...]:
        return (
            self.log_width,
            self.logit_least,
            self.logit_most,
            self.log_damping,
            self.log_stiffness,
            self.log_weight,
        )


class _Numbers(NamedTuple):
    """What the weights stand for, ``(nv,)`` each, for whitened accelerations."""

    steepness: Tensor
    middle: Tensor
    rise: Tensor
    damping: Tensor
    stiffness: Tensor
    lightness: Tensor


def _numbers(
    log_width: Tensor,
    logit_least: Tensor,
    logit_most: Tensor,
    log_damping: Tensor,
    log_stiffness: Tensor,
    log_weight: Tensor,
    scale: Tensor,
) -> _Numbers:
    least, most = torch.sigmoid(logit_least), torch.sigmoid(logit_most)
    return _Numbers(
        torch.exp(-log_width),
        0.5 * (least + most),
        2 * (most - least),
        # Both pull back.
        -torch.exp(log_damping) / scale,
        -torch.exp(log_stiffness) / scale,
        torch.exp(-log_weight),
    )
