"""What makes a network of contacts good: one change at a time, same data, same optimiser steps.

Preset ``contact`` on cheetah and, where the body's control step holds several physics steps, on
hopper. Left out in turn: all that is told of contacts, their velocities, their gates but nearness.
Instead of letting the network find how contacts push: forces of points, through the transposed
Jacobians of the points and a learned inverse mass matrix. Other sizes; batches drawn from hard rows
(impacts); a model of the control step instead of the physics step; and what a compiled loss would
save of an optimiser step. Judged on episodes of other seeds. Rows that are there already are not
made again.

Run: python benchmarks/contact_features.py [--seeds 1] [--jobs 1] [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bodies import TASKS, record
from contact_variants import ONLY_WITH_SUBSTEPS, VARIANTS
from records import new_figure, read_csv, run_missing, save_figure, timed
from torch import Tensor

from mosim_gym.articulated.description import describe
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.fit import fit
from mosim_gym.fit.losses import LOSSES, whitened_residuals
from mosim_gym.fit.pairs import learn_scales, make_pairs
from mosim_gym.fit.presets import CONTACT
from mosim_gym.fit.recipe import Preset
from mosim_gym.tasks.mujoco import load_dm_env

FOLDER, NAME = Path("runs/contact_features"), "contact_features"
TRAIN_SEED, FRESH_SEED, FRESH_EPISODES = 0, 4_669_201, 50
COLUMNS = ("body", "variant", "steps", "seed")
#: Episodes of 1000 control steps to learn from, and the control steps that are rolled out.
EPISODES, HORIZONS = {"cheetah": 300, "hopper": 75}, {"cheetah": (16, 100), "hopper": (25, 100)}
#: Of the rows, those that are left out of the "trimmed" error.
WORST = 0.01


@dataclass(frozen=True)
class Job:
    """One fit."""

    body: str
    variant: str
    steps: int
    seed: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return tuple(str(getattr(self, column)) for column in COLUMNS)


def told(preset: Preset, body: str) -> Preset:
    """The preset, told where that body can touch what never moves, if it has use for it."""
    if not preset.needs_geometry:
        return preset
    env = load_dm_env(body, TASKS[body])
    env.reset()
    return preset.told(describe(env.physics.model.ptr, ground=True).to_json())


def run(job: Job) -> dict[str, Any]:
    """Fit, judge, and give the row."""
    torch.set_num_threads(1)
    body, episodes = job.body, EPISODES[job.body]
    train = record(
        body, FOLDER / f"{body}-train", episodes=episodes, seed=TRAIN_SEED, substeps=True
    )
    fresh = record(body, FOLDER / f"{body}-fresh", episodes=FRESH_EPISODES, seed=FRESH_SEED)
    out = FOLDER / "-".join(job.key).replace(" ", "_").replace("^", "")
    preset = told(VARIANTS[job.variant], body)
    work = partial(
        fit, train, out=out, preset=preset, steps=job.steps, seed=job.seed, threads=1,
        progress=False,
    )  # fmt: skip
    seconds = timed(FOLDER / "seconds.json", out.name, work)
    simulator = load_checkpoint(out).simulator
    return {
        **dict(zip(COLUMNS, job.key, strict=True)),
        "seconds": round(seconds),
        "weights": sum(p.numel() for p in simulator.parameters()),
        **figures(simulator, fresh, HORIZONS[body]),
    }


@torch.no_grad()
def figures(simulator: Simulator, fresh: Dataset, horizons: Sequence[int]) -> dict[str, Any]:
    """Errors of single steps, in parts of the variance, and open loop."""
    pairs = make_pairs(simulator, fresh)
    spread = pairs.acceleration.std(0)
    errors = []
    for rows in torch.arange(len(pairs)).split(10_000):
        some = pairs.rows(rows)
        errors.append(whitened_residuals(simulator, some) * simulator.acceleration_scale / spread)
    by_row = torch.cat(errors)[:, spread > 0].square().mean(1).sort().values
    found: dict[str, Any] = {
        "one_step_mean": f"{by_row.mean():.2e}",
        "one_step_median": f"{by_row.median():.2e}",
        "one_step_trimmed": f"{by_row[: round(len(by_row) * (1 - WORST))].mean():.2e}",
    }
    rolled = horizon_errors(simulator, fresh.windows(max(horizons)))
    for name, h in zip(("short", "long"), horizons, strict=True):
        mse = rolled.mse(h)
        found |= {f"{name}_steps": h, f"{name}_mse_mean": f"{mse.mean():.3e}"}
        found |= {f"{name}_mse_median": f"{mse.median():.3e}"}
    return found | {"rollouts": len(mse), "diverged": int(rolled.diverged.sum())}


def compiled_cost(steps: int = 20) -> dict[str, float]:
    """Milliseconds of loss and gradient, as it is and compiled; seconds that compiling takes."""
    torch.set_num_threads(1)
    train = record("cheetah", FOLDER / "cheetah-fresh", episodes=FRESH_EPISODES, seed=FRESH_SEED)
    config = told(CONTACT, "cheetah").model_config(train.spec)
    simulator = Simulator(train.spec, config)
    pairs = make_pairs(simulator, train)
    learn_scales(simulator, pairs)
    batch = pairs.rows(torch.arange(CONTACT.batch_size))
    loss = LOSSES[CONTACT.loss]

    def cost(of: Callable[..., Tensor]) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            simulator.zero_grad()
            of(simulator, batch).backward()
        return 1000 * (time.perf_counter() - start) / steps

    compiled = torch.compile(loss)
    start = time.perf_counter()
    compiled(simulator, batch).backward()
    compiling = time.perf_counter() - start
    cost(loss)
    return {
        "eager_ms": round(min(cost(loss) for _ in range(3)), 1),
        "compiled_ms": round(min(cost(compiled) for _ in range(3)), 1),
        "compiling_s": round(compiling, 1),
    }


def report(rows: Sequence[dict[str, Any]], name: str) -> None:
    """Draw one-step and open-loop errors of the variants."""
    figure = new_figure(width=10, height=4.5)
    for axes, body in zip(figure.subplots(1, 2), EPISODES, strict=True):
        mine = [row for row in rows if row["body"] == body]
        names = [v for v in VARIANTS if any(row["variant"] == v for row in mine)]
        at = [names.index(row["variant"]) for row in mine]
        short, long = HORIZONS[body]
        labels = {
            "one_step_mean": "one step, of the variance",
            "short_mse_mean": f"after {short} steps",
            "long_mse_mean": f"after {long} steps",
        }
        for (what, label), marker in zip(labels.items(), "soD", strict=True):
            axes.plot([float(row[what]) for row in mine], at, marker, label=label)
        axes.set(xscale="log", yticks=range(len(names)), title=body, xlabel="mean squared error")
        axes.set_yticklabels(names, fontsize=8)
        axes.invert_yaxis()
        axes.grid(alpha=0.3)
        # Below, off the rows.
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=3)
    save_figure(figure, name)


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    steps = 100 if options.quick else options.steps
    name = f"{NAME}_quick" if options.quick else NAME
    jobs = [
        Job(body, variant, steps, seed)
        for seed, (body, variant) in itertools.product(
            range(options.seeds),
            [("cheetah", v) for v in VARIANTS if v not in ONLY_WITH_SUBSTEPS]
            + [("hopper", v) for v in ("contact", *ONLY_WITH_SUBSTEPS)],
        )
    ]
    facts: dict[str, Any] = {"threads": 1, "fresh_seed": FRESH_SEED, "episodes": EPISODES}
    done = {tuple(row[column] for column in COLUMNS) for row in read_csv(name)}
    if any(job.key not in done for job in jobs):
        facts |= compiled_cost()
        print(facts)
    report(run_missing(name, COLUMNS, jobs, run, options.jobs, **facts), name)


if __name__ == "__main__":
    main()
