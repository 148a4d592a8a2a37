"""Observation and reward of any suite task, from a state alone: dm_control's own code as a `Task`.

With it a learned model of any body of the suite is an environment before anyone has written the
task in torch. It is exact and slow (rows are read one after the other), not differentiable, and
runs on the CPU.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.suite_batch import SuiteBatch
from mosim_gym.types import State

#: Rows whose physics is computed in one call.
_ROWS = 256


class Measured(NamedTuple):
    """Observations ``(batch, size)``, rewards and terminations ``(batch,)``."""

    observation: Tensor
    reward: Tensor
    terminated: Tensor


class ExactReadout:
    """A task of the dm_control suite, read from (state, context, action) without stepping.

    Sensors of forces and accelerations (touch, accelerometers) are those of the state given;
    dm_control itself shows them one physics step late.

    Args:
        domain: such as "quadruped".
        task: such as "walk".
        num_rows: rows that are usually read at once.
        touch: let the touch sensors show readings that are told, not those computed.
    """

    def __init__(
        self, domain: str, task: str, num_rows: int = _ROWS, *, touch: bool = False
    ) -> None:
        """See the class."""
        self._rows = SuiteBatch(domain, task, None, min(num_rows, _ROWS))
        self.layout = self._rows.layout
        self.context_size = 0 if self._rows.place is None else self._rows.place.size
        self.touch = self._rows.robot.touch if touch else ()

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Draw `n` states from the task's own start distribution, float64."""
        drawn = []
        for seed in rng.integers(2**32, size=n).tolist():
            self._rows.seed(0, seed)
            self._rows.begin(0, {})
            drawn.append({name: value[:1] for name, value in self._rows.state().items()})
        stacked = {name: np.concatenate([row[name] for row in drawn]) for name in drawn[0]}
        return State.from_numpy(stacked)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """What dm_control's task makes of states reached under `action` ``(batch, nu)``."""
        controls = action.detach().cpu().numpy().astype(np.float64)
        readings = None if touch is None else touch.detach().cpu().numpy()
        fields = state.numpy()
        chunks = []
        for start in range(0, len(state), self._rows.num_rows):
            rows = slice(start, start + self._rows.num_rows)
            given = {name: value[rows] for name, value in fields.items()}
            told = None if readings is None else readings[rows]
            chunks.append(self._rows.read_at(given, controls[rows], told))
        observation, reward, terminated = (
            torch.from_numpy(np.concatenate(parts)).to(state.qpos.device)
            for parts in zip(*chunks, strict=True)
        )
        dtype = state.qpos.dtype
        return Measured(observation.to(dtype), reward.to(dtype), terminated)

    def observe(self, measured: Measured) -> Tensor:
        """Observation ``(batch, layout.size)`` in native order."""
        return measured.observation

    def reward(self, measured: Measured) -> Tensor:
        """Reward ``(batch,)``."""
        return measured.reward

    def terminated(self, measured: Measured) -> Tensor:
        """Which rows have ended, ``(batch,)`` bool."""
        return measured.terminated
