"""Recorded states to reset environments from: a dataset folder or a saved StateReplayBuffer."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.files import not_whole, read_npz
from mosim_gym.errors import DatasetError
from mosim_gym.types import FIELDS, State

#: Marks the file of a StateReplayBuffer and counts its versions.
REPLAY_VERSION = "state_replay_version"
CURRENT_REPLAY_VERSION = 1
STATE_PREFIX = "state_"
WHAT = "a StateReplayBuffer"


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
    """

    def __init__(self, states: State, path: Path) -> None:
        """See the class."""
        self.states = states
        self.path = path

    def __len__(self) -> int:
        """Number of states."""
        return len(self.states)

    def __repr__(self) -> str:
        """The file and sizes."""
        sizes = ", ".join(f"{name} {value.shape[1]}" for name, value in self.states.items())
        return f"ReplayStates({str(self.path)!r}: {len(self)} states, {sizes})"

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        """`n` of the states, uniformly and independently."""
        return self.states[rng.integers(len(self), size=n)]


def check_replay_version(path: Path, version: int | None) -> None:
    """Raise unless a file is of a StateReplayBuffer that this version reads."""
    if version is None:
        raise not_whole(path, WHAT, "it is an npz of something else")
    if version > CURRENT_REPLAY_VERSION:
        raise DatasetError(
            f"{path} is of version {version}, this mosim_gym reads up to "
            f"{CURRENT_REPLAY_VERSION}. Upgrade mosim_gym."
        )


def load_replay_states(path: str | Path) -> ReplayStates:
    """The states in a file that `StateReplayBuffer.save` wrote; needs no SB3.

    Raises:
        DatasetError: if it is missing, truncated, foreign, not finite or empty.
    """
    file = Path(path)
    names = [STATE_PREFIX + name for name in FIELDS]
    arrays = read_npz(file, WHAT, [REPLAY_VERSION, "size", *names])
    version = arrays.get(REPLAY_VERSION)
    check_replay_version(file, None if version is None else int(version))
    if "size" not in arrays or not {"state_qpos", "state_qvel"} <= set(arrays):
        raise DatasetError(f"{file} holds no state yet; save the buffer after the first steps.")
    size, lead = int(arrays["size"]), arrays["state_qpos"].shape[:2]
    fields = {}
    for name in FIELDS:
        if (value := arrays.get(STATE_PREFIX + name)) is None:
            continue
        if value.ndim != 3 or value.shape[:2] != lead or not 0 < size <= lead[0]:
            raise not_whole(file, WHAT, f"{name} has shape {value.shape}, size is {size}")
        fields[name] = value[:size].reshape(-1, value.shape[2])
        if not np.isfinite(fields[name]).all():
            raise not_whole(file, WHAT, f"{name} holds NaN or infinite numbers")
    return ReplayStates(State.from_numpy(fields), file)


def open_state_source(path: str | Path) -> StateSource:
    """What ``resets=path`` names: a dataset folder or a saved `StateReplayBuffer`.

    Raises:
        DatasetError: if there is nothing, or something else.
    """
    place = Path(path)
    if place.is_dir():
        return Dataset.open(place)
    if place.is_file():
        return load_replay_states(place)
    raise DatasetError(
        f"Nothing at {place}; expected a dataset folder (mosim-gym collect) or a file written by "
        "StateReplayBuffer.save()."
    )
