"""Datasets from logs: motion that was recorded elsewhere, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.errors import DatasetError
from mosim_gym.files import as_path, cannot_write
from mosim_gym.robots.spec import RobotSpec


def write_logs(
    out: str | Path, spec: RobotSpec, episodes: Iterable[Episode], *, source: str = "logs"
) -> Dataset:
    """Write a dataset folder that `fit` reads as one that was collected.

    Args:
        out: the folder; empty or not there.
        spec: the body, such as ``RobotSpec.from_mjcf(path, n_substeps=n)``.
        episodes: uninterrupted stretches of motion, a row every control step of the spec.
        source: where they are from, for the metadata and the card of what is fitted.

    Raises:
        DatasetError: if an episode does not fit the body, or the folder is in use or cannot be
            written.
    """
    folder = as_path(out, "a dataset folder to write", DatasetError)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise DatasetError(f"{folder} is not empty; choose another folder for the logs.")
        whole = list(episodes)
        for index, episode in enumerate(whole):
            episode.check(spec, substeps=False, where=f"log {index}")
        for index, episode in enumerate(whole):
            path = episode_path(folder, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_episode(path, episode)
        folder.mkdir(parents=True, exist_ok=True)
        # Last: a folder without it is not taken for a whole dataset.
        write_metadata(folder, Metadata(robot=spec, source=source, policy="unknown"))
    except OSError as error:
        raise cannot_write(folder, error, DatasetError) from error
    return Dataset.open(folder)
