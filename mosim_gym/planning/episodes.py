"""Acting in true physics with a planner: whole episodes, side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from mosim_gym.data.states import STATE
from mosim_gym.envs.vector import MosimVectorEnv
from mosim_gym.errors import MosimError
from mosim_gym.planning.planner import Planner
from mosim_gym.registration import TaskRow
from mosim_gym.types import Float64Array, State


@dataclass(frozen=True, slots=True)
class Episodes:
    """What came of planning in true physics.

    Attributes:
        rewards: ``(steps, episodes)``, 0 after the end of an episode.
        seconds: wall time of planning and acting.
    """

    rewards: Float64Array
    seconds: float

    @property
    def returns(self) -> Float64Array:
        """Undiscounted, ``(episodes,)``."""
        total: Float64Array = self.rewards.sum(0)
        return total


def play(
    row: TaskRow,
    planner: Planner,
    *,
    episodes: int = 10,
    steps: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Episodes:
    """Act in true physics; the planner sees the full state at every step.

    Args:
        row: the task.
        planner: one plan for all episodes together.
        episodes: how many, run side by side.
        steps: control steps of an episode; the task's own time limit by default.
        seed: episode i is the one of ``seed + i``.
        progress: show a progress bar.

    Raises:
        MosimError: if the planner's model is of another body, or an episode would not end.
    """
    limit = row.max_episode_steps if steps is None else steps
    if limit is None:
        raise MosimError(f"{row.env_id} never ends of itself; say how many steps to take.")
    env = MosimVectorEnv(
        row.domain, row.task, num_envs=episodes, max_episode_steps=limit, dynamics="mujoco"
    )
    env.robot.require_same_body(planner.dynamics.spec, "The planner's model")
    planner.forget()
    _, infos = env.reset(seed=seed)
    running = np.ones(episodes, dtype=bool)
    rewards: list[Float64Array] = []
    start = time.perf_counter()
    try:
        with tqdm(total=limit, unit="step", desc=row.name, disable=not progress) as bar:
            while running.any():
                action = planner.act(State.from_numpy(infos[STATE]))
                _, reward, terminated, truncated, infos = env.step(action.cpu().numpy())
                rewards.append(np.where(running, reward, 0.0))
                running &= ~(terminated | truncated)
                bar.update()
                so_far = sum(reward.mean() for reward in rewards)
                bar.set_postfix(mean_return=f"{so_far:.0f}", refresh=False)
    finally:
        env.close()
    return Episodes(np.stack(rewards), time.perf_counter() - start)
