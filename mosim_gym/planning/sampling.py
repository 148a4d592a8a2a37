"""Proposals: which action sequences a planner tries, and the noise it tries them with."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.spec import RobotSpec


class Proposal(NamedTuple):
    """Action sequences of several plans: mean and standard deviation ``(plans, horizon, nu)``."""

    mean: Tensor
    std: Tensor


class Limits(NamedTuple):
    """Lowest and highest controls, and the unit that noise is measured in, ``(nu,)`` each."""

    low: Tensor
    high: Tensor
    unit: Tensor

    @classmethod
    def of(cls, spec: RobotSpec, like: Tensor) -> Limits:
        """Those of a body, in dtype and device of `like`.

        The unit is half the range of an actuator, 1 where it has none.
        """
        ranges = [actuator.ctrl_range for actuator in spec.actuators]
        unit = np.array([1.0 if r is None else (r[1] - r[0]) / 2 for r in ranges])
        arrays = (spec.action_low, spec.action_high, unit)
        return cls(*(torch.from_numpy(array).to(like) for array in arrays))

    @property
    def centre(self) -> Tensor:
        """The middle of the range, ``(nu,)``."""
        return (self.low + self.high) / 2

    def clamp(self, actions: Tensor) -> Tensor:
        """The nearest actions ``(..., nu)`` within the limits."""
        return torch.minimum(torch.maximum(actions, self.low), self.high)


def smooth_noise(
    samples: int, horizon: int, nu: int, correlation: float, generator: torch.Generator
) -> Tensor:
    """Gaussian noise ``(samples, horizon, nu)`` of unit variance, correlated in time, float64.

    It is the stationary process ``x[t] = c x[t - 1] + sqrt(1 - c^2) e[t]`` (Ornstein-Uhlenbeck).
    The first sample is zero: what has been planned before is always among what is tried. Each
    later one is the opposite of another, so that the noise has no mean.

    Args:
        samples: sequences to draw, 2 or more.
        horizon: steps of a sequence.
        nu: entries of an action.
        correlation: c, of successive steps; 0 is white noise.
        generator: of the random numbers, on the CPU.
    """
    half = -(-(samples - 1) // 2)
    white = torch.randn(half, horizon, nu, generator=generator, dtype=torch.float64)
    steps = torch.arange(horizon, dtype=torch.float64)
    # Row t of the matrix sums the innovations up to t; the first one carries the whole past.
    age = steps[:, None] - steps
    mixing = torch.where(age >= 0, correlation ** age.clamp(min=0), 0.0)
    mixing[:, 1:] *= math.sqrt(1 - correlation**2)
    noise = torch.einsum("ts,ksu->ktu", mixing, white)
    still = torch.zeros(1, horizon, nu, dtype=torch.float64)
    return torch.cat([still, noise, -noise])[:samples]
