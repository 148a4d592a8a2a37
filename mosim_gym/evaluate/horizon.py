"""Open-loop accuracy: squared error by horizon, and the horizon within which a model is valid.

A rollout is valid up to the step before the first one at which its whitened error exceeds 0.10:
the root mean square over dimensions of (error / std), std pooled over all steps of the true
rollouts. Angles are as MuJoCo gives them, not wrapped. Where a body is on the ground (root x and
y, by joint name) is left out of every figure: it is a sum of past velocities that feeds back into
nothing.

A rollout that diverges is infinitely wrong from that step on: it is never valid there, means over
rollouts are infinite, and medians stay finite as long as most rollouts do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.dynamics.features import horizontal_root_positions
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Trajectory

#: Whitened error beyond which a rollout no longer counts as valid.
VALID_ERROR = 0.10
#: Share of rollouts that must still be valid for a horizon to be trusted.
TRUSTED_SHARE = 0.90
_SMALLEST_STD = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class HorizonErrors:
    """Errors of N open-loop rollouts of T control steps against the truth.

    Attributes:
        squared: squared error averaged over dimensions, ``(N, T)``, in mixed SI units; infinite
            from the step on at which a rollout diverged, never NaN.
        whitened: root mean square over dimensions of error / std, ``(N, T)``; likewise.
        diverged: rollouts that left the finite or plausible, ``(N,)`` bool.
        control_dt: seconds a step.
    """

    squared: Tensor
    whitened: Tensor
    diverged: Tensor
    control_dt: float

    @property
    def horizon(self) -> int:
        """Number of steps T."""
        return self.squared.shape[1]

    def mse(self, horizon: int) -> Tensor:
        """Mean squared error over the first `horizon` steps of each rollout, ``(N,)``."""
        return self.squared[:, :horizon].mean(1)

    @property
    def valid_horizon(self) -> Tensor:
        """Steps before the first invalid one, ``(N,)``; T for rollouts valid throughout."""
        valid = self.whitened <= VALID_ERROR
        return valid.long().cumprod(1).sum(1)

    @property
    def share_valid(self) -> Tensor:
        """Share of rollouts still valid after 1 ... T steps, ``(T,)``."""
        steps = torch.arange(1, self.horizon + 1)
        return (self.valid_horizon.unsqueeze(1) >= steps).double().mean(0)

    @property
    def trusted_horizon(self) -> int:
        """Largest number of steps after which at least 90 % of rollouts are still valid."""
        return int((self.share_valid >= TRUSTED_SHARE).sum())

    def summary(self, horizons: tuple[int, ...]) -> dict[str, Any]:
        """Figures as plain JSON values; horizons beyond T are left out.

        JSON knows no infinity: an error that diverged rollouts make infinite is ``None``.
        """
        by_horizon = {}
        for h in [h for h in horizons if h <= self.horizon]:
            mse = self.mse(h)
            by_horizon[str(h)] = {
                "mse_mean": _finite(mse.mean()),
                "mse_median": _finite(mse.median()),
                "share_valid": self.share_valid[h - 1].item(),
            }
        return {
            "rollouts": len(self.squared),
            "steps": self.horizon,
            "control_dt": self.control_dt,
            "by_horizon": by_horizon,
            "valid_horizon_median": int(self.valid_horizon.median()),
            "trusted_horizon": self.trusted_horizon,
            "diverged": int(self.diverged.sum()),
        }


@torch.inference_mode()
def horizon_errors(simulator: Simulator, windows: Windows, *, chunk: int = 512) -> HorizonErrors:
    """Roll the model out over windows of a dataset and measure where it ends up.

    Args:
        simulator: the model.
        windows: true motion of the same body, ``dataset.windows(horizon)``.
        chunk: rollouts at a time; bounds memory.
    """
    keep = measured_positions(simulator.spec)
    std = torch.cat([windows.qpos[..., keep], windows.qvel], 2).flatten(0, 1).std(0)
    std = std.clamp(min=_SMALLEST_STD)
    squared, whitened, diverged = [], [], []
    for first in range(0, len(windows), chunk):
        rows = slice(first, first + chunk)
        trajectory = simulator.rollout(windows.start[rows], windows.actions[rows])
        error = _errors(trajectory, windows, rows, keep)
        lost = torch.arange(windows.horizon) >= trajectory.valid_steps.cpu().unsqueeze(1)
        squared.append(error.square().mean(2).masked_fill(lost, math.inf))
        whitened.append((error / std).square().mean(2).sqrt().masked_fill(lost, math.inf))
        diverged.append(trajectory.diverged.cpu())
    return HorizonErrors(
        torch.cat(squared), torch.cat(whitened), torch.cat(diverged), simulator.control_dt
    )


def measured_positions(spec: RobotSpec) -> list[int]:
    """Indices of qpos that count: all but where the root is on the ground."""
    left_out = set(horizontal_root_positions(spec))
    return [index for index in range(spec.nq) if index not in left_out]


def _finite(value: Tensor) -> float | None:
    return value.item() if value.isfinite() else None


def _errors(trajectory: Trajectory, windows: Windows, rows: slice, keep: list[int]) -> Tensor:
    """Errors after each step, ``(rows, T, kept nq + nv)``, in float64."""
    qpos = trajectory.qpos.double().cpu()[:, 1:, keep] - windows.qpos[rows, 1:][..., keep]
    qvel = trajectory.qvel.double().cpu()[:, 1:] - windows.qvel[rows, 1:]
    return torch.cat([qpos, qvel], 2)
