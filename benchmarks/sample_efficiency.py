"""How many real steps an agent needs: with a model learned on the way, and alone.

Arms: ``on_policy`` with an articulated model (told the geometry) and with a network (told joint
types), the paper's ``few_shot`` schedule, and plain SAC in true physics with an update a step.
Returns are of whole episodes of true physics without noise, judged on the way; they cost no step of
the budget. Goes on where it stopped: finished runs are in the CSV and are not done again.

Run: python benchmarks/sample_efficiency.py [--arm articulated ...] [--seeds 3] [--budget 7000]
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from records import new_figure, run_missing, save_figure

from mosim_gym.rl.presets import AgentPreset

#: Arm: strategy, model, real steps.
ARMS: dict[str, tuple[str | None, str | None, int]] = {
    "articulated": ("on_policy", "articulated", 30_000),
    "network": ("on_policy", "default", 50_000),
    "few_shot": ("few_shot", "default", 100_000),
    "alone": (None, None, 100_000),
}
LABELS = {
    "articulated": "on_policy, articulated (told: geometry)",
    "network": "on_policy, network (told: joint types)",
    "few_shot": "the paper's few_shot, network",
    "alone": "SAC alone",
}
#: SB3's sizes and an update a step; as in all arms, the learning rate falls to 0 over the run.
PLAIN = AgentPreset(
    n_envs=1,
    horizon=1000,
    gradient_steps=1,
    learning_starts=5_000,
    buffer_size=1_000_000,
    learning_rate=3e-4,
    tau=0.005,
    n_steps=1,
    ent_coef="auto",
    net_arch=(256, 256),
)
COLUMNS = ("task", "arm", "seed", "budget")
NAME = "sample_efficiency"
JUDGEMENTS = 12


@dataclass(frozen=True)
class Job:
    """One run."""

    task: str
    arm: str
    seed: int
    budget: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return (self.task, self.arm, str(self.seed), str(self.budget))


def run(job: Job) -> dict[str, Any]:
    """Train, judge, and give the row of the table."""
    import torch

    from mosim_gym import train_agent

    torch.set_num_threads(1)
    strategy, model, _ = ARMS[job.arm]
    folder = Path("runs") / NAME / "-".join(job.key)
    shutil.rmtree(folder, ignore_errors=True)
    env_id = f"MoSim/{job.task}-v0"
    common: dict[str, Any] = {
        "out": folder,
        "seed": job.seed,
        "judgements": JUDGEMENTS,
        "curve_episodes": 4,
        "final_episodes": 10,
        "final_seed": 1_000_000 + 1_000 * job.seed,
        "progress": False,
    }
    if strategy is None:
        updates = job.budget - PLAIN.learning_starts
        plain = dataclasses.replace(PLAIN, updates=updates)
        result = train_agent(env_id, dynamics="mujoco", preset=plain, **common)
    else:
        result = train_agent(
            env_id, strategy=strategy, model=model, real_steps=job.budget, **common
        )
    real = result.returns_real
    return {
        "task": job.task,
        "arm": job.arm,
        "seed": job.seed,
        "budget": job.budget,
        "real_steps": result.real_steps,
        "updates": result.updates,
        "seconds": round(result.seconds),
        "seconds_per_1000": round(1000 * result.seconds / result.real_steps, 1),
        "return_real_mean": round(float(real.mean()), 1),
        "return_real_min": round(float(real.min()), 1),
        "return_model_mean": round(float(result.returns_model.mean()), 1),
        "curve": " ".join(f"{p.real_steps}:{p.return_real:.0f}" for p in result.curve),
    }


def report(rows: Sequence[dict[str, Any]], task: str) -> None:
    """Draw return against real steps: each seed, and their mean."""
    figure = new_figure(width=9)
    axes = figure.subplots()
    for k, arm in enumerate(ARMS):
        budget = max((int(row["budget"]) for row in rows if row["arm"] == arm), default=0)
        mine = [
            row
            for row in rows
            if (row["arm"], row["task"], int(row["budget"])) == (arm, task, budget)
        ]
        curves = [
            np.array([point.split(":") for point in row["curve"].split()], dtype=float)
            for row in mine
        ]
        for curve in curves:
            axes.plot(*curve.T, color=f"C{k}", alpha=0.35, lw=1)
        if curves:
            grid = np.linspace(
                max(c[0, 0] for c in curves), min(c[-1, 0] for c in curves), JUDGEMENTS
            )
            mean = np.mean([np.interp(grid, *curve.T) for curve in curves], axis=0)
            label = f"{LABELS[arm]} ({len(curves)} seeds)"
            axes.plot(grid, mean, "o-", ms=3, color=f"C{k}", label=label)
            ends = [float(row["return_real_mean"]) for row in mine]
            print(f"{task} {arm}: {np.mean(ends):.0f} after {mine[0]['real_steps']}, seeds {ends}")
    axes.set(xlabel="real steps", ylabel="return in reality", ylim=(0, 1020), title=task)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, NAME if task == "cheetah-run" else f"{NAME}_{task}")


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="cheetah-run")
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--budget", type=int, help="real steps; by default as listed above")
    options = parser.parse_args()
    jobs = [
        Job(options.task, arm, seed, options.budget or ARMS[arm][2])
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for arm in options.arm
    ]
    report(run_missing(NAME, COLUMNS, jobs, run, options.jobs, episodes=10), options.task)


if __name__ == "__main__":
    main()
