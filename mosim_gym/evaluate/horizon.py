"""Open-loop accuracy: squared error by horizon, and the horizon within which a model is valid.

A rollout is valid up to the step before the first one at which its whitened error exceeds 0.10:
the root mean square over dimensions of (error / std), std pooled over all steps of the true
rollouts. Angles are as MuJoCo gives them, not wrapped. Where a body is on the ground (root x and
y, by joint name) is left out of every figure: it is a sum of past velocities that feeds back into
nothing.

A model is trusted as far as 90 % of held-out rollouts are still valid.

A rollout that diverges is infinitely wrong from that step on: it is never valid there, means over
rollouts are infinite, and medians stay finite as long as most rollouts do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.features import horizontal_root_positions
from mosim_gym.evaluate.baselines import Model
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Trajectory

#: Whitened error beyond which a rollout no longer counts as valid.
VALID_ERROR = 0.10
#: Share of rollouts that must still be valid for a horizon to be trusted.
TRUSTED_SHARE = 0.90
#: Steps of the many short rollouts; the paper's tables end there.
SHORT = 100
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
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
        parts: `squared` of qpos alone (m^2, rad^2) and of qvel alone (m^2/s^2, rad^2/s^2).
    """

    squared: Tensor
    whitened: Tensor
    diverged: Tensor
    control_dt: float
    parts: Mapping[str, Tensor] = field(default_factory=dict)

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

    def at(self, horizon: int) -> dict[str, Any]:
        """Figures up to step `horizon`, as plain JSON values.

        JSON knows no infinity: an error that diverged rollouts make infinite is ``None``.
        """
        mse = self.mse(horizon)
        figures: dict[str, Any] = {
            "seconds": round(horizon * self.control_dt, 9),
            "mse_mean": finite(mse.mean()),
            "mse_median": finite(mse.median()),
            "mse_quantiles": {f"{q:g}": finite(quantile(mse, q)) for q in QUANTILES},
            "share_valid": self.share_valid[horizon - 1].item(),
        }
        for name, squared in self.parts.items():
            part = squared[:, :horizon].mean(1)
            figures[f"{name}_mse_mean"] = finite(part.mean())
            figures[f"{name}_mse_median"] = finite(part.median())
        return figures

    def summary(self, horizons: Sequence[int]) -> dict[str, Any]:
        """Figures as plain JSON values; horizons beyond T are left out."""
        return {
            "rollouts": len(self.squared),
            "steps": self.horizon,
            "control_dt": self.control_dt,
            "by_horizon": {str(h): self.at(h) for h in horizons if h <= self.horizon},
            "valid_horizon_median": int(self.valid_horizon.median()),
            "trusted_horizon": self.trusted_horizon,
            "diverged": int(self.diverged.sum()),
        }


def open_loop(
    model: Model, dataset: Dataset, longest: int | None = None
) -> tuple[HorizonErrors, ...]:
    """Errors of many short rollouts from anywhere, then of long ones; one kind if both are short.

    Args:
        model: of the body of the dataset.
        dataset: motion it was not trained on.
        longest: control steps of the long ones; by default whole episodes (of median length).
    """
    lengths = sorted(len(episode) for episode in dataset.episodes)
    length = lengths[len(lengths) // 2] if longest is None else longest
    kinds = (SHORT, length) if length > SHORT else (length,)
    return tuple(horizon_errors(model, dataset.windows(steps)) for steps in kinds)


@torch.inference_mode()
def horizon_errors(model: Model, windows: Windows, *, chunk: int = 512) -> HorizonErrors:
    """Roll a model out over windows of a dataset and measure where it ends up.

    Args:
        model: a `Simulator`, or a baseline.
        windows: true motion of the same body, ``dataset.windows(horizon)``.
        chunk: rollouts at a time; bounds memory.
    """
    keep = measured_positions(model.spec)
    std = torch.cat([windows.qpos[..., keep], windows.qvel], 2).flatten(0, 1).std(0)
    std = std.clamp(min=_SMALLEST_STD)
    figures: dict[str, list[Tensor]] = {"all": [], "qpos": [], "qvel": [], "whitened": []}
    diverged = []
    for first in range(0, len(windows), chunk):
        rows = slice(first, first + chunk)
        trajectory = model.rollout(windows.start[rows], windows.actions[rows])
        lost = torch.arange(windows.horizon) >= trajectory.valid_steps.cpu().unsqueeze(1)
        error = _errors(trajectory, windows, rows, keep)
        squared = error.square().masked_fill(lost.unsqueeze(2), math.inf)
        figures["all"].append(squared.mean(2))
        figures["qpos"].append(squared[..., : len(keep)].mean(2))
        figures["qvel"].append(squared[..., len(keep) :].mean(2))
        figures["whitened"].append((squared / std.square()).mean(2).sqrt())
        diverged.append(trajectory.diverged.cpu())
    whole = {name: torch.cat(parts) for name, parts in figures.items()}
    return HorizonErrors(
        whole["all"],
        whole["whitened"],
        torch.cat(diverged),
        model.control_dt,
        {name: whole[name] for name in ("qpos", "qvel")},
    )


def measured_positions(spec: RobotSpec) -> list[int]:
    """Indices of qpos that count: all but where the root is on the ground."""
    left_out = set(horizontal_root_positions(spec))
    return [index for index in range(spec.nq) if index not in left_out]


def quantile(values: Tensor, q: float) -> Tensor:
    """The value that a share `q` of ``(N, ...)`` lies below; one of them, so infinity is no NaN."""
    return values.quantile(q, dim=0, interpolation="lower")


def finite(value: Tensor) -> float | None:
    """A number for JSON: ``None`` for infinity."""
    return value.item() if value.isfinite() else None


def _errors(trajectory: Trajectory, windows: Windows, rows: slice, keep: list[int]) -> Tensor:
    """Errors after each step, ``(rows, T, kept nq + nv)``, in float64."""
    qpos = trajectory.qpos.double().cpu()[:, 1:, keep] - windows.qpos[rows, 1:][..., keep]
    qvel = trajectory.qvel.double().cpu()[:, 1:] - windows.qvel[rows, 1:]
    return torch.cat([qpos, qvel], 2)
