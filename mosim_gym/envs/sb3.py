"""The Stable-Baselines3 face: a `VecEnv` whose rows are stepped in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from mosim_gym.envs.info import row_fields, row_info, row_report
from mosim_gym.envs.options import WorldOptions, build_world, obs_order_of
from mosim_gym.envs.resets import ResetSource
from mosim_gym.envs.spaces import ObservationFormat, action_space, row_of
from mosim_gym.envs.world import Outcome
from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.registration import find_env
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.render import SceneRenderer, check_render_mode
from mosim_gym.types import FIELDS, Array


class MosimVecEnv(VecEnv):
    """`n_envs` copies of a task for SB3; a row that is done is reset in the same step.

    Args:
        domain: dm_control's domain.
        task: dm_control's task.
        n_envs: number of rows.
        max_episode_steps: truncate episodes after that many steps.
        render_mode: ``None`` or "rgb_array".
        **options: see `mosim_gym.envs.options.WorldOptions`; ``state_info`` is on by default for
            true physics only.
    """

    def __init__(
        self,
        domain: str,
        task: str,
        *,
        n_envs: int,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Unpack[WorldOptions],
    ) -> None:
        """See the class."""
        # VecEnv.__init__ asks for the render mode, so all of it has to be there before.
        self.render_mode = check_render_mode(render_mode)
        self.world = build_world(domain, task, n_envs, options, time_limit=max_episode_steps)
        self._format = ObservationFormat(self.world.layout, obs_order_of(options))
        self._renderer = SceneRenderer(domain, task)
        self._actions: Array | None = None
        super().__init__(n_envs, self._format.space, action_space(self.robot))

    @property
    def robot(self) -> RobotSpec:
        """The body."""
        return self.world.engine.robot

    @property
    def horizon(self) -> int | None:
        """Steps after which rows are truncated; may be set between steps (``set_attr``)."""
        return self.world.horizon

    @horizon.setter
    def horizon(self, steps: int | None) -> None:
        self.world.set_horizon(steps)

    def set_reset_source(self, source: ResetSource, indices: VecEnvIndices = None) -> None:
        """Let later episodes of `indices` (all by default) start from `source`."""
        self._set_source(source, rows=list(self._get_indices(indices)))

    def reset(self) -> VecEnvObs:
        """Start all episodes, with the seeds and options set for them."""
        if any(seed is not None for seed in self._seeds):
            self.world.seed(self._seeds)
        observation = self.world.reset(options=self._stacked_options())
        self._reset_seeds()
        self._reset_options()
        self._fill_reset_infos(range(self.num_envs))
        return self._format.pack(observation)

    def step_async(self, actions: Array) -> None:
        """Remember the actions ``(n_envs, nu)``."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One control step of every row; see SB3's `VecEnv.step_wait` for what is returned."""
        assert self._actions is not None, "step_wait() needs step_async(actions) before it"
        outcome = self.world.step(self._actions)
        self._actions = None
        infos = self._infos(outcome)
        observation, done = outcome.observation, outcome.done
        finished = np.flatnonzero(done)
        if len(finished):
            last = self._format.pack(observation)
            for row in finished.tolist():
                infos[row]["terminal_observation"] = row_of(last, row)
                infos[row]["TimeLimit.truncated"] = bool(
                    outcome.truncated[row] and not outcome.terminated[row]
                )
            observation = self.world.reset(finished)
            self._fill_reset_infos(finished.tolist())
        return self._format.pack(observation), outcome.reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()

    def get_images(self) -> Sequence[Array | None]:
        """The current states as RGB images."""
        state = self.world.engine.state()
        return [self._renderer.draw(row_fields(state, row)) for row in range(self.num_envs)]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, once for each of `indices`: all rows share it."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute; only for all rows at once, since they share it."""
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise AttributeError(f"{attr_name!r} is shared by all rows; set it without indices.")
        setattr(self, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """``env_method("set_reset_source", source, indices=None)`` is the one there is."""
        if method_name != "set_reset_source":
            raise AttributeError(str(unknown_name("env method", method_name, ["set_reset_source"])))
        self._set_source(*method_args, **method_kwargs, rows=list(self._get_indices(indices)))
        return [None for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No row has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]

    def _set_source(self, source: ResetSource, *, rows: list[int]) -> None:
        self.world.set_reset_source(source, rows)

    def _infos(self, outcome: Outcome) -> list[dict[str, Any]]:
        if outcome.report:
            return [row_info(outcome, row) for row in range(self.num_envs)]
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in outcome.reasons:
            infos[row] = row_info(outcome, row)
        return infos

    def _fill_reset_infos(self, rows: Iterable[int]) -> None:
        report = self.world.report()
        for row in rows:
            self.reset_infos[row] = row_report(report, row)

    def _stacked_options(self) -> dict[str, Array]:
        stacked = {}
        for name in FIELDS:
            given = [options.get(name) is not None for options in self._options]
            if any(given) and not all(given):
                raise MosimError(
                    f"set_options gave {name} to envs {np.flatnonzero(given).tolist()} of "
                    f"{self.num_envs}; expected it for all of them or none. For some rows "
                    'use env_method("set_reset_source", source, indices=...).'
                )
            if all(given):
                stacked[name] = np.stack([np.asarray(row[name]) for row in self._options])
        return stacked


def make_sb3_vec_env(
    env_id: str, n_envs: int = 64, seed: int | None = 0, **env_kwargs: Any
) -> VecMonitor:
    """A monitored SB3 `VecEnv` whose rows are stepped in one network call.

    Args:
        env_id: such as "MoSim/reacher-easy-v0".
        n_envs: number of rows.
        seed: of the first reset; ``None`` for none.
        **env_kwargs: ``max_episode_steps`` (by default the task's own), ``render_mode`` and those
            of `mosim_gym.envs.options.WorldOptions`.
    """
    row = find_env(env_id)
    limits = {"max_episode_steps": row.max_episode_steps, **env_kwargs}
    env = MosimVecEnv(row.domain, row.task, n_envs=n_envs, **limits)
    if seed is not None:
        env.seed(seed)
    return VecMonitor(env)
