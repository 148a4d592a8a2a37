"""The `dm_env.Environment` face: the drop-in for code written against `dm_control.suite.load`."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import dm_env
import numpy as np
from dm_env import specs

from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.options import WorldOptions, build_world
from mosim_gym.envs.world import World
from mosim_gym.errors import MosimError
from mosim_gym.registration import find_row
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Array


class MosimDmEnv(dm_env.Environment):
    """A world of one row as a `dm_env.Environment`, with dm_control's own specs.

    Args:
        world: of one row, with its time limit.
        action_spec: of the task.
        observation_spec: of the task.
    """

    def __init__(
        self, world: World, action_spec: specs.BoundedArray, observation_spec: Mapping[str, Any]
    ) -> None:
        """See the class."""
        self.world = world
        self._action_spec = action_spec
        self._observation_spec = observation_spec
        self._reset_next_step = True

    @property
    def robot(self) -> RobotSpec:
        """The body."""
        return self.world.engine.robot

    def reset(self) -> dm_env.TimeStep:
        """Start an episode."""
        self._reset_next_step = False
        return dm_env.restart(self._observation(self.world.reset()))

    def step(self, action: Array) -> dm_env.TimeStep:
        """One control step; after a last time step it starts a new episode instead."""
        if self._reset_next_step:
            return self.reset()
        outcome = self.world.step(np.asarray(action)[None])
        observation = self._observation(outcome.observation)
        reward = float(outcome.reward[0])
        self._reset_next_step = bool(outcome.done[0])
        if outcome.terminated[0]:
            return dm_env.termination(reward, observation)
        if outcome.truncated[0]:
            return dm_env.truncation(reward, observation)
        return dm_env.transition(reward, observation)

    def control_timestep(self) -> float:
        """Seconds a control step."""
        return self.robot.control_dt

    @property
    def physics(self) -> NoReturn:
        """There is none to reach into: a model has no MuJoCo data.

        Raises:
            AttributeError: saying where the state is.
        """
        raise AttributeError(
            "This environment has no physics of dm_control's: the state is world.engine.state(), "
            "and reset states are given by world.set_reset_source() or world.reset(options=...)."
        )

    def action_spec(self) -> specs.BoundedArray:
        """dm_control's own."""
        return self._action_spec

    def observation_spec(self) -> Mapping[str, Any]:
        """dm_control's own."""
        return self._observation_spec

    def _observation(self, flat: Array) -> OrderedDict[str, Array]:
        parts = self.world.engine.layout.split(flat.astype(np.float64))
        return OrderedDict((name, part[0].copy()) for name, part in parts.items())


#: Arguments of `gymnasium.make` and of `dm_control.suite.load` that are none of `load`.
_NOT_HERE = {
    "obs_order": "it gives dm_control's own dictionaries",
    "observe_pending": "observations are dm_control's own",
    "environment_kwargs": "control steps, time limit and observations are the task's own",
    "visualize_reward": 'films are made by gym.make(..., render_mode="rgb_array")',
}


def load(
    domain: str,
    task: str,
    task_kwargs: Mapping[str, Any] | None = None,
    **env_kwargs: Any,
) -> MosimDmEnv:
    """Use in place of `dm_control.suite.load`.

    Args:
        domain: dm_control's domain.
        task: dm_control's task.
        task_kwargs: ``random`` (a seed) and ``time_limit`` (seconds) for either dynamics; others
            with ``dynamics="mujoco"``.
        **env_kwargs: see `mosim_gym.envs.options.WorldOptions`.

    Raises:
        UnknownNameError: for a domain or task that is not there, listing near matches.
    """
    from mosim_gym.tasks.mujoco import load_dm_env

    for name, instead in _NOT_HERE.items():
        if name in env_kwargs:
            raise MosimError(f"load() does not take {name}: {instead}.")
    row = find_row(domain, task)
    others = dict(task_kwargs or {})
    seed = others.pop("random", None)
    seconds = others.pop("time_limit", None)
    true = load_dm_env(domain, task)
    steps: int | None = row.max_episode_steps
    if seconds is not None:
        steps = None if math.isinf(seconds) else math.ceil(seconds / true.control_timestep())
    options = cast(WorldOptions, {**env_kwargs, "task_kwargs": others})
    world = build_world(domain, task, 1, options, time_limit=steps, state_info=False)
    if isinstance(seed, np.random.RandomState):
        # True physics goes on with it, as dm_control would; a learned batch draws a seed from it.
        world.engine.seed([0], [seed])
        seed = int(seed.randint(2**31)) if isinstance(world.engine, LearnedEngine) else None
    if seed is not None:
        world.seed(seed)
    return MosimDmEnv(world, true.action_spec(), true.observation_spec())
