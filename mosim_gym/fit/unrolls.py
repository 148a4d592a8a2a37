"""Stretches of episodes that a model is unrolled along, as tensors in its precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.types import State


@dataclass(frozen=True, slots=True, eq=False)
class Unrolls:
    """Start states, the actions of h control steps, and the states passed on the way.

    Attributes:
        start: N rows; with the context only where it changes the dynamics.
        actions: ``(N, h, nu)``.
        qpos: ``(N, h, nq)``, the start left out.
        qvel: ``(N, h, nv)``.
        spread: standard deviation of each of qpos and qvel over the data, ``(nq + nv,)``.
    """

    start: State
    actions: Tensor
    qpos: Tensor
    qvel: Tensor
    spread: Tensor

    def __len__(self) -> int:
        """Number of stretches."""
        return len(self.start)

    def rows(self, index: Tensor) -> Unrolls:
        """The stretches at `index`."""
        return Unrolls(
            self.start[index],
            self.actions[index],
            self.qpos[index],
            self.qvel[index],
            self.spread,
        )


def make_unrolls(simulator: Simulator, dataset: Dataset, steps: int) -> Unrolls:
    """All stretches of `steps` control steps that start every `steps` / 2."""
    windows = dataset.windows(steps, max(1, steps // 2))
    start = windows.start
    start = State(start.qpos, start.qvel, start.act, simulator.moving_context(start))
    dtype = simulator.dtype
    both = torch.cat([windows.qpos, windows.qvel], 2).flatten(0, 1)
    return Unrolls(
        start.to(dtype),
        windows.actions.to(dtype),
        windows.qpos[:, 1:].to(dtype),
        windows.qvel[:, 1:].to(dtype),
        both.std(0).clamp(min=1e-6).to(dtype),
    )
