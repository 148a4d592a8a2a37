"""StateReplayBuffer: SB3's replay buffer, with the physics states of its observations.

Observations do not give the state back (cheetah's drop its position, reacher's target is in no
joint), so whoever wants to start model rollouts where a real agent has been must keep it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from mosim_gym.data.files import not_whole, read_npz, write_npz
from mosim_gym.data.sources import (
    CURRENT_REPLAY_VERSION,
    REPLAY_VERSION,
    STATE_PREFIX,
    WHAT,
    check_replay_version,
)
from mosim_gym.data.states import STATE_BEFORE, StateArrays, stack_states
from mosim_gym.errors import DatasetError
from mosim_gym.types import Array, State

_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class _KeepsStates(ReplayBuffer):
    """What both kinds of buffer add to SB3's."""

    _states: StateArrays | None = None

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: Array,
        reward: Array,
        done: Array,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of every environment; each info holds ``mosim/state_before``.

        Raises:
            DatasetError: if an info holds no state, or one that is mis-shaped or not finite.
        """
        states = stack_states(infos)
        if self._states is None:
            self._states = {
                name: np.zeros((self.buffer_size, *value.shape)) for name, value in states.items()
            }
        for name, storage in self._states.items():
            if name not in states or states[name].shape != storage.shape[1:]:
                given = states[name].shape if name in states else "missing"
                raise DatasetError(
                    f"{name} in info[{STATE_BEFORE!r}] is {given}; expected {storage.shape[1:]} "
                    "as in earlier steps. Use one buffer for one robot."
                )
        row = self.pos
        super().add(obs, next_obs, action, reward, done, infos)
        for name, storage in self._states.items():
            storage[row] = states[name]

    def __len__(self) -> int:
        """Number of states stored, all environments together."""
        return self.size() * self.n_envs

    def __bool__(self) -> bool:
        """A buffer is true also when empty, as SB3's are."""
        return True

    def states(self) -> State:
        """Every state stored, torch float64, `len(self)` rows."""
        stored = self._stored()
        fields = {name: v[: self.size()].reshape(-1, v.shape[2]) for name, v in stored.items()}
        return State(**{name: torch.tensor(value) for name, value in fields.items()})

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        """`n` of the states stored, uniformly and independently, torch float64."""
        stored = self._stored()
        rows = rng.integers(self.size(), size=n)
        columns = rng.integers(self.n_envs, size=n)
        return State(
            **{name: torch.from_numpy(value[rows, columns]) for name, value in stored.items()}
        )

    def save(self, path: str | Path) -> None:
        """Write the whole buffer as npz, atomically and without pickle.

        Raises:
            DatasetError: if the file cannot be written.
        """
        # With optimize_memory_usage the row at `pos` holds the newest observation.
        rows = self.buffer_size if self.full else self.pos + 1
        arrays = {name: value[:rows] for name, value in self._all_arrays().items()}
        arrays |= {
            REPLAY_VERSION: np.array(CURRENT_REPLAY_VERSION),
            "size": np.array(self.size()),
            "pos": np.array(self.pos),
            "buffer_size": np.array(self.buffer_size),
        }
        write_npz(Path(path), arrays)

    def load(self, path: str | Path) -> None:
        """Fill this buffer, made with the same arguments, with what `save` wrote.

        Raises:
            DatasetError: if the file is truncated or foreign, or belongs to another buffer; the
                buffer is left as it was.
        """
        file = Path(path)
        arrays = read_npz(file, WHAT)
        version = arrays.get(REPLAY_VERSION)
        check_replay_version(file, None if version is None else int(version))
        size, pos = self._check_counts(file, arrays)
        states = {
            name.removeprefix(STATE_PREFIX): value
            for name, value in arrays.items()
            if name.startswith(STATE_PREFIX) and name != REPLAY_VERSION
        }
        targets = self._own_arrays()
        for name, target in targets.items():
            _require_like(file, name, arrays.get(name), target)
        loaded: StateArrays = {}
        for name, value in states.items():
            if value.ndim != 3 or value.shape[1] != self.n_envs or len(value) < size:
                raise not_whole(file, WHAT, f"state {name} has shape {value.shape}")
            loaded[name] = np.zeros((self.buffer_size, *value.shape[1:]))
            loaded[name][: len(value)] = value
        for name, target in targets.items():
            target[: len(arrays[name])] = arrays[name]
        self._states = loaded or None
        self.pos, self.full = pos, size == self.buffer_size

    def _check_counts(self, file: Path, arrays: dict[str, Array]) -> tuple[int, int]:
        if not {"size", "pos", "buffer_size"} <= set(arrays):
            raise not_whole(file, WHAT, "its counters are missing")
        size, pos, capacity = (int(arrays[name]) for name in ("size", "pos", "buffer_size"))
        if capacity != self.buffer_size:
            raise DatasetError(
                f"{file} holds a buffer of {capacity} rows, this one has {self.buffer_size} "
                "(buffer_size // n_envs). Make it with the same buffer_size and n_envs."
            )
        if not (0 <= pos < capacity and (size == pos or size == capacity)):
            raise not_whole(file, WHAT, f"its counters are size {size}, pos {pos}")
        return size, pos

    def _stored(self) -> StateArrays:
        if self._states is None or not self.size():
            raise DatasetError(
                "The StateReplayBuffer holds no state yet. Take some steps in the environment "
                "first, such as model.learn(...)."
            )
        return self._states

    def _own_arrays(self) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for name in _ARRAYS:
            # There are no next_observations with optimize_memory_usage.
            value = getattr(self, name, None)
            if isinstance(value, dict):
                arrays |= {f"{name}/{key}": part for key, part in value.items()}
            elif value is not None:
                arrays[name] = value
        return arrays

    def _all_arrays(self) -> dict[str, Array]:
        states = {} if self._states is None else self._states
        return self._own_arrays() | {STATE_PREFIX + name: v for name, v in states.items()}


