"""How an agent acts outside its own environment, with the noise it would have there."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.noise import VectorizedActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from mosim_gym.types import Array


def explore(agent: OffPolicyAlgorithm, observation: Any) -> Array:
    """An action to learn from: of a random policy, or with the agent's action noise on it.

    Args:
        agent: as it is.
        observation: one, without a batch dimension.
    """
    action: Array = agent.predict(observation, deterministic=False)[0]
    noise = agent.action_noise
    if noise is None:
        return action
    if isinstance(noise, VectorizedActionNoise):
        # One for each row that it learns with; any of them is as good here.
        noise = noise.noises[0]
    noisy = np.clip(agent.policy.scale_action(action) + noise(), -1.0, 1.0)
    return agent.policy.unscale_action(noisy).astype(action.dtype)
