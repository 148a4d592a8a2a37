"""How many real steps an agent needs: with a model learned on the way, and alone.

Arms: ``on_policy`` with an articulated model (told the geometry), with a network (told where the
body can touch the floor) and with true physics in place of the model; the paper's ``few_shot``
schedule; plain SAC in true physics with an update a step; and random actions. Returns are of whole
episodes of true physics without noise, judged on the way; they cost no step of the budget. Runs
that are in the CSV are not done again, an unfinished one goes on from its last round or judgement.

Run: python benchmarks/sample_efficiency.py [--arm articulated ...] [--seeds 3] [--budget 7000]
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from records import new_figure, run_missing, save_figure

from mosim_gym.files import write_json
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import AgentPreset, preset_for


@dataclass(frozen=True)
class Arm:
    """How an agent learns: strategy and model; without a strategy, alone."""

    real_steps: int
    label: str
    strategy: str | None = None
    model: str | None = None
    dynamics: str = "learned"


ARMS = {
    "articulated": Arm(
        30_000, "on_policy, articulated (told: geometry)", "on_policy", "articulated"
    ),
    "network": Arm(100_000, "on_policy, network (told: contact points)", "on_policy", "contact"),
    "perfect": Arm(
        50_000, "the rounds of on_policy in true physics", "on_policy", "articulated", "mujoco"
    ),
    "few_shot": Arm(
        100_000, "the paper's few_shot, network (told: contact points)", "few_shot", "contact"
    ),
    "alone": Arm(100_000, "SAC alone", dynamics="mujoco"),
    "random": Arm(0, "random actions", dynamics="mujoco"),
}
#: SB3's settings and an update a step; as in all arms, nets and discount are those that the task's
#: agent has, and the learning rate falls to 0 over the run.
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
)
COLUMNS = ("task", "arm", "seed", "budget")
NAME = "sample_efficiency"
#: Where reward is sparse, ten would be luck.
EPISODES = 50


@dataclass(frozen=True)
class Job:
    """One run."""

    task: str
    arm: str
    seed: int
    budget: int
    judgements: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return (self.task, self.arm, str(self.seed), str(self.budget))


def run(job: Job) -> dict[str, Any]:
    """Train unless that is done, and give the row of the table."""
    folder = Path("runs") / NAME / "-".join(job.key)
    file = folder / "result.json"
    if not file.exists() or json.loads(file.read_text())["interrupted"]:
        train(job, folder)
    result = json.loads(file.read_text())
    if result["interrupted"]:
        raise KeyboardInterrupt
    with (folder / "curve.csv").open() as file:
        curve = [(int(p["real_steps"]), float(p["return_real"])) for p in csv.DictReader(file)]
    real, seconds, steps = result["returns_real"], result["seconds"], result["real_steps"]
    return {
        "task": job.task,
        "arm": job.arm,
        "seed": job.seed,
        "budget": job.budget,
        "real_steps": steps,
        "updates": result["updates"],
        "seconds": round(seconds),
        "seconds_per_1000": round(1000 * seconds / max(steps, 1), 1),
        "episodes": len(real),
        "return_real_mean": round(float(np.mean(real)), 1),
        "return_real_min": round(min(real), 1),
        "return_model_mean": round(result["return_model_mean"], 1),
        "curve": " ".join(f"{steps}:{mean:.0f}" for steps, mean in curve),
    }


def act_at_random(job: Job, folder: Path) -> None:
    """Returns of uniform random actions, as a run that learned nothing."""
    from mosim_gym.rl.evaluate import evaluate_agent
    from mosim_gym.tasks.mujoco import robot_of

    rng = np.random.default_rng(job.seed)
    size = robot_of(*job.task.split("-", 1)).nu

    class Random:
        def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[Any, Any]:
            return rng.uniform(-1, 1, (len(observation), size)).astype(np.float32), None

    env_id = f"MoSim/{job.task}-v0"
    returns = evaluate_agent(Random(), env_id, episodes=EPISODES, dynamics="mujoco").tolist()
    folder.mkdir(parents=True, exist_ok=True)
    zeros = {"real_steps": 0, "updates": 0, "seconds": 0, "return_model_mean": np.mean(returns)}
    write_json(folder / "result.json", {"returns_real": returns, "interrupted": False, **zeros})
    (folder / "curve.csv").write_text(f"real_steps,return_real\n0,{np.mean(returns)}\n")


def train(job: Job, folder: Path) -> None:
    """Train into a folder, from where an unfinished run there stopped."""
    import torch

    from mosim_gym import train_agent
    from mosim_gym.rl.agent_state import STATE

    torch.set_num_threads(1)
    if job.arm == "random":
        return act_at_random(job, folder)
    arm = ARMS[job.arm]
    resume = (folder / STATE).exists()
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    how: dict[str, Any] = {"strategy": arm.strategy, "model": arm.model}
    if arm.strategy is None:
        updates = job.budget - PLAIN.learning_starts
        ours = preset_for(job.task, Algorithm.SAC)
        same = {"net_arch": ours.net_arch, "gamma": ours.gamma}
        how = {"preset": dataclasses.replace(PLAIN, updates=updates, **same)}
    else:
        how["real_steps"] = job.budget
    train_agent(
        f"MoSim/{job.task}-v0",
        dynamics=arm.dynamics,
        out=folder,
        resume=resume,
        seed=job.seed,
        judgements=job.judgements,
        curve_episodes=4,
        final_episodes=EPISODES,
        final_seed=1_000_000 + 1_000 * job.seed,
        progress=False,
        **how,
    )


def curves_of(
    rows: Sequence[dict[str, Any]], task: str, arm: str, budget: int
) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Real steps and returns, ``(points, 2)`` a seed."""
    return [
        np.array([point.split(":") for point in row["curve"].split()], dtype=float)
        for row in rows
        if (row["task"], row["arm"], int(row["budget"])) == (task, arm, budget)
    ]


