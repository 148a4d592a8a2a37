"""A robot that is not the model's: what zero-shot loses there, and what few real steps recover.

The "real" cheetah of `examples/real_cheetah` is 30 % heavier, slides on 30 % less friction, and
moves by what was chosen 10 ms ago. Arms: zero_shot, an agent of the model that ships; few_steps,
`on_policy` with 10,000 real steps, told the geometry of the stock body and nothing else; and own,
the same agent with as many updates in true physics of the changed body itself, to compare with.
Agents of few_steps_told and own_told observe which action is on its way besides.
Returns are of whole episodes of the changed body; those of zero_shot on the stock body as well.

Run: python benchmarks/changed_robot.py [--arm few_steps ...] [--seeds 1] [--jobs 1]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from records import run_missing

from mosim_gym.types import Float64Array

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

ENV_ID = "MoSim/cheetah-run-v0"
ARMS = ("few_steps", "few_steps_told", "zero_shot", "own", "own_told")
#: Control steps that the changed body is late.
DELAY = 1
COLUMNS = ("arm", "seed")
NAME = "changed_robot"
EPISODES = 10
JUDGE_SEED = 3_000_000
REAL_STEPS = 10_000


@dataclass(frozen=True)
class Job:
    """One run."""

    arm: str
    seed: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return (self.arm, str(self.seed))


def zero_shot(seed: int, folder: Path) -> tuple[Float64Array, dict[str, Any]]:
    """Returns on the changed body of an agent of the shipped model, and on the stock one."""
    import real_cheetah

    from mosim_gym import train_agent
    from mosim_gym.rl.evaluate import evaluate_in

    result = train_agent(ENV_ID, seed=seed, out=folder, judgements=4, progress=False)
    returns = evaluate_in(result.agent, real_cheetah.make(), episodes=EPISODES, seed=JUDGE_SEED)
    return returns, {
        "return_stock": round(float(result.returns_real.mean()), 1),
        "real_steps": 0,
        "updates": result.updates,
    }


def few_steps(seed: int, folder: Path, told: bool = False) -> tuple[Float64Array, dict[str, Any]]:
    """Returns after `on_policy` on the changed body, delay found in the first data."""
    import real_cheetah

    from mosim_gym.rl.few_steps import train_in_rounds

    result = train_in_rounds(
        ENV_ID,
        strategy="on_policy",
        model="articulated",
        real_steps=REAL_STEPS,
        reality=real_cheetah.make,
        action_delay=None,
        observe_pending=told,
        seed=seed,
        out=folder,
        resume=folder.exists(),
        judgements=4,
        curve_episodes=2,
        final_episodes=EPISODES,
        final_seed=JUDGE_SEED,
        progress=False,
    )
    return result.returns_real, {"real_steps": result.real_steps, "updates": result.updates}


def own(seed: int, folder: Path, told: bool = False) -> tuple[Float64Array, dict[str, Any]]:
    """Returns of SB3's agent that learned in true physics of the changed body."""
    import real_cheetah

    from mosim_gym import PendingActions, make_sb3_vec_env
    from mosim_gym.rl.algorithms import Algorithm
    from mosim_gym.rl.evaluate import evaluate_in
    from mosim_gym.rl.presets import preset_for

    preset = preset_for("cheetah-run", Algorithm.SAC)
    env = make_sb3_vec_env(
        ENV_ID, preset.n_envs, seed=seed, dynamics="mujoco", horizon=preset.horizon,
        action_delay=DELAY, observe_pending=told, state_info=False,
    )  # fmt: skip
    rows = env.unwrapped.world.engine._rows
    real_cheetah.change(rows._model)
    rows._batch.set_models([rows._model] * preset.n_envs)
    kwargs = preset.sb3_arguments(Algorithm.SAC, env.action_space.shape[0])
    agent = Algorithm.SAC.sb3_class("MlpPolicy", env, seed=seed, **kwargs)
    steps = preset.total_timesteps(preset.updates)
    agent.learn(steps)
    agent.save(folder / "agent.zip")
    env = PendingActions(real_cheetah.make(), DELAY) if told else real_cheetah.make()
    returns = evaluate_in(agent, env, episodes=EPISODES, seed=JUDGE_SEED)
    return returns, {"real_steps": steps, "updates": agent._n_updates}


def run(job: Job) -> dict[str, Any]:
    """Train, judge, and give the row of the table."""
    import torch

    torch.set_num_threads(1)
    start = time.perf_counter()
    folder = Path("runs") / NAME / "-".join(job.key)
    train = {
        "few_steps": few_steps,
        "few_steps_told": partial(few_steps, told=True),
        "zero_shot": zero_shot,
        "own": own,
        "own_told": partial(own, told=True),
    }[job.arm]
    returns, facts = train(job.seed, folder)
    return {
        "arm": job.arm,
        "seed": job.seed,
        "return_changed_mean": round(float(np.mean(returns)), 1),
        "return_changed_min": round(float(np.min(returns)), 1),
        **facts,
        "seconds": round(time.perf_counter() - start),
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    jobs = [Job(arm, seed) for seed in range(options.seeds) for arm in options.arm]
    run_missing(NAME, COLUMNS, jobs, run, options.jobs, episodes=EPISODES)


if __name__ == "__main__":
    main()
