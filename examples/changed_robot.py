"""Zero-shot on a robot that is not the model's, then with few real steps there (real_cheetah/)."""

import dataclasses
import sys
from pathlib import Path

import real_cheetah

from mosim_gym import train_agent
from mosim_gym.rl.evaluate import evaluate_in
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.strategies import find_strategy

ENV_ID = "MoSim/cheetah-run-v0"


def main(real_steps: int = 10_000, updates: int = 60_000, first_refit: int = 40) -> float:
    """Mean returns of 10 episodes; that after the real steps is returned."""
    folder = Path("runs/changed_robot")
    before = train_agent(ENV_ID, updates=updates, judgements=1, out=folder / "zero_shot")
    lost = evaluate_in(before.agent, real_cheetah.make(), episodes=10).mean()
    turns = find_strategy("on_policy", "articulated", "cheetah-run")
    agent = dataclasses.replace(turns.agent, updates=updates)
    after = train_in_rounds(
        ENV_ID,
        strategy=dataclasses.replace(turns, agent=agent, first_refit=first_refit),
        real_steps=real_steps,
        reality=real_cheetah.make,
        action_delay=None,  # found in the first real steps
        judgements=1,
        final_episodes=10,
        out=folder / "few_steps",
    )
    print(f"zero-shot: {before.returns_real.mean():.0f} on the stock body, {lost:.0f} on this one")
    print(f"{after.real_steps:,} real steps on this one: {after.returns_real.mean():.0f}")
    return float(after.returns_real.mean())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
