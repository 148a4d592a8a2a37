"""How late actions arrive on a real system: found in its data, and taken out of it.

A model of states and the actions that act on them knows no delay; one that is told the actions as
they were chosen would have to take them for noise.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.episode import Episode
from mosim_gym.errors import DatasetError
from mosim_gym.types import Float64Array

_TINY = 1e-12


def arrived(dataset: Dataset, steps: int) -> Dataset:
    """The same episodes with the actions that acted in each step, `steps` after they were chosen.

    Until the first arrives, controls are those at rest.
    """
    if steps == 0:
        return dataset
    rest = dataset.spec.action_at_rest

    def shifted(episode: Episode) -> Episode:
        action = np.concatenate([np.tile(rest, (steps, 1)), episode.action])
        return dataclasses.replace(episode, action=action[: len(episode.action)])

    return dataset.mapped(shifted)


def find_action_delay(dataset: Dataset, most: int = 5) -> int:
    """After how many control steps actions act, 0 to `most`.

    Changes of velocity are explained linearly by the state and the actions of so many steps ago;
    what leaves least unexplained is the delay. Wants actions that change, such as those of the held
    random policy.

    Args:
        dataset: recorded with actions as they were chosen.
        most: longest delay looked for.

    Raises:
        DatasetError: if no episode is longer than that.
    """
    episodes = [episode for episode in dataset.episodes if len(episode.action) > most]
    if not episodes:
        raise DatasetError(
            f"No episode of {dataset.path} is longer than {most} steps; a delay cannot be found."
        )
    change = np.concatenate([np.diff(episode.qvel[most:], axis=0) for episode in episodes])
    change = change / np.maximum(change.std(0), _TINY)
    seen = np.concatenate([_shown(episode, most) for episode in episodes])
    left = []
    for lag in range(most + 1):
        acted = [episode.action[most - lag : len(episode.action) - lag] for episode in episodes]
        known = np.concatenate([seen, np.concatenate(acted)], 1)
        weights = np.linalg.lstsq(known, change, rcond=_TINY)[0]
        left.append(float(np.square(change - known @ weights).mean()))
    return int(np.argmin(left))


def _shown(episode: Episode, start: int) -> Float64Array:
    """States from a step on, ``(steps, n)``, with a constant."""
    qpos, qvel = episode.qpos[start:-1], episode.qvel[start:-1]
    return np.concatenate([qpos, qvel, np.sin(qpos), np.cos(qpos), np.ones((len(qpos), 1))], 1)
