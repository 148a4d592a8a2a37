"""Steps with states, to fill a StateReplayBuffer with."""

import gymnasium as gym
import numpy as np

OBS = gym.spaces.Box(-np.inf, np.inf, (6,), np.float32)
ACT = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)


def step(t, n_envs):
    """Arguments of add() whose observation is the state in float32."""
    rng = np.random.default_rng([t, 5])
    state = rng.normal(size=(n_envs, 6))
    infos = [
        {
            "mosim/state_before": {"qpos": s[:2], "qvel": s[2:4], "act": None, "context": s[4:]},
            "TimeLimit.truncated": bool(t % 3 == 0),
        }
        for s in state
    ]
    obs = state.astype(np.float32)
    return (obs, rng.normal(size=(n_envs, 6)).astype(np.float32), rng.normal(size=(n_envs, 2)),
            rng.normal(size=n_envs), np.full(n_envs, t % 3 == 0), infos)  # fmt: skip


def fill(buffer, steps):
    for t in range(steps):
        buffer.add(*step(t, buffer.n_envs))
    return buffer
