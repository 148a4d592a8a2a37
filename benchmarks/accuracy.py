"""How well models of the contact-free bodies follow true physics, beside the paper's recipe.

For each body one command collects 100 episodes and fits the ``lagrangian`` preset (timed from start
to end); the paper's preset and a plain network learn from the same data for as long, at least two
minutes. They, the shipped checkpoint and constant velocity are then followed open loop on episodes
of other seeds: 200 under the held random policy, 50 under an agent that was trained in the shipped
model. What is finished in ``runs/accuracy`` is not done again.

Run: python benchmarks/accuracy.py [--body reacher ...] [--quick]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from records import new_figure, read_csv, save_figure, timed, write_csv

from mosim_gym import train_agent
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.evaluate.baselines import ConstantVelocity, Model
from mosim_gym.evaluate.compare import Figures, Truth, compare, marks
from mosim_gym.evaluate.horizon import quantile
from mosim_gym.fit import fit
from mosim_gym.registration import find_row
from mosim_gym.tasks.energy import EnergyReader
from mosim_gym.tasks.true_simulator import TrueSimulator

FOLDER = Path("runs/accuracy")
TASKS = {
    "reacher": "easy",
    "acrobot": "swingup",
    "cartpole": "swingup",
    "pendulum": "swingup",
    "point_mass": "easy",
}
TRAIN_EPISODES, FRESH_SEED = 100, 3_141_592
BASELINES = ("paper", "mlp")
LEAST_MINUTES = 2.0
AGENT_UPDATES = 4_000
#: MSE after 100 steps in the paper, on starts and actions that are not published.
PAPER = {"reacher": 9e-4, "acrobot": 1.043e-1}
OURS = "lagrangian"
CONSTANT = "constant velocity"


def command(*arguments: object) -> None:
    """Run ``mosim-gym`` as a user would: a process of its own, imports and all."""
    words = [sys.executable, "-m", "mosim_gym", *map(str, arguments)]
    subprocess.run(words, check=True, env={"MUJOCO_GL": "disabled", **os.environ})


def make_models(body: str, quick: bool) -> tuple[dict[str, str], dict[str, float]]:
    """Checkpoints by name, and the seconds each took to make."""
    folder = FOLDER / body
    models, seconds = {"shipped": body}, {}
    if quick:
        return models, seconds
    ours, kept = folder / OURS, folder / "seconds.json"
    learn = ("learn", body, "--preset", OURS, "--episodes", TRAIN_EPISODES, "--out", ours)
    seconds[OURS] = timed(kept, OURS, lambda: command(*learn, "--quiet"))
    models[OURS] = str(ours)
    minutes = max(LEAST_MINUTES, seconds[OURS] / 60)
    for name in BASELINES:
        out = folder / name

        def baseline(out: Path = out, name: str = name) -> None:
            fit(ours.with_name(f"{OURS}-data"), out=out, preset=name, minutes=minutes)

        seconds[name] = timed(kept, name, baseline)
        models[name] = str(out)
    return models, seconds


def make_data(body: str, quick: bool) -> dict[str, Dataset]:
    """Motion no model was trained on, by the policy."""
    folder = FOLDER / body
    # On the first task of the body, as `mosim-gym learn` and `evaluate` do.
    episodes = 20 if quick else 200
    random = folder / f"fresh-{episodes}"
    command(
        "collect", body, "--episodes", episodes, "--seed", FRESH_SEED, "--out", random, "--quiet"
    )
    datasets = {"held random": Dataset.open(random)}
    if quick:
        return datasets
    agent, moved = folder / "agent", folder / "fresh-agent"
    if not (agent / "agent.zip").exists():
        shutil.rmtree(agent, ignore_errors=True)
        env_id = find_row(body, TASKS[body]).env_id
        train_agent(env_id, "sac", out=agent, updates=AGENT_UPDATES, judgements=2, progress=False)
    about = ("--policy", agent / "agent.zip", "--episodes", 50, "--seed", FRESH_SEED)
    command("collect", f"{body}-{TASKS[body]}", *about, "--out", moved, "--quiet")
    return {**datasets, "agent": Dataset.open(moved)}


def horizon_rows(body: str, figures: Figures) -> list[dict[str, Any]]:
    """The lines of one model on one dataset."""
    rows = []
    for errors in figures.errors:
        for h in marks(errors):
            mse = errors.mse(h)
            q, v = (errors.parts[name][:, :h].mean(1).median() for name in ("qpos", "qvel"))
            rows.append(
                {
                    "body": body,
                    "data": figures.data,
                    "model": figures.model,
                    "rollout_steps": errors.horizon,
                    "rollouts": len(mse),
                    "horizon": h,
                    "seconds": round(h * errors.control_dt, 6),
                    "mse_mean": f"{mse.mean():.3e}",
                    "mse_median": f"{mse.median():.3e}",
                    "mse_q95": f"{quantile(mse, 0.95):.3e}",
                    "qpos_mse_median": f"{q:.3e}",
                    "qvel_mse_median": f"{v:.3e}",
                    "share_valid": f"{errors.share_valid[h - 1]:.3f}",
                }
            )
    return rows


def model_row(body: str, figures: Figures, seconds: dict[str, float]) -> dict[str, Any]:
    """One line a model and dataset: what it comes to."""
    errors, jacobian, energy = figures.errors[-1], figures.jacobian, figures.energy
    drift = None
    if energy is not None:
        drift = energy.summary()["by_horizon"][str(energy.steps[-1])]["median_of_size_relative"]
    short = figures.errors[0].mse(100)
    return {
        "body": body,
        "data": figures.data,
        "model": figures.model,
        "made_in_seconds": seconds.get(figures.model, ""),
        "mse_100_mean": f"{short.mean():.3e}",
        "mse_100_median": f"{short.median():.3e}",
        "paper_mse_100": PAPER.get(body, ""),
        "rollouts": len(errors.squared),
        "steps": errors.horizon,
        "mse_mean": f"{errors.mse(errors.horizon).mean():.3e}",
        "mse_median": f"{errors.mse(errors.horizon).median():.3e}",
        "valid_horizon_median": int(errors.valid_horizon.median()),
        "share_valid": f"{errors.share_valid[-1]:.3f}",
        "trusted_horizon": errors.trusted_horizon,
        "jacobian_median": "" if jacobian is None else f"{jacobian.relative.median():.2e}",
        "energy_drift_relative": "" if drift is None else f"{drift:.2e}",
    }


def draw(axes: Axes, body: str, figures: list[Figures]) -> None:
    """Errors by horizon, of long rollouts under random actions."""
    for k, one in enumerate(figures):
        errors = one.errors[-1]
        steps = torch.arange(1, errors.horizon + 1)
        mean = errors.squared.cumsum(1) / steps
        axes.loglog(steps, mean.median(0).values, color=f"C{k}", label=one.model)
        axes.loglog(steps, quantile(mean, 0.95), color=f"C{k}", ls=":")
    if body in PAPER:
        axes.scatter([100], [PAPER[body]], color="black", marker="x", label="the paper's figure")
    dt = figures[0].errors[-1].control_dt
    axes.set(title=body, xlabel=f"control steps ({dt:g} s)", ylabel="MSE up to there")
    axes.grid(alpha=0.3, which="major")


def main() -> None:
    """Make the models, measure them, write tables and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--quick", action="store_true", help="shipped models, 20 episodes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = "accuracy_quick" if options.quick else "accuracy"
    kept = [row for row in read_csv(name) if row["body"] not in options.body]
    kept_models = [row for row in read_csv(f"{name}_models") if row["body"] not in options.body]
    rows: list[dict[str, Any]] = [*kept]
    summary: list[dict[str, Any]] = [*kept_models]
    figure = new_figure(4 * len(options.body), 4)
    panels = figure.subplots(1, len(options.body), squeeze=False)[0]
    facts = {"train_episodes": TRAIN_EPISODES, "train_seed": 0, "fresh_seed": FRESH_SEED}
    for axes, body in zip(panels, options.body, strict=True):
        checkpoints, seconds = make_models(body, options.quick)
        models: dict[str, Model] = {k: load_checkpoint(v).simulator for k, v in checkpoints.items()}
        models[CONSTANT] = ConstantVelocity(models["shipped"].spec)
        truth = Truth(
            TrueSimulator(body, TASKS[body], threads=1).step, EnergyReader(body, TASKS[body])
        )
        found = list(compare(models, make_data(body, options.quick), truth=truth))
        for one in found:
            rows += horizon_rows(body, one)
            summary.append(model_row(body, one, seconds))
            print(summary[-1], flush=True)
        draw(axes, body, [one for one in found if one.data == "held random"])
        write_csv(name, rows, **facts)
        write_csv(f"{name}_models", summary, **facts, threads=1)
    panels[0].legend(fontsize=7, title="median; dotted: 95 %")
    save_figure(figure, name)


if __name__ == "__main__":
    main()
