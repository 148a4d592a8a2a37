"""Several futures from one state: how far an ensemble's members part, and how wrong they are.

Where members agree and are wrong all the same, their spread warns of nothing; where spread and
error grow together, the spread tells how far to trust the futures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.dynamics.ensemble import Ensemble
from mosim_gym.errors import MosimError
from mosim_gym.evaluate.horizon import measured_positions
from mosim_gym.types import Trajectory

_SMALLEST_STD = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Futures of K members from N states, over T control steps; whitened as `HorizonErrors`.

    Attributes:
        spread: root mean square, over dimensions and members, of the distance from the members'
            mean, ``(N, T)``; infinite where a member has diverged.
        error: root mean square over dimensions of the mean's distance from the truth, ``(N, T)``;
            likewise.
        control_dt: seconds a step.
    """

    spread: Tensor
    error: Tensor
    control_dt: float

    @property
    def ratio(self) -> Tensor:
        """Median over states of error / spread after each step, ``(T,)``: 1 if they tell it."""
        known = self.error.isfinite()
        ratios = torch.where(known, self.error / self.spread, torch.inf)
        return ratios.median(0).values

    def growth(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Exponents in 1/s of spread and of error from step `first` to `last`, each ``(N,)``."""
        seconds = (last - first) * self.control_dt
        spread, error = (
            (size[:, last - 1] / size[:, first - 1]).log() / seconds
            for size in (self.spread, self.error)
        )
        return spread, error


@torch.inference_mode()
def spread_of_futures(ensemble: Ensemble, windows: Windows) -> Spread:
    """Roll all members out from the same states under the same actions.

    Args:
        ensemble: two or more models, fitted apart.
        windows: true motion.

    Raises:
        MosimError: if there are fewer than two.
    """
    if len(ensemble) < 2:
        raise MosimError(f"{len(ensemble)} member given; a spread needs two or more models.")
    keep = measured_positions(ensemble.spec)
    true = torch.cat([windows.qpos[:, 1:][..., keep], windows.qvel[:, 1:]], 2)
    std = true.flatten(0, 1).std(0).clamp(min=_SMALLEST_STD)
    futures = ensemble.rollout(windows.start, windows.actions)
    values = _values(futures, keep)
    mean = values.mean(0)
    steps = torch.arange(1, windows.horizon + 1)
    alive = futures.valid_steps.cpu().amin(0).unsqueeze(1) >= steps
    spread = ((values - mean) / std).square().mean((0, 3)).sqrt()
    error = ((mean - true) / std).square().mean(2).sqrt()
    return Spread(
        spread.masked_fill(~alive, torch.inf),
        error.masked_fill(~alive, torch.inf),
        ensemble.control_dt,
    )


def _values(futures: Trajectory, keep: list[int]) -> Tensor:
    """What counts of the states after each step, ``(K, N, T, kept nq + nv)``, float64."""
    qpos = futures.qpos.double().cpu()[:, :, 1:][..., keep]
    return torch.cat([qpos, futures.qvel.double().cpu()[:, :, 1:]], 3)
