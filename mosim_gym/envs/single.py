"""The `gymnasium.Env` face: one body."""

from __future__ import annotations

from typing import Any, Unpack

import gymnasium as gym
import numpy as np

from mosim_gym.envs.info import row_fields, row_info, row_report
from mosim_gym.envs.options import WorldOptions, build_world, obs_order_of
from mosim_gym.envs.resets import ResetSource
from mosim_gym.envs.spaces import ObservationFormat, action_space, row_of
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.render import RENDER_MODES, SceneRenderer, check_render_mode
from mosim_gym.types import Array


class MosimEnv(gym.Env[Any, Array]):
    """A dm_control task on a learned model or on true physics, as a Gymnasium environment.

    It has no time limit of its own: `gymnasium.make` adds dm_control's through `TimeLimit`.

    Args:
        domain: dm_control's domain.
        task: dm_control's task.
        render_mode: ``None`` or "rgb_array".
        **options: see `mosim_gym.envs.options.WorldOptions`; ``state_info`` is on by default.
    """

    def __init__(
        self,
        domain: str,
        task: str,
        *,
        render_mode: str | None = None,
        **options: Unpack[WorldOptions],
    ) -> None:
        """See the class."""
        self.render_mode = check_render_mode(render_mode)
        self.world = build_world(domain, task, 1, options, state_info=True)
        self.metadata = {
            "render_modes": RENDER_MODES,
            "render_fps": round(1 / self.robot.control_dt),
        }
        self._format = ObservationFormat(self.world.layout, obs_order_of(options))
        self._renderer = SceneRenderer(domain, task)
        self.observation_space = self._format.space
        self.action_space = action_space(self.robot)

    #: `gymnasium.make` reads the modes from the class.
    metadata = {"render_modes": RENDER_MODES, "render_fps": 50}

    @property
    def robot(self) -> RobotSpec:
        """The body."""
        return self.world.engine.robot

    def set_reset_source(self, source: ResetSource) -> None:
        """Let later episodes start from `source`; see `mosim_gym.ReplayResets`."""
        self.world.set_reset_source(source)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seeds every random number; with true physics as `dm_control.suite.load` does.
            options: any of qpos, qvel, act, context ``(n,)`` to start from; others are ignored.
        """
        super().reset(seed=seed)
        if seed is not None:
            self.world.seed(seed)
        observation = self._format.pack(self.world.reset(options=options))
        return row_of(observation, 0), row_report(self.world.report(), 0)

    def step(self, action: Array) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One control step under `action` ``(nu,)``, clipped to the action space."""
        action = np.asarray(action)
        if action.shape != self.action_space.shape:
            raise MosimError(
                f"The action has shape {action.shape}; expected {self.action_space.shape}: one "
                f"entry an actuator of {self.robot.name}."
            )
        outcome = self.world.step(action[None])
        return (
            row_of(self._format.pack(outcome.observation), 0),
            float(outcome.reward[0]),
            bool(outcome.terminated[0]),
            bool(outcome.truncated[0]),
            row_info(outcome, 0),
        )

    def render(self) -> Any:
        """The current state as an RGB image ``(height, width, 3)`` uint8, or ``None``."""
        if self.render_mode is None:
            return None
        return self._renderer.draw(row_fields(self.world.engine.state(), 0))

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
