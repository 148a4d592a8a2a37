"""The paper's Table 7: the horizon an agent needs against the horizon a model reaches.

Needed: the same agent, updates and seeds on true physics, with rows that start anew after h steps
(the last state bootstrapped); judged on whole episodes of 1000. An agent needs the smallest of the
horizons from which on its return is at least 90 % of the best there is among them. Reached: how
long open-loop rollouts of the shipped model stay valid on fresh episodes. Finished runs are in
``results/table7.csv`` and are not done again.

Run: python benchmarks/table7.py [--quick] [--jobs 2] [--seeds 2]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from records import new_figure, run_missing, save_figure, write_csv

import mosim_gym  # noqa: F401  (registers the ids)
from mosim_gym.data.collect import collect
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.evaluate.horizon import HorizonErrors, horizon_errors
from mosim_gym.registration import find_env
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import preset_for

FOLDER = Path("runs/table7")
HORIZONS = (3, 10, 30, 100, 300, 1000)
ENOUGH = 0.9
FRESH_SEED, FRESH_EPISODES, LONGEST = 2_718_281, 100, 1000


@dataclass(frozen=True)
class Task:
    """A task and how its agents are trained.

    The paper's figures are its own: what TQC needs on true physics, what its model reaches.
    """

    env_id: str
    algo: str
    updates: int
    paper_needed: int | None = None
    paper_reached: int | None = None


TASKS = (
    Task("MoSim/reacher-easy-v0", "sac", 6_000, 30, 30),
    Task("MoSim/cartpole-swingup-v0", "sac", 12_000),
    Task("MoSim/reacher-hard-v0", "tqc", 9_000, 30, 30),
)


@dataclass(frozen=True)
class Job:
    """One training run on true physics."""

    task: Task
    horizon: int
    seed: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        task = self.task
        return (task.env_id, task.algo, str(task.updates), str(self.horizon), str(self.seed))


COLUMNS = ("env_id", "algo", "updates", "horizon", "seed")


def run(job: Job) -> dict[str, Any]:
    """Train, judge, and give the row of the table."""
    import torch

    from mosim_gym import train_agent

    torch.set_num_threads(1)
    folder = FOLDER / "-".join(job.key).replace("/", "_")
    shutil.rmtree(folder, ignore_errors=True)
    settings = preset_for(find_env(job.task.env_id).name, Algorithm(job.task.algo))
    result = train_agent(
        job.task.env_id,
        job.task.algo,
        out=folder,
        seed=job.seed,
        dynamics="mujoco",
        updates=job.task.updates,
        preset=dataclasses.replace(settings, horizon=job.horizon),
        judgements=1,
        curve_episodes=1,
        final_seed=3_000_000 + 1_000 * job.seed,
        progress=False,
    )
    real = result.returns_real
    return {
        **dict(zip(COLUMNS, job.key, strict=True)),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "return_mean": round(float(real.mean()), 2),
        "return_std": round(float(real.std()), 2),
    }


def reached(env_id: str, episodes: int) -> HorizonErrors:
    """Errors of the shipped model along whole episodes of fresh seeds, held random actions."""
    row = find_env(env_id)
    env = gym.make(env_id, dynamics="mujoco")
    fresh = collect(
        env, FOLDER / f"fresh-{row.name}-{episodes}", episodes=episodes, seed=FRESH_SEED
    )
    return horizon_errors(load_checkpoint(row.domain).simulator, fresh.windows(LONGEST))


def returns(rows: Sequence[dict[str, Any]], env_id: str) -> dict[int, list[float]]:
    """Returns of the seeds by horizon."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if row["env_id"] == env_id:
            found.setdefault(int(row["horizon"]), []).append(float(row["return_mean"]))
    return dict(sorted(found.items()))


def needed(by_horizon: dict[int, list[float]]) -> int:
    """The smallest horizon from which on returns are at least `ENOUGH` of the best."""
    means = {h: float(np.mean(values)) for h, values in by_horizon.items()}
    bar = ENOUGH * max(means.values())
    horizons = list(means)
    from_here = [h for k, h in enumerate(horizons) if all(means[o] >= bar for o in horizons[k:])]
    return from_here[0] if from_here else horizons[int(np.argmax(list(means.values())))]


def report(rows: Sequence[dict[str, Any]], name: str, episodes: int) -> None:
    """Print and write the table, draw returns by horizon and valid shares by step."""
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    lines = []
    for k, task in enumerate(TASKS):
        by_horizon = returns(rows, task.env_id)
        if not by_horizon:
            continue
        errors = reached(task.env_id, episodes)
        lines.append(
            {
                "env_id": task.env_id,
                "needed": needed(by_horizon),
                "reached_median": int(errors.valid_horizon.median()),
                "reached_by_90_percent": errors.trusted_horizon,
                "rollouts": len(errors.squared),
                "followed_for": errors.horizon,
                "paper_needed": task.paper_needed or "",
                "paper_reached": task.paper_reached or "",
                "returns": " ".join(f"{h}:{np.mean(v):.0f}" for h, v in by_horizon.items()),
                "seeds": min(len(values) for values in by_horizon.values()),
            }
        )
        print(lines[-1])
        label = f"{task.env_id.split('/')[1]}, {task.algo.upper()}"
        left.plot(list(by_horizon), [np.mean(v) for v in by_horizon.values()], "o-", label=label)
        for h, values in by_horizon.items():
            left.scatter([h] * len(values), values, color=f"C{k}", s=8)
        right.plot(range(1, errors.horizon + 1), errors.share_valid, color=f"C{k}", label=label)
    left.set(xscale="log", xlabel="trained on episodes of h steps", ylim=(0, 1050))
    left.set(ylabel="return of whole episodes", title="Needed (true physics)")
    right.set(xscale="log", xlabel="control steps", ylim=(0, 1.05))
    right.set(ylabel="share of rollouts still valid", title="Reached (shipped models)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize=7)
    write_csv(f"{name}_horizons", lines, enough=ENOUGH, fresh_seed=FRESH_SEED)
    save_figure(figure, name)


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="reacher-easy, few updates, one seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    tasks, seeds, name, episodes = TASKS, range(options.seeds), "table7", FRESH_EPISODES
    if options.quick:
        tasks = (dataclasses.replace(TASKS[0], updates=500),)
        seeds, name, episodes = range(1), "table7_quick", 10
    jobs = [Job(*of) for of in itertools.product(tasks, HORIZONS, seeds)]
    # Seeds outermost: every horizon has some result early.
    jobs.sort(key=lambda job: job.seed)
    facts = {"episodes": 20, "threads_a_run": 1}
    rows = run_missing(name, COLUMNS, jobs, run, options.jobs, **facts)
    report(rows, name, episodes)


if __name__ == "__main__":
    main()
