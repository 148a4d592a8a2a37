"""Recorded states to reset environments from: a dataset folder or a saved StateReplayBuffer."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.files import not_whole
from mosim_gym.data.replay_file import WHAT, read_replay
from mosim_gym.errors import DatasetError
from mosim_gym.files import as_path
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State


class StateSource(Protocol):
    """Anything recorded states can be drawn from."""

    def __len__(self) -> int:
        """Zero exactly if there is nothing to draw from."""
        ...

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        """`n` states, uniformly and independently."""
        ...


class ReplayStates:
    """The states a saved `StateReplayBuffer` holds.

    Args:
        states: all of them, float64.
        path: the file they are from.
        spec: the body they are of, if the buffer knew it.
    """

    def __init__(self, states: State, path: Path, spec: RobotSpec | None = None) -> None:
        """See the class."""
        self.states = states
        self.path = path
        self.spec = spec

    def __len__(self) -> int:
        """Number of states."""
        return len(self.states)

    def __repr__(self) -> str:
        """The file and sizes."""
        sizes = ", ".join(f"{name} {value.shape[1]}" for name, value in self.states.items())
        body = "" if self.spec is None else f" of {self.spec.name}"
        return f"ReplayStates({str(self.path)!r}: {len(self)} states{body}, {sizes})"

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        """`n` of the states, uniformly and independently."""
        return self.states[rng.integers(len(self), size=n)]


def load_replay_states(path: str | Path) -> ReplayStates:
    """The states in a file that `StateReplayBuffer.save` wrote; needs no SB3.

    Raises:
        DatasetError: if it is missing, truncated, foreign, not finite or empty.
    """
    content = read_replay(path, states_only=True)
    file, states = Path(path), content.states
    if not content.size or not {"qpos", "qvel"} <= set(states):
        raise DatasetError(f"{file} holds no state yet; save the buffer after the first steps.")
    fields = {n: v[: content.size].reshape(-1, v.shape[2]) for n, v in states.items()}
    for name, value in fields.items():
        if not np.isfinite(value).all():
            raise not_whole(file, WHAT, f"{name} holds NaN or infinite numbers")
    return ReplayStates(State.from_numpy(fields), file, content.robot)


def open_state_source(path: str | Path) -> StateSource:
    """What ``resets=path`` names: a dataset folder or a saved `StateReplayBuffer`.

    Raises:
        DatasetError: if there is nothing, or something else.
    """
    place = as_path(path, "a dataset folder or of a StateReplayBuffer's file", DatasetError)
    if place.is_dir():
        return Dataset.open(place)
    if place.is_file():
        return load_replay_states(place)
    raise DatasetError(
        f"Nothing at {place}; expected a dataset folder (mosim-gym collect) or a file written by "
        "StateReplayBuffer.save()."
    )
