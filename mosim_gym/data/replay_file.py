"""The file of a StateReplayBuffer: an npz of its arrays, its states and, where known, its body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mosim_gym.data.files import is_pickle, not_whole, read_npz, write_npz
from mosim_gym.data.states import StateArrays
from mosim_gym.errors import DatasetError, MosimError
from mosim_gym.files import as_path
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import FIELDS, Array

WHAT = "a StateReplayBuffer"
#: Marks the file and counts its versions.
_VERSION = "state_replay_version"
_CURRENT_VERSION = 1
_PREFIX = "state_"
_COUNTERS = ("size", "pos", "buffer_size")
_ROBOT = "robot"


@dataclass(frozen=True, slots=True, eq=False)
class ReplayFile:
    """What such a file holds.

    Attributes:
        states: state arrays ``(rows, n_envs, n)``, at least `size` rows; empty before any step.
        size: number of rows that are filled.
        pos: the row written next.
        buffer_size: number of rows of the buffer.
        robot: the body, if the buffer was told.
        arrays: SB3's own, by name, each with at least `size` rows.
    """

    states: StateArrays
    size: int
    pos: int
    buffer_size: int
    robot: RobotSpec | None
    arrays: Mapping[str, Array]


def write_replay(path: str | Path, content: ReplayFile) -> None:
    """Write a file, atomically and without pickle.

    Raises:
        DatasetError: if it cannot be written.
    """
    arrays = dict(content.arrays)
    arrays |= {_PREFIX + name: value for name, value in content.states.items()}
    arrays |= {name: np.array(getattr(content, name)) for name in _COUNTERS}
    arrays[_VERSION] = np.array(_CURRENT_VERSION)
    if content.robot is not None:
        arrays[_ROBOT] = np.array(json.dumps(content.robot.to_json()))
    write_npz(as_path(path, "the file to write", DatasetError), arrays)


def read_replay(path: str | Path, *, states_only: bool = False) -> ReplayFile:
    """Read a file; with `states_only` SB3's arrays are left out.

    Raises:
        DatasetError: if it is missing, truncated, foreign or of a newer version.
    """
    file = as_path(path, f"the file of {WHAT}", DatasetError)
    state_names = [_PREFIX + name for name in FIELDS]
    own = [_VERSION, _ROBOT, *_COUNTERS, *state_names]
    arrays = _read(file, own if states_only else None)
    _check_version(file, arrays)
    size, pos, buffer_size = (_integer(file, arrays, name) for name in _COUNTERS)
    if not (0 <= pos < buffer_size and (size == pos or size == buffer_size)):
        raise not_whole(file, WHAT, f"its counters are size {size}, pos {pos}")
    states = {n.removeprefix(_PREFIX): arrays[n] for n in state_names if n in arrays}
    lead = states["qpos"].shape[:2] if "qpos" in states else ()
    for name, value in states.items():
        if value.ndim != 3 or value.shape[:2] != lead or len(value) < size:
            raise not_whole(file, WHAT, f"{name} has shape {value.shape}, size is {size}")
    rest = {name: value for name, value in arrays.items() if name not in own}
    return ReplayFile(states, size, pos, buffer_size, _robot(file, arrays), rest)


def require_like(file: Path, name: str, given: Array | None, target: Array) -> None:
    """Raise unless an array of a file can be put into the buffer's array `target`.

    Raises:
        DatasetError: if it is missing, or differs in type or shape.
    """
    fits = given is not None and given.dtype == target.dtype and given.ndim == target.ndim
    if given is None or not fits or given.shape[1:] != target.shape[1:]:
        found = "missing" if given is None else f"{given.dtype} {given.shape[1:]}"
        raise DatasetError(
            f"{file}: {name} is {found}, in this buffer {target.dtype} {target.shape[1:]}. Make "
            "the buffer with the same spaces, n_envs and options as the one that was saved."
        )
    if len(given) > len(target):
        raise not_whole(file, WHAT, f"{name} has {len(given)} rows")


def _read(file: Path, names: list[str] | None) -> dict[str, Array]:
    try:
        return read_npz(file, WHAT, names)
    except DatasetError as error:
        if not is_pickle(file):
            raise
        raise DatasetError(
            f"{file} is a pickle, and pickles are not read; expected the file of {WHAT}. If SB3's "
            "save_replay_buffer wrote it: make the agent with "
            "replay_buffer_class=StateReplayBuffer and save the buffer itself, "
            'agent.replay_buffer.save("buffer.npz").'
        ) from error


def _check_version(file: Path, arrays: Mapping[str, Array]) -> None:
    if _VERSION not in arrays:
        raise not_whole(file, WHAT, "it is an npz of something else")
    version = _integer(file, arrays, _VERSION)
    if version > _CURRENT_VERSION:
        raise DatasetError(
            f"{file} is of version {version}, this mosim_gym reads up to {_CURRENT_VERSION}. "
            "Upgrade mosim_gym."
        )


def _integer(file: Path, arrays: Mapping[str, Array], name: str) -> int:
    value = arrays.get(name)
    if value is None or value.ndim or value.dtype.kind not in "iu":
        raise not_whole(file, WHAT, f"{name} is {'missing' if value is None else 'no integer'}")
    return int(value)


def _robot(file: Path, arrays: Mapping[str, Array]) -> RobotSpec | None:
    if _ROBOT not in arrays:
        return None
    try:
        return RobotSpec.from_json(json.loads(str(arrays[_ROBOT])))
    except (ValueError, TypeError, MosimError) as error:
        raise not_whole(file, WHAT, f"its robot is foreign ({error})") from error
