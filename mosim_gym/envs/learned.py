"""The engine of ``dynamics="learned"``: one network call moves every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.engine import Fields, Reading, Seed
from mosim_gym.tasks.base import Task
from mosim_gym.types import Array, Float64Array, State

#: Up to so many rows, threads wait for each other longer than they work.
_FEW_ROWS = 512


class LearnedEngine:
    """A `Simulator` with a torch-native task.

    Args:
        simulator: the learned model; defines the body, dtype and device.
        task: what is observed and rewarded.
        num_envs: number of rows.
    """

    def __init__(self, simulator: Simulator, task: Task[Any], num_envs: int) -> None:
        """See the class."""
        self.simulator = simulator.eval().requires_grad_(False)
        _pin(self.simulator)
        self.task = task
        self.robot = simulator.spec
        self.layout = task.layout
        self.context_size = task.context_size
        self.num_envs = num_envs
        self._touch_columns = [self.robot.touch.index(name) for name in task.touch]
        self._every_row = np.arange(num_envs)
        anywhere = self._cast(task.initial_states(1, np.random.default_rng(0)))
        self._state = anywhere[torch.zeros(num_envs, dtype=torch.int64)]
        self._observation = self._observed(self._state)

    def seed(self, rows: Sequence[int], seeds: Sequence[Seed]) -> None:
        """Nothing to seed: rows draw from the generator handed to `begin`."""

    @torch.inference_mode()
    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows`; see `Engine`."""
        drawn = self.task.initial_states(len(rows), rng).numpy()
        if self.robot.na:
            drawn.setdefault("act", np.zeros((len(rows), self.robot.na)))
        entering = self._cast(State.from_numpy({**drawn, **given}))
        shown = self._observed(entering)
        if np.array_equal(rows, self._every_row):
            self._state, self._observation = entering, shown
        else:
            self._state = self._state.replace_rows(torch.from_numpy(rows), entering)
            self._observation = self._observation.copy()
            self._observation[rows] = shown

    def step(self, action: Float64Array) -> Reading:
        """One control step of every row; see `Engine`."""
        threads = torch.get_num_threads()
        if self.num_envs > _FEW_ROWS or threads == 1:
            return self._step(action)
        torch.set_num_threads(1)
        try:
            return self._step(action)
        finally:
            torch.set_num_threads(threads)

    @torch.inference_mode()
    def _step(self, action: Float64Array) -> Reading:
        control = torch.from_numpy(action).to(self.simulator.device, self.simulator.dtype)
        moved = self.simulator.step(self._state, control)
        measured = self._measured(moved, control)
        observation = self.task.observe(measured).cpu().numpy()
        diverged = ~self.simulator.is_valid(moved).cpu().numpy()
        # A state may be finite and yet too large to be observed: cos(inf) is NaN.
        finite = np.isfinite(observation)
        if not finite.all():
            diverged |= ~finite.all(1)
        if diverged.any():
            lost = torch.from_numpy(diverged)
            moved = moved.replace_rows(lost, self._state[lost])
            measured = self._measured(moved, control)
            observation = self.task.observe(measured).cpu().numpy()
        self._state, self._observation = moved, observation
        reward = self.task.reward(measured).cpu().numpy().astype(np.float64)
        reward[diverged] = 0.0
        ended = self.task.terminated(measured)
        terminated = np.zeros_like(diverged)
        if ended is not None:
            terminated = ended.cpu().numpy() & ~diverged
        return Reading(observation, reward, terminated, diverged)

    def observe(self) -> Array:
        """Current observations, ``(n, layout.size)``, in the model's dtype."""
        return self._observation

    def state(self) -> dict[str, Float64Array]:
        """Fresh arrays of the current states."""
        return self._state.numpy()

    def touch(self) -> None:
        """A model's guesses are observed, but they are no readings."""
        return None

    def substeps(self) -> dict[str, Float64Array]:
        """A learned step is taken whole; there are no physics-step states to give."""
        raise NotImplementedError(
            'Physics-step states come from dynamics="mujoco"; a learned model has none.'
        )

    @torch.inference_mode()
    def _observed(self, state: State) -> Array:
        still = state.qvel.new_zeros(len(state), self.robot.nu)
        observation: Array = self.task.observe(self._measured(state, still)).cpu().numpy()
        return observation

    def _measured(self, state: State, action: Tensor) -> Any:
        touch = None
        if self._touch_columns:
            touch = self.simulator.touch(state, action)[:, self._touch_columns]
        return self.task.measure(state, action, touch)

    def _cast(self, state: State) -> State:
        return state.to(self.simulator.dtype).to(self.simulator.device)


def _pin(model: nn.Module) -> None:
    """Let parameters, buffers and submodules be found as ordinary attributes.

    Torch looks them up through ``__getattr__``, which costs a tenth of a step of one row. Weights
    may still be changed in place, but no longer be replaced: fine for a model that is only run.
    """
    for module in model.modules():
        for entries in (module._parameters, module._buffers, module._modules):
            module.__dict__.update({k: v for k, v in entries.items() if v is not None})
