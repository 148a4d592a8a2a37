"""StateReplayBuffer: SB3's replay buffer, with the physics states of its observations.

Observations do not give the state back (cheetah's drop its position, reacher's target is in no
joint), so whoever wants to start model rollouts where a real agent has been must keep it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from mosim_gym.data.replay_file import ReplayFile, read_replay, require_like, write_replay
from mosim_gym.data.states import STATE_BEFORE, StateArrays, check_state, stack_states
from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Array, State

_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class _KeepsStates(ReplayBuffer):
    """What both kinds of buffer add to SB3's."""

    _of_dicts: ClassVar[bool] = False
    _states: StateArrays | None = None
    _robot: RobotSpec | None = None

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        robot: RobotSpec | None = None,
    ) -> None:
        """See `StateReplayBuffer`."""
        if isinstance(observation_space, spaces.Dict) != self._of_dicts:
            raise DatasetError(
                f"{type(self).__name__} was given the observation space {observation_space}. Use "
                "StateDictReplayBuffer with MultiInputPolicy for a Dict and StateReplayBuffer for "
                "all others, or wrap the environment in gymnasium.wrappers.FlattenObservation."
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
        self.robot = robot

    @property
    def robot(self) -> RobotSpec | None:
        """The body the states are of, if known; saved with the buffer."""
        return self._robot

    @robot.setter
    def robot(self, robot: RobotSpec | None) -> None:
        _require_fits(robot, self._states)
        self._robot = robot

    @property
    def spec(self) -> RobotSpec | None:
        """The same as `robot`, under the name that reset sources give it."""
        return self._robot

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
            storage = {n: np.zeros((self.buffer_size, *v.shape)) for n, v in states.items()}
            _require_fits(self._robot, storage)
            self._states = storage
        for name, kept in self._states.items():
            if name not in states or states[name].shape != kept.shape[1:]:
                given = states[name].shape if name in states else "missing"
                raise DatasetError(
                    f"{name} in info[{STATE_BEFORE!r}] is {given}; expected {kept.shape[1:]} "
                    "as in earlier steps. Use one buffer for one robot."
                )
        row = self.pos
        super().add(obs, next_obs, action, reward, done, infos)
        for name, kept in self._states.items():
            kept[row] = states[name]

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

    def sample_states(self, n: int, rng: np.random.Generator, newest: int | None = None) -> State:
        """`n` of the states stored, uniformly and independently, torch float64.

        Args:
            n: how many.
            rng: where they are drawn from.
            newest: of the states of so many last steps only.
        """
        stored = self._stored()
        among = self.size() if newest is None else min(newest, self.size())
        rows = (self.pos - 1 - rng.integers(among, size=n)) % self.buffer_size
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
        states = {} if self._states is None else self._states
        content = ReplayFile(
            states={name: value[:rows] for name, value in states.items()},
            size=self.size(),
            pos=self.pos,
            buffer_size=self.buffer_size,
            robot=self._robot,
            arrays={name: value[:rows] for name, value in self._own_arrays().items()},
        )
        write_replay(path, content)

    def load(self, path: str | Path) -> None:
        """Fill this buffer, made with the same arguments, with what `save` wrote.

        Raises:
            DatasetError: if the file is truncated or foreign, or belongs to another buffer; the
                buffer is left as it was.
            MosimError: if it holds states of another body than `robot`.
        """
        content, file = read_replay(path), Path(path)
        if content.buffer_size != self.buffer_size:
            raise DatasetError(
                f"{file} holds a buffer of {content.buffer_size} rows, this one has "
                f"{self.buffer_size}. Make it with the same buffer_size and n_envs."
            )
        if self._robot is not None and content.robot is not None:
            self._robot.require_same_body(content.robot, str(file))
        targets = self._own_arrays()
        for name, target in targets.items():
            require_like(file, name, content.arrays.get(name), target)
        states: StateArrays = {}
        for name, value in content.states.items():
            states[name] = np.zeros((self.buffer_size, self.n_envs, value.shape[2]))
            require_like(file, name, value, states[name])
            states[name][: len(value)] = value
        robot = self._robot if content.robot is None else content.robot
        _require_fits(robot, states)
        for name, target in targets.items():
            target[: len(content.arrays[name])] = content.arrays[name]
        self._states, self._robot = states or None, robot
        self.pos, self.full = content.pos, content.size == self.buffer_size

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


class StateReplayBuffer(_KeepsStates):
    """SB3's `ReplayBuffer` that also keeps the physics states of its observations.

    Use it as ``SAC("MlpPolicy", env, replay_buffer_class=StateReplayBuffer)`` on an environment
    whose infos hold ``mosim/state_before`` (mosim_gym's, or any in `PhysicsStateInfo`). The states
    are float64; room for them is made at the first ``add``.

    A buffer does not see the environment, hence not the body. Say which it is, and a model of
    another body of equal sizes refuses to start from these states, live or saved; give
    ``replay_buffer_kwargs={"robot": env.get_wrapper_attr("robot")}``, or set `robot` later.

    Args:
        buffer_size: capacity in steps, all environments together.
        observation_space: of the environment; for a Dict use `StateDictReplayBuffer`.
        action_space: of the environment.
        device: of the samples.
        n_envs: number of environments.
        optimize_memory_usage: as in SB3; the state of the row that is overwritten next then is
            that of an older observation.
        handle_timeout_termination: as in SB3.
        robot: the body, if known.

    Raises:
        DatasetError: for a Dict observation space, or a robot that is none.
    """


class StateDictReplayBuffer(_KeepsStates, DictReplayBuffer):
    """`StateReplayBuffer` for Dict observations, SB3's `DictReplayBuffer`; same arguments."""

    _of_dicts = True


def _require_fits(robot: RobotSpec | None, states: StateArrays | None) -> None:
    """Raise unless `robot` is a body, and stored states ``(rows, n_envs, n)`` have its sizes."""
    if robot is None:
        return
    if not isinstance(robot, RobotSpec):
        raise DatasetError(
            f"robot is {robot!r}; expected a RobotSpec, as env.get_wrapper_attr('robot') of a "
            "mosim_gym environment or of PhysicsStateInfo gives it."
        )
    if states:
        check_state({n: v[0, 0] for n, v in states.items()}, "The buffer's state", robot)
