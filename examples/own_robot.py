"""A robot of your own (my_robot/): collect, fit, and its model is an environment as any other.

As commands: `mosim-gym collect my_robot:arm --out DATA`, `mosim-gym fit DATA --out MODEL`.
"""

import sys
from pathlib import Path

import gymnasium as gym

from mosim_gym.data.collect import collect
from mosim_gym.fit import fit

ENV_ID = "my_robot:MoSim/arm-reach-v0"  # Gymnasium imports my_robot, which registers the arm


def main(episodes: int = 100, steps: int = 5000) -> float:
    """Record, fit, act in the model; the return of random actions there."""
    folder = Path("runs/own_robot")
    data = collect(gym.make(ENV_ID, dynamics="mujoco"), folder / "data", episodes=episodes)
    model = fit(data, out=folder / "model", steps=steps)
    env = gym.make(ENV_ID, checkpoint=str(model.path))
    env.action_space.seed(0)
    env.reset(seed=0)
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total, over = total + float(reward), terminated or truncated
    print(f"{model.path}: random actions earn {total:.1f}")
    return total


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
