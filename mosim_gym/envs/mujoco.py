"""The engine of ``dynamics="mujoco"``: true physics, all rows stepped natively in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mosim_gym.envs.engine import Fields, Reading, Seed
from mosim_gym.errors import MosimError
from mosim_gym.tasks.base import Task
from mosim_gym.tasks.suite_batch import SuiteBatch
from mosim_gym.types import Array, Float64Array, State


class MujocoEngine:
    """True physics of a task of the dm_control suite.

    Each row is one continuing simulation (re-entering MuJoCo from qpos and qvel would lose its
    warm start), and equals dm_control's own environment of the same seed.

    Args:
        rows: the bodies.
        task: reads observations and rewards of all rows at once; without one, dm_control's own
            code reads them row after row.
        substeps: also keep the states after each physics step.
    """

    def __init__(
        self, rows: SuiteBatch, *, task: Task[Any] | None = None, substeps: bool = False
    ) -> None:
        """See the class."""
        self._rows = rows
        self._task = task
        self._recording = substeps
        self.num_envs = rows.num_rows
        self.robot = rows.robot
        self._touch_columns = rows.robot.touch_columns(task.touch) if task else []
        self.layout = rows.layout
        self.context_size = 0 if rows.place is None else rows.place.size
        self._observation = np.zeros((self.num_envs, self.layout.size))
        self._ended = np.zeros(self.num_envs, dtype=bool)
        self._trace: dict[str, Float64Array] = {}

    def seed(self, rows: Sequence[int], seeds: Sequence[Seed]) -> None:
        """Row i restarts as `suite.load(..., task_kwargs={"random": seeds[i]})`."""
        for row, value in zip(rows, seeds, strict=True):
            self._rows.seed(row, value)

    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows`; see `Engine`."""
        for k, row in enumerate(rows.tolist()):
            fields = {name: value[k] for name, value in given.items()}
            self._observation[row] = self._rows.begin(row, fields)
        self._ended[rows] = False

    def step(self, action: Float64Array) -> Reading:
        """One control step of every row; see `Engine`."""
        if self._ended.any():
            raise MosimError("This episode has terminated: call reset() before step().")
        if self._recording:
            diverged, self._trace = self._rows.step_recorded(action)
        else:
            diverged = self._rows.step(action)
        observation, reward, terminated = self._read(action)
        if diverged.any():
            observation[diverged] = self._observation[diverged]
            reward[diverged], terminated[diverged] = 0.0, False
        self._observation, self._ended = observation, terminated
        return Reading(observation.copy(), reward, terminated.copy(), diverged)

    def observe(self) -> Array:
        """Current observations, ``(n, layout.size)`` float64."""
        return self._observation.copy()

    def state(self) -> dict[str, Float64Array]:
        """Fresh arrays of the current states."""
        return self._rows.state()

    def touch(self) -> Float64Array:
        """Fresh readings of the touch sensors."""
        return self._rows.touch()

    def substeps(self) -> dict[str, Float64Array]:
        """States after each physics step of the last control step."""
        return self._trace

    @torch.inference_mode()
    def _read(self, action: Float64Array) -> tuple[Float64Array, Float64Array, Array]:
        task = self._task
        if task is None:
            return self._rows.read()
        touch = None
        if self._touch_columns:
            touch = torch.from_numpy(self._rows.touch()[:, self._touch_columns])
        measured = task.measure(State.from_numpy(self.state()), torch.from_numpy(action), touch)
        ended = task.terminated(measured)
        terminated = np.zeros(self.num_envs, dtype=bool) if ended is None else ended.numpy()
        return task.observe(measured).numpy(), task.reward(measured).numpy(), terminated
