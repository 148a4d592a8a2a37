"""The engine of ``dynamics="learned"``: one network call moves every row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.compiling import compile_method
from mosim_gym.envs.engine import Fields, Reading, Seed
from mosim_gym.tasks.base import Task
from mosim_gym.types import Array, Float64Array, State

#: Up to so many multiplications in its largest layer, a step is left to one thread: 7,000 rows of
#: 48 units, or 256 of 256. Two threads on two idle cores win from a fourth of that on, 1.6 times at
#: the most; but where another process keeps a core busy they wait for each other and lose 50 times.
_LITTLE_WORK = 2**24


class Moved(NamedTuple):
    """What one step of all rows gave, ``(n, ...)``.

    Attributes:
        state: the states arrived at.
        observation: there, in native order.
        reward: for arriving there, float64.
        diverged: which states are not to be used, bool.
        terminated: which rows have ended, bool; ``None`` for a task that never ends.
    """

    state: State
    observation: Tensor
    reward: Tensor
    diverged: Tensor
    terminated: Tensor | None


class LearnedEngine:
    """A `Simulator` with a torch-native task.

    Args:
        simulator: the learned model; defines the body, dtype and device.
        task: what is observed and rewarded.
        num_envs: number of rows.
        compile: step by code compiled for this model, task and number of rows.

    Raises:
        MosimError: if it cannot be compiled.
    """

    def __init__(
        self, simulator: Simulator, task: Task[Any], num_envs: int, *, compile: bool = False
    ) -> None:
        """See the class."""
        self.simulator = simulator.eval().requires_grad_(False)
        self.task = task
        self.robot = simulator.spec
        self.layout = task.layout
        self.context_size = task.context_size
        self.num_envs = num_envs
        self._every_row = np.arange(num_envs)
        widest = max((weights.numel() for weights in simulator.parameters()), default=0)
        self._one_thread = num_envs * widest <= _LITTLE_WORK
        self._touch_columns = self.robot.touch_columns(task.touch)
        anywhere = self._cast(task.initial_states(1, np.random.default_rng(0)))
        self._state = anywhere[torch.zeros(num_envs, dtype=torch.int64)]
        self._observation = self._observed(self._state)
        _pin(self.simulator)
        self._move = self._moved
        if compile:
            still = self._state.qvel.new_zeros(num_envs, self.robot.nu)
            with self.threads(), torch.inference_mode():
                self._move = compile_method(self._moved, self._state, still)

    def seed(self, rows: Sequence[int], seeds: Sequence[Seed]) -> None:
        """Nothing to seed: rows draw from the generator handed to `begin`."""

    @torch.inference_mode()
    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows`; see `Engine`."""
        entering = self._cast(self._starts(len(rows), given, rng))
        shown = self._observed(entering)
        if np.array_equal(rows, self._every_row):
            self._state, self._observation = entering, shown
        else:
            self._state = self._state.replace_rows(torch.from_numpy(rows), entering)
            self._observation = self._observation.copy()
            self._observation[rows] = shown

    @torch.inference_mode()
    def step(self, action: Float64Array) -> Reading:
        """One control step of every row; see `Engine`."""
        control = torch.from_numpy(action).to(self.simulator.device, self.simulator.dtype)
        with self.threads():
            moved = self._move(self._state, control)
        state, observation = moved.state, moved.observation.cpu().numpy()
        reward, diverged = moved.reward.cpu().numpy(), moved.diverged.cpu().numpy()
        # A state may be finite and yet too large to be observed: cos(inf) is NaN.
        seen = np.isfinite(observation)
        if not seen.all():
            diverged = diverged | ~seen.all(1)
        if moved.terminated is None:
            terminated = np.zeros(self.num_envs, dtype=bool)
        else:
            terminated = moved.terminated.cpu().numpy()
        if diverged.any():
            lost = torch.from_numpy(diverged)
            state = state.replace_rows(lost, self._state[lost])
            observation = np.where(diverged[:, None], self._observation, observation)
            reward, terminated = np.where(diverged, 0.0, reward), terminated & ~diverged
        self._state, self._observation = state, observation
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

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Let torch use as many threads as a step is worth."""
        threads = torch.get_num_threads()
        if not self._one_thread or threads == 1:
            yield
            return
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def _starts(self, n: int, given: Fields, rng: np.random.Generator) -> State:
        needed = {"qpos", "qvel", "context"} if self.context_size else {"qpos", "qvel"}
        if needed <= given.keys():
            # A draw of some tasks costs milliseconds of physics a row.
            activation = {"act": np.zeros((n, self.robot.na))} if self.robot.na else {}
            return State.from_numpy({**activation, **given})
        drawn = self.task.initial_states(n, rng)
        if self.robot.na and drawn.act is None:
            drawn = dataclasses.replace(drawn, act=drawn.qvel.new_zeros(n, self.robot.na))
        return State.from_numpy({**drawn.numpy(), **given}) if given else drawn

    def _moved(self, state: State, control: Tensor) -> Moved:
        """All of a step that is done in torch, as one function of tensors."""
        if not self._touch_columns:
            return self._arrived(self.simulator.step(state, control), control, None)
        arrived, touch = self.simulator.step_and_touch(state, control)
        return self._arrived(arrived, control, touch)

    def _arrived(self, moved: State, control: Tensor, touch: Tensor | None) -> Moved:
        """What is found in the states that a step led to, where all touch sensors read this."""
        measured = self._measured(moved, control, touch)
        return Moved(
            moved,
            self.task.observe(measured),
            self.task.reward(measured).double(),
            ~self.simulator.is_valid(moved),
            self.task.terminated(measured),
        )

    def _measured(self, state: State, control: Tensor, touch: Tensor | None) -> Any:
        read = None if touch is None else touch[:, self._touch_columns]
        return self.task.measure(state, control, read)

    @torch.inference_mode()
    def _observed(self, state: State) -> Array:
        still = state.qvel.new_zeros(len(state), self.robot.nu)
        with self.threads():
            touch = self.simulator.touch(state, still) if self._touch_columns else None
            observation = self.task.observe(self._measured(state, still, touch))
        seen: Array = observation.cpu().numpy()
        return seen

    def _cast(self, state: State) -> State:
        device, dtype = self.simulator.device, self.simulator.dtype
        return State(**{name: value.to(device, dtype) for name, value in state.items()})


def _pin(model: nn.Module) -> None:
    """Let parameters, buffers and submodules be found as ordinary attributes.

    Torch looks them up through ``__getattr__``, which costs a tenth of a step of one row. Weights
    may still be changed in place, but no longer be replaced: fine for a model that is only run.
    """
    for module in model.modules():
        for entries in (module._parameters, module._buffers, module._modules):
            module.__dict__.update({k: v for k, v in entries.items() if v is not None})