class StateReplayBuffer(_KeepsStates):
    """SB3's `ReplayBuffer` that also keeps the physics states of its observations.

    Use it as ``SAC("MlpPolicy", env, replay_buffer_class=StateReplayBuffer)`` on an environment
    whose infos hold ``mosim/state_before`` (mosim_gym's, or any in `PhysicsStateInfo`). The states
    are float64; room for them is made at the first ``add``.

    Args:
        buffer_size: capacity in steps, all environments together.
        observation_space: of the environment; for a Dict use `StateDictReplayBuffer`.
        action_space: of the environment.
        device: of the samples.
        n_envs: number of environments.
        optimize_memory_usage: as in SB3; the state of the row that is overwritten next then is
            that of an older observation.
        handle_timeout_termination: as in SB3.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
    ) -> None:
        """See the class."""
        if isinstance(observation_space, spaces.Dict):
            raise DatasetError(
                "StateReplayBuffer was given a Dict observation space. Use "
                "replay_buffer_class=StateDictReplayBuffer with MultiInputPolicy, or wrap the "
                "environment in gymnasium.wrappers.FlattenObservation."
            )
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs=n_envs,
            optimize_memory_usage=optimize_memory_usage,
            handle_timeout_termination=handle_timeout_termination,
        )


class StateDictReplayBuffer(_KeepsStates, DictReplayBuffer):
    """`StateReplayBuffer` for Dict observations, SB3's `DictReplayBuffer`."""


def _require_like(file: Path, name: str, given: Array | None, target: Array) -> None:
    fits = given is not None and given.dtype == target.dtype and given.ndim == target.ndim
    if given is None or not fits or given.shape[1:] != target.shape[1:]:
        found = "missing" if given is None else f"{given.dtype} {given.shape[1:]}"
        raise DatasetError(
            f"{file}: {name} is {found}, in this buffer {target.dtype} {target.shape[1:]}. Make "
            "the buffer with the same spaces, n_envs and options as the one that was saved."
        )
    if len(given) > len(target):
        raise not_whole(file, WHAT, f"{name} has {len(given)} rows")