def report(rows: Sequence[dict[str, Any]], task: str) -> None:
    """Draw return against real steps: each seed, their mean, and its 95 % bootstrap interval.

    By SciPy: rliable stands on arch 7, which does not load beside pandas 3.
    """
    from scipy.stats import bootstrap

    figure = new_figure(9, 4.5)
    axes = figure.subplots()
    cases = sorted({(row["arm"], int(row["budget"])) for row in rows if row["task"] == task})
    for k, (arm, budget) in enumerate(cases):
        curves = curves_of(rows, task, arm, budget)
        if arm == "random":
            mean = float(np.mean([curve[:, 1].mean() for curve in curves]))
            axes.axhline(mean, color="grey", ls=":", label=ARMS[arm].label)
            continue
        for curve in curves:
            axes.plot(*curve.T, color=f"C{k}", alpha=0.35, lw=1)
        ends = [
            float(row["return_real_mean"])
            for row in rows
            if (row["task"], row["arm"], int(row["budget"])) == (task, arm, budget)
        ]
        # Judged after about as many real steps, or some more often than others.
        steps = min(curves, key=len)[:, 0]
        returns = np.stack([np.interp(steps, *curve.T) for curve in curves])
        label = f"{ARMS[arm].label}, {budget:,} (seeds: {len(curves)})"
        axes.plot(steps, returns.mean(0), "o-", ms=3, color=f"C{k}", label=label)
        if len(curves) > 1:
            band = bootstrap((returns,), np.mean, axis=0, method="percentile", rng=0)
            interval = band.confidence_interval
            axes.fill_between(steps, interval.low, interval.high, color=f"C{k}", alpha=0.12)
        print(f"{task} {arm} {budget}: {np.mean(ends):.0f}, seeds {ends}")
    axes.set(xlabel="real steps", ylabel="return in reality", ylim=(0, 1020), title=task)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    save_figure(figure, NAME if task == "cheetah-run" else f"{NAME}_{task}")


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="cheetah-run")
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--judgements", type=int, default=12, help="Of the curve.")
    parser.add_argument("--budget", type=int, help="real steps; by default as listed above")
    options = parser.parse_args()
    jobs = [
        Job(options.task, arm, seed, options.budget or ARMS[arm].real_steps, options.judgements)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for arm in options.arm
    ]
    report(run_missing(NAME, COLUMNS, jobs, run, options.jobs), options.task)


if __name__ == "__main__":
    main()
