"""The paper's section 3.4: cheetah-run over training, in models and under a time limit.

The paper's model is good for some 60 steps of cheetah, its zero-shot agent gets to a return of 100
and declines; an agent on true physics whose episodes end after 100 steps learns hardly more. Here
the same agent (SAC, the task's settings) is trained on true physics with rows of 100 and of 1000
steps, in the shipped articulated model and in the network of contacts, rows of 1000 and of 100
steps, and judged on whole episodes of true physics while it learns. Two of these are runs of
``benchmarks/zero_shot.py`` (seed 0), whose table is read; finished runs are not done again.

Run: python benchmarks/time_limits.py [--quick] [--jobs 1] [--arm mujoco-100 ...]
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from records import new_figure, read_csv, run_missing, save_figure

from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import preset_for

TASK, ALGO = "cheetah-run", Algorithm.SAC
ENV_ID = f"MoSim/{TASK}-v0"
COLUMNS = ("dynamics", "checkpoint", "horizon", "seed", "updates")
NETWORK = "cheetah-network"
#: Dynamics, checkpoint, and rows of how many steps.
ARMS = {
    "mujoco-100": ("mujoco", "", 100),
    "network-100": ("learned", NETWORK, 100),
    "network-1000": ("learned", NETWORK, 1000),
}
#: What the paper's agent stays near, in its figure.
PAPER_PLATEAU = 100


@dataclass(frozen=True)
class Job:
    """One training run."""

    dynamics: str
    checkpoint: str
    horizon: int
    seed: int
    updates: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return tuple(str(getattr(self, column)) for column in COLUMNS)

    @property
    def label(self) -> str:
        """For the picture."""
        where = "true physics" if self.dynamics == "mujoco" else self.checkpoint or "articulated"
        return f"{where}, rows of {self.horizon}"


def run(job: Job) -> dict[str, Any]:
    """Train, judge, and give the row of the table."""
    from mosim_gym import train_agent

    folder = Path("runs/time_limits") / "-".join(job.key)
    shutil.rmtree(folder, ignore_errors=True)
    result = train_agent(
        ENV_ID,
        ALGO.value,
        out=folder,
        seed=job.seed,
        dynamics=job.dynamics,
        checkpoint=job.checkpoint or None,
        updates=job.updates,
        preset=dataclasses.replace(preset_for(TASK, ALGO), horizon=job.horizon),
        judgements=6,
        final_seed=1_000_000 + 1_000 * job.seed,
        progress=False,
    )
    return {
        **dict(zip(COLUMNS, job.key, strict=True)),
        "seconds": round(result.seconds, 1),
        "return_real_mean": round(float(result.returns_real.mean()), 2),
        "return_real_min": round(float(result.returns_real.min()), 2),
        "curve": " ".join(f"{p.updates}:{p.return_real:.0f}" for p in result.curve),
    }


def of_zero_shot() -> list[tuple[str, str]]:
    """Label and curve of the runs that are there already: seed 0, rows of 1000 steps."""
    names = {"learned": "articulated, rows of 1000", "mujoco": "true physics, rows of 1000"}
    return [
        (names[row["dynamics"]], row["curve"])
        for row in read_csv("zero_shot")
        if row["env_id"] == ENV_ID and row["seed"] == "0"
    ]


def report(curves: Sequence[tuple[str, str]], name: str) -> None:
    """Draw returns over training."""
    figure = new_figure()
    axes = figure.subplots()
    for label, curve in curves:
        points = [tuple(map(float, point.split(":"))) for point in curve.split()]
        updates, returns = zip(*points, strict=True)
        axes.plot(updates, returns, "o-", markersize=3, label=label)
        print(f"{label}: {curve}")
    axes.axhline(PAPER_PLATEAU, color="black", linestyle=":", label="the paper's plateau")
    axes.set(xlabel="updates", ylabel="return in reality", ylim=(0, 1000))
    axes.set_title("cheetah-run, SAC, judged on whole episodes of true physics")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    save_figure(figure, name)


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few updates")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    options = parser.parse_args()
    updates = 500 if options.quick else preset_for(TASK, ALGO).updates
    every = [Job(*arm, seed=0, updates=updates) for arm in ARMS.values()]
    jobs = [job for job, name in zip(every, ARMS, strict=True) if name in options.arm]
    name = "time_limits_quick" if options.quick else "time_limits"
    rows = run_missing(name, COLUMNS, jobs, run, options.jobs, episodes=20, threads_a_run=1)
    labels = {job.key: job.label for job in every}
    mine = [(labels[tuple(str(row[c]) for c in COLUMNS)], row["curve"]) for row in rows]
    report([*([] if options.quick else of_zero_shot()), *mine], name)


if __name__ == "__main__":
    main()
