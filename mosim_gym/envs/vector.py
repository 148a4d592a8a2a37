"""The `gymnasium.vector.VectorEnv` face: many bodies, stepped in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mosim_gym.envs.info import TRUNCATION, row_info
from mosim_gym.envs.options import WorldOptions, build_world, obs_order_of
from mosim_gym.envs.resets import ResetSource
from mosim_gym.envs.spaces import ObservationFormat, action_space, row_of
from mosim_gym.envs.world import Outcome, Report
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.render import RENDER_MODES, SceneRenderer, check_render_mode
from mosim_gym.types import FIELDS, Array


class MosimVectorEnv(VectorEnv[Any, Array, Array]):
    """`num_envs` copies of a task; a row that is done is reset in the same step.

    Its last observation and info are in ``infos["final_obs"]`` and ``infos["final_info"]``
    (`gymnasium.vector.AutoresetMode.SAME_STEP`).

    Args:
        domain: dm_control's domain.
        task: dm_control's task.
        num_envs: number of rows.
        max_episode_steps: truncate episodes after that many steps.
        render_mode: ``None`` or "rgb_array".
        **options: see `mosim_gym.envs.options.WorldOptions`; ``state_info`` is on by default for
            true physics only.
    """

    metadata: dict[str, Any] = {
        "render_modes": RENDER_MODES,
        "render_fps": 50,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        domain: str,
        task: str,
        *,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Unpack[WorldOptions],
    ) -> None:
        """See the class."""
        self.render_mode = check_render_mode(render_mode)
        self.world = build_world(domain, task, num_envs, options, time_limit=max_episode_steps)
        self.num_envs = num_envs
        self.metadata = {**self.metadata, "render_fps": round(1 / self.robot.control_dt)}
        self._format = ObservationFormat(self.world.layout, obs_order_of(options))
        self._renderer = SceneRenderer(domain, task)
        self.single_observation_space = self._format.space
        self.single_action_space = action_space(self.robot)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def robot(self) -> RobotSpec:
        """The body."""
        return self.world.engine.robot

    def set_reset_source(self, source: ResetSource, indices: Sequence[int] | None = None) -> None:
        """Let later episodes of `indices` (all by default) start from `source`."""
        self.world.set_reset_source(source, indices)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes.

        Args:
            seed: row i of true physics is seeded with ``seed + i``, or ``seed[i]``.
            options: any of qpos, qvel, act, context ``(num_envs, n)`` to start from;
                ``reset_mask`` ``(num_envs,)`` bool resets those rows only.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        rows = self._masked_rows(options)
        if seed is not None:
            self.world.seed(seed, rows)
        observation = self._format.pack(self.world.reset(rows, self._given(options, rows)))
        mask = np.zeros(self.num_envs, dtype=bool)
        mask[rows] = True
        return observation, _with_masks(self.world.report(), mask)

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """One control step of every row under `actions` ``(num_envs, nu)``, clipped."""
        outcome = self.world.step(actions)
        infos = self._infos(outcome)
        observation = outcome.observation
        finished = np.flatnonzero(outcome.done)
        if len(finished):
            last = self._format.pack(observation)
            for row in finished.tolist():
                final = {"final_obs": row_of(last, row), "final_info": row_info(outcome, row)}
                infos = self._add_info(infos, final, row)
            observation = self.world.reset(finished)
        return (
            self._format.pack(observation),
            outcome.reward,
            outcome.terminated,
            outcome.truncated,
            infos,
        )

    def render(self) -> Any:
        """The current states as a tuple of RGB images, or ``None``."""
        if self.render_mode is None:
            return None
        state = self.world.engine.state()
        return tuple(
            self._renderer.draw({name: value[row] for name, value in state.items()})
            for row in range(self.num_envs)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderer."""
        self._renderer.close()

    def _infos(self, outcome: Outcome) -> dict[str, Any]:
        infos = _with_masks(outcome.report, np.ones(self.num_envs, dtype=bool))
        for row, reason in outcome.reasons.items():
            infos = self._add_info(infos, {TRUNCATION: reason.value}, row)
        return infos

    def _masked_rows(self, options: Mapping[str, Any] | None) -> Array:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.arange(self.num_envs)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise MosimError(
                f"reset_mask has shape {mask.shape} and dtype {mask.dtype}; expected "
                f"({self.num_envs},) bool with at least one True."
            )
        return np.flatnonzero(mask)

    def _given(self, options: Mapping[str, Any] | None, rows: Array) -> dict[str, Array]:
        given = {}
        for name in FIELDS:
            value = (options or {}).get(name)
            if value is not None:
                value = np.asarray(value, dtype=np.float64)
                if value.ndim != 2 or len(value) != self.num_envs:
                    raise MosimError(
                        f"options[{name!r}] has shape {value.shape}; expected "
                        f"({self.num_envs}, n), one row an env."
                    )
                given[name] = value[rows]
        return given


def _with_masks(report: Report, mask: Array) -> dict[str, Any]:
    """A report as Gymnasium's vector infos: beside each key, which rows it is of."""
    masked: dict[str, Any] = {}
    for key, value in report.items():
        masked |= {key: value, f"_{key}": mask.copy()}
    return masked
