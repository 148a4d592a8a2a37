"""A "real" cheetah: masses +30 %, friction -30 %, and 10 ms until an action arrives."""

from collections import deque

import gymnasium as gym
import numpy as np
from dm_control import suite

import mosim_gym
from real_cheetah.body import change


class RealCheetah(gym.Env):
    def __init__(self) -> None:
        stock = gym.make("MoSim/cheetah-run-v0", dynamics="mujoco")
        self.observation_space, self.action_space = stock.observation_space, stock.action_space
        self.robot = stock.get_wrapper_attr("robot")  # what body it is
        self.dm_env = suite.load("cheetah", "run")
        change(self.dm_env.physics.model.ptr)

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.dm_env.task.random.seed(seed)
        self._late = deque([np.zeros(self.action_space.shape)])
        return self._seen(self.dm_env.reset()), {}

    def step(self, action):
        self._late.append(action)
        now = self.dm_env.step(self._late.popleft())
        return self._seen(now), now.reward, False, now.last(), {}

    def _seen(self, now):
        return np.float32(np.hstack(list(now.observation.values())))


def make() -> gym.Env:
    """The environment, with the states that motion capture would tell."""
    data = (env := RealCheetah()).dm_env.physics.data
    return mosim_gym.PhysicsStateInfo(env, lambda _: {"qpos": data.qpos, "qvel": data.qvel})
