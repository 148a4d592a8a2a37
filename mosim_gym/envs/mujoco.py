"""The engine of ``dynamics="mujoco"``: dm_control's own environments, one a row.

It is exact by construction: observations, rewards and terminations are dm_control's own, and each
row is one continuing simulation (re-entering MuJoCo from qpos and qvel would lose its warm start).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mosim_gym.envs.engine import Fields, Reading, Seed
from mosim_gym.errors import MosimError
from mosim_gym.tasks import mujoco as suite_tasks
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import Array, Float64Array


class MujocoEngine:
    """True physics of a task of the dm_control suite.

    Args:
        domain: such as "reacher".
        task: such as "easy".
        task_kwargs: as for `dm_control.suite.load`.
        num_envs: number of rows.
        substeps: also keep the states after each physics step.
    """

    def __init__(
        self,
        domain: str,
        task: str,
        task_kwargs: Mapping[str, Any] | None,
        num_envs: int,
        *,
        substeps: bool = False,
    ) -> None:
        """See the class."""
        self.num_envs = num_envs
        self._envs = [suite_tasks.load_dm_env(domain, task, task_kwargs) for _ in range(num_envs)]
        first = self._envs[0].reset()
        self.robot = suite_tasks.spec_of(self._envs[0])
        self.layout = ObservationLayout.of(first.observation)
        context = suite_tasks.context_of(self._envs[0])
        self.context_size = 0 if context is None else context.size
        self._traces = [suite_tasks.trace_substeps(env) for env in self._envs] if substeps else []
        self._observation = np.zeros((num_envs, self.layout.size))

    def seed(self, rows: Sequence[int], seeds: Sequence[Seed]) -> None:
        """Row i restarts as `suite.load(..., task_kwargs={"random": seeds[i]})`."""
        for row, value in zip(rows, seeds, strict=True):
            suite_tasks.seed(self._envs[row], value)

    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows`; see `Engine`."""
        for k, row in enumerate(rows):
            env = self._envs[row]
            observation = env.reset().observation
            if given:
                fields = {name: value[k] for name, value in given.items()}
                suite_tasks.enter_state(env, fields)
                observation = env.task.get_observation(env.physics)
            self._observation[row] = _flat(observation)

    def step(self, action: Float64Array) -> Reading:
        """One control step of every row; see `Engine`."""
        from dm_control.rl.control import PhysicsError

        reward = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, dtype=bool)
        diverged = np.zeros(self.num_envs, dtype=bool)
        for row, env in enumerate(self._envs):
            data = env.physics.data
            before = {"qpos": data.qpos.copy(), "qvel": data.qvel.copy(), "act": data.act.copy()}
            try:
                timestep = env.step(action[row])
            except PhysicsError:
                # MuJoCo has put the body into its reference pose; go back to where it was.
                suite_tasks.enter_state(env, before)
                diverged[row] = True
                continue
            if timestep.first():
                raise MosimError("This episode has terminated: call reset() before step().")
            self._observation[row] = _flat(timestep.observation)
            reward[row] = timestep.reward
            terminated[row] = timestep.last()
        return Reading(self._observation.copy(), reward, terminated, diverged)

    def observe(self) -> Array:
        """Current observations, ``(n, layout.size)`` float64."""
        return self._observation.copy()

    def state(self) -> dict[str, Float64Array]:
        """Fresh arrays of the current states."""
        return _stack([suite_tasks.state_of(env) for env in self._envs])

    def substeps(self) -> dict[str, Float64Array]:
        """States after each physics step of the last control step."""
        return _stack([trace() for trace in self._traces])


def _flat(observation: Mapping[str, Any]) -> Float64Array:
    return np.concatenate([np.ravel(part) for part in observation.values()])


def _stack(rows: list[dict[str, Float64Array]]) -> dict[str, Float64Array]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
