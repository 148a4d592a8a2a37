"""What is wrong with a run, before it takes any step."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import gymnasium as gym

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.resume import differences
from mosim_gym.registration import TaskRow
from mosim_gym.rl.presets import AgentPreset
from mosim_gym.rl.strategies import Strategy

#: File of a run's settings in its folder.
CONFIG = "config.json"
#: Settings that say where and how a run was judged and made, not what it is.
_BESIDES = "environment"


def check_numbers(
    row: TaskRow, turns: Strategy, real_steps: int, dynamics: str, action_delay: int | None
) -> None:
    """Raise if these settings lead nowhere."""
    if dynamics not in ("learned", "mujoco"):
        raise MosimError(f"dynamics is {dynamics!r}; expected learned or mujoco.")
    if real_steps <= turns.first_steps:
        raise MosimError(
            f"real_steps is {real_steps}; expected more than the {turns.first_steps} steps that "
            f"{turns.name} takes before its first fit."
        )
    if action_delay is not None and (
        isinstance(action_delay, bool) or not isinstance(action_delay, int) or action_delay < 0
    ):
        raise MosimError(
            f"action_delay is {action_delay!r}; expected a whole number of 0 or more, or None to "
            "find out."
        )
    limit = row.max_episode_steps
    if limit is None or limit > turns.first_steps:
        raise MosimError(
            f"An episode of {row.env_id} takes {limit or 'unlimited'} steps, the first fit comes "
            f"after {turns.first_steps}; models learn from whole episodes. Give a strategy with "
            "larger first_steps."
        )


def check_reality(env: gym.Env[Any, Any], row: TaskRow, preset: Preset | None) -> None:
    """Raise if what is seen there is not what is imagined, by true physics without a preset."""
    if not env.has_wrapper_attr("robot"):
        raise MosimError(
            "Reality does not say what body it is. Let the environment's `robot` be that of "
            f'gym.make("{row.env_id}", dynamics="mujoco"), also where the real one is not quite '
            "that."
        )
    robot = env.get_wrapper_attr("robot")
    expected_body = (row.body.fingerprint, row.body.n_substeps)
    if (robot.fingerprint, robot.n_substeps) != expected_body:
        raise MosimError(
            f"Reality is a {robot.name} with fingerprint {robot.fingerprint} and "
            f"{robot.n_substeps} physics steps a control step; {row.env_id} has "
            f"{row.body.fingerprint} and {row.body.n_substeps}. A real body that is not quite the "
            "task's says that it is: let the environment's `robot` be that of gym.make"
            f'("{row.env_id}", dynamics="mujoco").'
        )
    if robot.touch and preset is not None:
        if not Simulator(robot, preset.model_config(robot, touch=True)).feels:
            raise MosimError(
                f"{row.env_id} observes touch sensors, which a model of preset {preset.name} does "
                'not tell while it is learned on the way. Give model="articulated", if the body is '
                "covered; or fit a network that tells them (mosim-gym learn) and train with "
                'strategy="zero_shot".'
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


def check_same_run(folder: Path, settings: dict[str, Any]) -> None:
    """Raise if the run in this folder is another, or finished."""
    there = json.loads((folder / CONFIG).read_text())
    there.pop(_BESIDES, None)
    # What a run that began before there was such a setting did without saying so.
    if "strategy" in there:
        there.setdefault("observe_pending", False)
        strategy = there["strategy"] = {**_defaults(Strategy), **there["strategy"]}
        strategy["agent"] = {**_defaults(AgentPreset), **strategy["agent"]}
    else:
        there["preset"] = {**_defaults(AgentPreset), **there.get("preset", {})}
    now = {name: value for name, value in settings.items() if name != _BESIDES}
    differ = differences("", there, now)
    if differ:
        raise MosimError(
            f"The run in {folder} has other settings: {', '.join(differ)}. Resume it with its "
            "own, or give another --out."
        )
    result = folder / "result.json"
    if result.exists() and not json.loads(result.read_text())["interrupted"]:
        raise MosimError(f"The run in {folder} is finished; give another --out for a new one.")


def _defaults(settings: type[Strategy] | type[AgentPreset]) -> dict[str, Any]:
    chosen = {field.name: field.default for field in fields(settings)}
    return {name: value for name, value in chosen.items() if value is not MISSING}
