"""From recorded motion to an agent: the whole way in Python."""

import sys
from pathlib import Path

import gymnasium as gym

import mosim_gym
from mosim_gym.data.collect import collect
from mosim_gym.fit import fit


def main(episodes: int = 300, fit_steps: int = 20_000, updates: int = 12_000) -> float:
    """Record, fit, train; the mean return of the agent in true physics."""
    folder = Path("runs/collect_fit_train")
    real = gym.make("mosim_gym:MoSim/reacher-easy-v0", dynamics="mujoco")
    data = collect(real, folder / "data", episodes=episodes)
    model = fit(data, out=folder / "model", steps=fit_steps)
    result = mosim_gym.train_agent(
        "MoSim/reacher-easy-v0",
        "sac",
        checkpoint=str(model.path),
        updates=updates,
        out=folder / "agent",
    )
    print(f"return in reality: {result.returns_real.mean():.0f}, curve in {result.folder}")
    return float(result.returns_real.mean())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
