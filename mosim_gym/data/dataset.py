"""Dataset: a folder of recorded episodes, as transitions, windows and start states.

The folder holds ``metadata.json`` and ``episodes/000000.npz ...``, one file a whole episode.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mosim_gym.data import batches
from mosim_gym.data.batches import Transitions, Windows
from mosim_gym.data.episode import Episode, load_episode
from mosim_gym.data.files import not_whole
from mosim_gym.data.metadata import Metadata, read_metadata
from mosim_gym.errors import DatasetError
from mosim_gym.files import as_path
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State

_EPISODE_NAME = re.compile(r"\d{6,}\.npz")


def episode_path(folder: Path, index: int) -> Path:
    """The file of episode number `index` in a dataset folder."""
    return folder / "episodes" / f"{index:06d}.npz"


def episode_files(folder: Path) -> dict[int, Path]:
    """The episode files of a dataset folder by number, in order; other files are left out."""
    try:
        names = os.listdir(folder / "episodes")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    numbers = sorted(int(name[:-4]) for name in names if _EPISODE_NAME.fullmatch(name))
    return {number: episode_path(folder, number) for number in numbers}


class Dataset:
    """Recorded episodes of one robot.

    Opening looks at names and file ends only; arrays are read when first asked for, and shared
    between a dataset and its splits.

    Attributes:
        path: the folder.
        metadata: how it was recorded.
    """

    def __init__(
        self,
        path: Path,
        metadata: Metadata,
        files: Sequence[Path],
        cache: dict[Path, Episode] | None = None,
    ) -> None:
        """Use `Dataset.open`; this is for parts of a dataset.

        Args:
            path: the folder.
            metadata: how it was recorded.
            files: the episodes that belong to this part.
            cache: episodes read so far, shared with the other parts.
        """
        self.path = path
        self.metadata = metadata
        self._files = tuple(files)
        self._cache = {} if cache is None else cache

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """Open a dataset folder.

        Args:
            path: the folder given to ``mosim-gym collect --out`` or to a `Recorder`.

        Raises:
            DatasetError: if the folder or its metadata is missing or foreign, its schema newer
                than this version reads, or an episode file truncated.
        """
        folder = as_path(path, "a dataset folder", DatasetError)
        metadata = read_metadata(folder)
        files = tuple(episode_files(folder).values())
        for file in files:
            # A zip's directory is at its end: a cheap check that the file is whole.
            if not zipfile.is_zipfile(file):
                raise not_whole(file, "an episode", "it is not a whole npz archive")
        return cls(folder, metadata, files)

    def again(self) -> Dataset:
        """What the folder holds now; arrays that were read are not read again."""
        files = tuple(episode_files(self.path).values())
        return Dataset(self.path, self.metadata, files, self._cache)

    def mapped(self, change: Callable[[Episode], Episode]) -> Dataset:
        """The same with every episode changed; the files stay as they are."""
        changed = zip(self._files, map(change, self._some_episodes()), strict=True)
        return Dataset(self.path, self.metadata, self._files, dict(changed))

    def last(self, episodes: int) -> Dataset:
        """The last episodes only, 1 or more."""
        return Dataset(self.path, self.metadata, self._files[-episodes:], self._cache)

    @property
    def spec(self) -> RobotSpec:
        """The body that moved."""
        return self.metadata.robot

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._files)

    def __repr__(self) -> str:
        """What it holds and how it was recorded."""
        m = self.metadata
        extras = f", noise {m.noise:g}" if m.noise else ""
        extras += ", with physics steps" if m.substeps else ""
        steps = f" ({self.n_steps} steps)" if "episodes" in self.__dict__ else ""
        return (
            f"Dataset({str(self.path)!r}: {len(self)} episodes{steps} of {self.spec.name}, "
            f"source {m.source!r}, policy {m.policy!r}, seed {m.seed}{extras})"
        )

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """The episodes, in order.

        Raises:
            DatasetError: for a file that is truncated, foreign, mis-shaped or not finite.
        """
        loaded = tuple(self._load(file) for file in self._files)
        for file, episode in zip(self._files, loaded, strict=True):
            for name, what in (("context", "a context"), ("touch", "touch readings")):
                mine, first = (_width(e, name) for e in (episode, loaded[0]))
                if mine != first:
                    raise DatasetError(
                        f"{file} has {what} of {mine} numbers, {self._files[0]} of {first}; "
                        "expected the same in every episode. Remove the one that does not belong."
                    )
        return loaded

    @property
    def has_touch(self) -> bool:
        """Whether readings of touch sensors were recorded."""
        return any(episode.touch is not None for episode in self.episodes[:1])

    @property
    def n_steps(self) -> int:
        """Number of control steps in all episodes."""
        return sum(len(episode) for episode in self.episodes)

    def transitions(self) -> Transitions:
        """Every control step, N = `n_steps` rows; consecutive ones chain within an episode."""
        return batches.transitions(self._some_episodes())

    def substep_transitions(self) -> Transitions:
        """Every physics step, the action repeated; N = `n_steps` * `spec.n_substeps` rows.

        Raises:
            DatasetError: if the physics steps were not recorded.
        """
        if self.metadata.substeps:
            return batches.substep_transitions(self._some_episodes())
        if self.spec.n_substeps == 1:
            return self.transitions()
        raise DatasetError(
            f"{self.path} holds control steps only, {self.spec.n_substeps} physics steps each. "
            "Record it with `mosim-gym collect --substeps` to train at the physics step."
        )

    def windows(self, horizon: int, stride: int | None = None) -> Windows:
        """Stretches of `horizon` control steps that do not cross episodes.

        Args:
            horizon: control steps in each, >= 1.
            stride: control steps from one start to the next; `horizon` by default.

        Raises:
            DatasetError: if horizon or stride is below 1, or no episode is long enough.
        """
        stride = horizon if stride is None else stride
        for name, value in (("horizon", horizon), ("stride", stride)):
            if value < 1:
                raise DatasetError(f"{name} is {value!r}; expected an integer >= 1.")
        episodes = self._some_episodes()
        longest = max(len(episode) for episode in episodes)
        if longest < horizon:
            raise DatasetError(
                f"No window of {horizon} steps in {self.path}: its longest episode has {longest}. "
                "Ask for a shorter horizon or record longer episodes."
            )
        return batches.windows(episodes, horizon, stride)

    def start_states(self, *, first_only: bool = False) -> State:
        """States to start rollouts from: every recorded one, or the first of each episode."""
        return batches.states(self._some_episodes(), first_only=first_only)

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        """`n` of the recorded states, uniformly and independently."""
        rows = rng.integers(len(self._all_states), size=n)
        return self._all_states[rows]

    def split(self, fractions: Sequence[float], seed: int = 0) -> tuple[Dataset, ...]:
        """Parts of whole episodes, shuffled; the same for the same seed.

        Args:
            fractions: the share of each part, positive, their sum at most 1. Every part gets at
                least one episode.
            seed: of the shuffle.

        Raises:
            DatasetError: if the fractions are wrong or there are fewer episodes than parts.
        """
        bounds = _split_bounds(len(self), fractions, self.path)
        order = np.random.default_rng(seed).permutation(len(self))
        chosen = (sorted(order[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True))
        return tuple(
            Dataset(self.path, self.metadata, [self._files[i] for i in part], self._cache)
            for part in chosen
        )

    @cached_property
    def _all_states(self) -> State:
        return self.start_states()

    def _some_episodes(self) -> tuple[Episode, ...]:
        if not self._files:
            raise DatasetError(
                f"{self.path} holds no whole episode yet. Run `mosim-gym collect` with the same "
                "--out again, or let the recording reach the end of an episode."
            )
        return self.episodes

    def _load(self, file: Path) -> Episode:
        if file not in self._cache:
            substeps = self.metadata.substeps
            self._cache[file] = load_episode(file, self.spec, substeps=substeps)
        return self._cache[file]


def _width(episode: Episode, name: str) -> int:
    value = getattr(episode, name)
    return 0 if value is None else int(value.shape[1])


def _split_bounds(count: int, fractions: Sequence[float], path: Path) -> list[int]:
    valid = all(math.isfinite(f) and f > 0 for f in fractions) and sum(fractions) < 1 + 1e-9
    if not fractions or not valid:
        raise DatasetError(
            f"Cannot split by {list(fractions)}; expected positive fractions with a sum of at "
            "most 1, such as [0.9, 0.1]."
        )
    if count < len(fractions):
        raise DatasetError(
            f"Cannot split the {count} episodes of {path} into {len(fractions)} parts; "
            "record at least one episode a part."
        )
    bounds = [0]
    for k, share in enumerate(np.cumsum(fractions), start=1):
        # Room for at least one episode in this part and in each that follows.
        left_for_others = len(fractions) - k
        bounds.append(int(np.clip(round(share * count), bounds[-1] + 1, count - left_for_others)))
    return bounds
