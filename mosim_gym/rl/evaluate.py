"""Returns of an agent over whole episodes, all of them side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from mosim_gym.data.states import STATE
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.registration import find_env
from mosim_gym.types import Float64Array


class Agent(Protocol):
    """What is needed of an agent: SB3's `predict`."""

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[Any, Any]:
        """Actions ``(n, nu)`` for observations ``(n, d)``, and a state that is not used."""
        ...


def evaluate_agent(
    agent: Agent,
    env_id: str,
    *,
    episodes: int = 20,
    seed: int = 10_000,
    deterministic: bool = True,
    starts: Sequence[Mapping[str, Float64Array]] | None = None,
    **env_kwargs: Any,
) -> Float64Array:
    """Undiscounted returns of whole episodes, ``(episodes,)``.

    Args:
        agent: such as an SB3 model.
        env_id: such as "MoSim/reacher-easy-v0".
        episodes: how many, run side by side, one row each.
        seed: episode i of true physics is the one of ``seed + i``.
        deterministic: whether the agent acts without noise.
        starts: the state ``{qpos, qvel, ...}`` each episode starts from, ``(n,)`` arrays; drawn by
            the environment by default. `true_starts` gives those of true physics.
        **env_kwargs: as for `make_sb3_vec_env`; ``dynamics="mujoco"`` judges in reality.
    """
    env = make_sb3_vec_env(
        env_id, n_envs=episodes, seed=seed, **{"state_info": False, **env_kwargs}
    )
    if env_kwargs.get("max_episode_steps", find_env(env_id).max_episode_steps) is None:
        raise MosimError("Episodes without an end have no return; give max_episode_steps.")
    try:
        if starts is not None:
            env.unwrapped.set_options([dict(start) for start in starts])
        observation = env.reset()
        returns = np.zeros(episodes)
        running = np.ones(episodes, dtype=bool)
        while running.any():
            action, _ = agent.predict(observation, deterministic=deterministic)
            observation, reward, done, _ = env.step(action)
            returns += np.where(running, reward, 0.0)
            running &= ~done
    finally:
        env.close()
    return returns


def evaluate_in(
    agent: Agent,
    env: gym.Env[Any, Any],
    *,
    episodes: int = 20,
    seed: int = 10_000,
    deterministic: bool = True,
) -> Float64Array:
    """Undiscounted returns of whole episodes in any environment, one after the other.

    Args:
        agent: such as an SB3 model.
        env: ends its episodes; stays open.
        episodes: how many.
        seed: episode i begins with ``reset(seed=seed + i)``.
        deterministic: whether the agent acts without noise.
    """
    returns = np.zeros(episodes)
    for k in range(episodes):
        observation, _ = env.reset(seed=seed + k)
        over = False
        while not over:
            action, _ = agent.predict(observation, deterministic=deterministic)
            observation, reward, terminated, truncated, _ = env.step(action)
            returns[k] += float(reward)
            over = terminated or truncated
    return returns


def true_starts(env_id: str, *, episodes: int, seed: int) -> list[dict[str, Float64Array]]:
    """States in which the episodes of `evaluate_agent` start in true physics.

    An agent that starts from them in the model too shows what the model changes, and nothing else.
    """
    env = make_sb3_vec_env(env_id, n_envs=episodes, seed=seed, dynamics="mujoco")
    try:
        env.reset()
        return [info[STATE] for info in env.unwrapped.reset_infos]
    finally:
        env.close()
