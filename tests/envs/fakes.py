"""Simulators and state sources whose every number is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State


class Drifting(nn.Module):
    """``qpos' = qpos + action``, ``qvel' = action``; a row that passes `cliff` is lost.

    `fall` is what the first velocity becomes there: NaN, infinite, or finite and too large to be
    observed.
    """

    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self, spec: RobotSpec, cliff: float = np.inf, fall: float = np.nan) -> None:
        super().__init__()
        self.spec, self.cliff, self.fall = spec, cliff, fall

    def step(self, state: State, action: Tensor) -> State:
        qpos = state.qpos + action
        lost = qpos[:, :1] > self.cliff
        qvel = torch.where(lost, self.fall, action)
        return State(torch.where(lost, self.fall, qpos), qvel, None, state.context)

    def is_valid(self, state: State) -> Tensor:
        return state.isfinite()


class Shelf:
    """A source of reacher states that grows; qpos[0] is the number under which a state was put."""

    def __init__(self, size: int = 0, spec: RobotSpec | None = None, width: int = 2) -> None:
        self.size, self.width = size, width
        if spec is not None:
            self.spec = spec

    def __len__(self) -> int:
        return self.size

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        number = rng.integers(self.size, size=(n, 1)).astype(float)
        qpos = np.concatenate([number, np.full((n, self.width - 1), 0.25)], 1)
        fields = {"qpos": qpos, "qvel": np.full((n, 2), 0.5), "context": np.full((n, 2), 0.125)}
        return State.from_numpy(fields)
