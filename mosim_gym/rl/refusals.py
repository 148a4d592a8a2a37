"""What is wrong with a run of few real steps, before it takes any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym

from mosim_gym.errors import MosimError
from mosim_gym.fit.resume import differences
from mosim_gym.registration import TaskRow
from mosim_gym.rl.strategies import Strategy

#: Settings that say where and how a run was judged and made, not what it is.
_BESIDES = "environment"


def check_numbers(row: TaskRow, turns: Strategy, real_steps: int, dynamics: str) -> None:
    """Raise if these settings lead nowhere."""
    if dynamics not in ("learned", "mujoco"):
        raise MosimError(f"dynamics is {dynamics!r}; expected learned or mujoco.")
    if real_steps <= turns.first_steps:
        raise MosimError(
            f"real_steps is {real_steps}; expected more than the {turns.first_steps} steps that "
            f"{turns.name} takes before its first fit."
        )
    limit = row.max_episode_steps
    if limit is None or limit > turns.first_steps:
        raise MosimError(
            f"An episode of {row.env_id} takes {limit or 'unlimited'} steps, the first fit comes "
            f"after {turns.first_steps}; models learn from whole episodes. Give a strategy with "
            "larger first_steps."
        )


def check_reality(env: gym.Env[Any, Any], row: TaskRow) -> None:
    """Raise if what is seen there is not what is imagined."""
    if env.has_wrapper_attr("robot") and env.get_wrapper_attr("robot").touch:
        raise MosimError(
            f"{row.env_id} observes touch sensors, which a model learned on the way does not tell "
            'yet. Fit one that does (mosim-gym learn) and train with strategy="zero_shot".'
        )
    ours = gym.make(row.env_id, dynamics="mujoco")
    try:
        for name in ("observation_space", "action_space"):
            given, expected = getattr(env, name), getattr(ours, name)
            if given != expected:
                raise MosimError(
                    f"The {name} of reality is {given}; expected that of {row.env_id}, {expected}: "
                    'observations in dm_control\'s own order (obs_order="native"), float32.'
                )
    finally:
        ours.close()


def check_same_run(file: Path, settings: dict[str, Any]) -> None:
    """Raise if the run of this ``config.json`` is another."""
    there = json.loads(file.read_text())
    there.pop(_BESIDES, None)
    now = {name: value for name, value in settings.items() if name != _BESIDES}
    differ = differences("", there, now)
    if differ:
        raise MosimError(
            f"The run in {file.parent} has other settings: {', '.join(differ)}. Resume it with its "
            "own, or give another --out."
        )
