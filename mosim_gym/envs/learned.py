"""The engine of ``dynamics="learned"``: one network call moves every row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.engine import Fields, Reading
from mosim_gym.tasks.base import Task
from mosim_gym.types import Array, Float64Array, State


class LearnedEngine:
    """A `Simulator` with a torch-native task.

    Args:
        simulator: the learned model; defines the body, dtype and device.
        task: what is observed and rewarded.
        num_envs: number of rows.
    """

    def __init__(self, simulator: Simulator, task: Task, num_envs: int) -> None:
        """See the class."""
        self.simulator = simulator.eval().requires_grad_(False)
        self.task = task
        self.robot = simulator.spec
        self.layout = task.layout
        self.context_size = task.context_size
        self.num_envs = num_envs
        self._every_row = np.arange(num_envs)
        self._state = self._cast(task.initial_states(num_envs, np.random.default_rng(0)))

    def seed(self, rows: Sequence[int], seeds: Sequence[int]) -> None:
        """Nothing to seed: rows draw from the generator handed to `begin`."""

    @torch.inference_mode()
    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows`; see `Engine`."""
        drawn = self.task.initial_states(len(rows), rng).numpy()
        if self.robot.na:
            drawn.setdefault("act", np.zeros((len(rows), self.robot.na)))
        entering = self._cast(State.from_numpy({**drawn, **given}))
        if np.array_equal(rows, self._every_row):
            self._state = entering
        else:
            self._state = self._state.replace_rows(torch.from_numpy(rows), entering)

    @torch.inference_mode()
    def step(self, action: Float64Array) -> Reading:
        """One control step of every row; see `Engine`."""
        control = torch.from_numpy(action).to(self.simulator.device, self.simulator.dtype)
        moved = self.simulator.step(self._state, control)
        observation = self.task.observe(moved).cpu().numpy()
        # A state may be finite and yet too large to be observed: cos(inf) is NaN.
        valid = self.simulator.is_valid(moved).cpu().numpy() & np.isfinite(observation).all(1)
        diverged: Array = ~valid
        if diverged.any():
            lost = torch.from_numpy(diverged)
            moved = moved.replace_rows(lost, self._state[lost])
            observation = self.task.observe(moved).cpu().numpy()
        self._state = moved
        reward = self.task.reward(moved, control).double().cpu().numpy()
        reward[diverged] = 0.0
        ended = self.task.terminated(moved)
        terminated = np.zeros_like(diverged)
        if ended is not None:
            terminated = ended.cpu().numpy() & ~diverged
        return Reading(observation, reward, terminated, diverged)

    @torch.inference_mode()
    def observe(self) -> Array:
        """Current observations, ``(n, layout.size)``, in the model's dtype."""
        observation: Array = self.task.observe(self._state).cpu().numpy()
        return observation

    def state(self) -> dict[str, Float64Array]:
        """Fresh arrays of the current states."""
        return self._state.numpy()

    def substeps(self) -> dict[str, Float64Array]:
        """A learned step is taken whole; there are no physics-step states to give."""
        raise NotImplementedError(
            'Physics-step states come from dynamics="mujoco"; a learned model has none.'
        )

    def _cast(self, state: State) -> State:
        return state.to(self.simulator.dtype).to(self.simulator.device)
