"""Returns of an agent over whole episodes, all of them side by side."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from mosim_gym.envs.sb3 import make_sb3_vec_env
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
    **env_kwargs: Any,
) -> Float64Array:
    """Undiscounted returns of whole episodes, ``(episodes,)``.

    Args:
        agent: such as an SB3 model.
        env_id: such as "MoSim/reacher-easy-v0".
        episodes: how many, run side by side, one row each.
        seed: episode i of true physics is the one of ``seed + i``.
        deterministic: whether the agent acts without noise.
        **env_kwargs: as for `make_sb3_vec_env`; ``dynamics="mujoco"`` judges in reality.
    """
    env = make_sb3_vec_env(
        env_id, n_envs=episodes, seed=seed, **{"state_info": False, **env_kwargs}
    )
    try:
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
