"""A real cheetah that is not the one of the model: heavier, slippery, and its actions come late.

Zero-shot, an agent of the stock model loses much of its return there. With a few thousand real
steps (`on_policy`, geometry told) a model of the changed body is learned, its delay found, and an
agent trained in it; nothing of the change is told. The real system here is dm_control's own
cheetah behind a user's environment; `PhysicsStateInfo` asks a function for its state.

Run: python examples/changed_robot.py [real steps] [updates] [steps of the first fit]
"""

import dataclasses
import sys
from collections import deque
from pathlib import Path

import gymnasium as gym
import numpy as np
from dm_control import suite

from mosim_gym import PhysicsStateInfo, train_agent
from mosim_gym.rl.evaluate import evaluate_in
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.strategies import find_strategy

TASK, ENV_ID = ("cheetah", "run"), "MoSim/cheetah-run-v0"
DELAY = 1  # control steps of 10 ms


class RealCheetah(gym.Env):
    """Masses +30 %, friction -30 %, and 10 ms until an action arrives."""

    def __init__(self) -> None:
        stock = gym.make(ENV_ID, dynamics="mujoco")
        self.robot = stock.get_wrapper_attr("robot")  # joints and limits, not masses
        self.observation_space, self.action_space = stock.observation_space, stock.action_space
        self._env = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self._env is None or seed is not None:
            self._env = suite.load(*TASK, task_kwargs={"random": seed})
            model = self._env.physics.model
            model.body_mass[:] *= 1.3
            model.body_inertia[:] *= 1.3
            model.geom_friction[:] *= 0.7
        self._late = deque([np.zeros(self.action_space.shape)] * DELAY)
        return self._seen(self._env.reset()), {}

    def step(self, action):
        self._late.append(action)
        now = self._env.step(self._late.popleft())
        return self._seen(now), now.reward, False, now.last(), {}

    def state(self):
        """What a motion capture would tell."""
        data = self._env.physics.data
        return {"qpos": data.qpos.copy(), "qvel": data.qvel.copy()}

    @staticmethod
    def _seen(step):
        return np.concatenate([np.ravel(x) for x in step.observation.values()]).astype(np.float32)


def real_cheetah() -> gym.Env:
    """The real system, with the states it reports."""
    env = RealCheetah()
    return PhysicsStateInfo(env, lambda _: env.state())


def main(real_steps: int = 10_000, updates: int = 60_000, first_refit: int = 40) -> float:
    """Zero-shot, then with few real steps; the mean return of 10 episodes on the changed body."""
    folder = Path("runs/changed_robot")
    before = train_agent(ENV_ID, updates=updates, judgements=1, out=folder / "zero_shot")
    zero_shot = evaluate_in(before.agent, real_cheetah(), episodes=10).mean()
    strategy = find_strategy("on_policy", "articulated", "cheetah-run")
    agent = dataclasses.replace(strategy.agent, updates=updates)
    after = train_in_rounds(
        ENV_ID,
        strategy=dataclasses.replace(strategy, agent=agent, first_refit=first_refit),
        model="articulated",
        real_steps=real_steps,
        reality=real_cheetah,
        action_delay=None,  # found in the first real steps
        judgements=1,
        final_episodes=10,
        out=folder / "few_steps",
    )
    print(f"zero-shot, on the stock body: {before.returns_real.mean():.0f}")
    print(f"zero-shot, on the changed body: {zero_shot:.0f}")
    print(f"{after.real_steps:,} real steps on the changed body: {after.returns_real.mean():.0f}")
    return float(after.returns_real.mean())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
