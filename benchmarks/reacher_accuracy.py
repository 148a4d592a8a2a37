"""How well the learned reacher follows the true one, beside the paper's recipe.

Collects the training data, fits the default preset (timed) and the paper's preset on the same data
for the same time, then measures both, and the shipped checkpoint, on episodes of other seeds:
open-loop rollouts of 100 and of 1000 control steps under the held random policy. What is finished
in ``runs/reacher_accuracy`` is not done again; timings of a run that went on are not reported.

Run: python benchmarks/reacher_accuracy.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from records import new_figure, save_figure, write_csv

import mosim_gym  # noqa: F401  (registers the ids)
from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.evaluate.horizon import HorizonErrors, horizon_errors
from mosim_gym.fit import fit

FOLDER = Path("runs/reacher_accuracy")
TRAIN_SEED, FRESH_SEED = 0, 987_654
FRESH_EPISODES = 200


def timed(name: str, work: Callable[[], Any]) -> float:
    """Do `work` unless it was done before; the seconds it took."""
    file = FOLDER / "seconds.json"
    seconds: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    if name not in seconds:
        start = time.perf_counter()
        work()
        seconds[name] = round(time.perf_counter() - start, 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(seconds))
    return seconds[name]


def record(name: str, episodes: int, seed: int) -> Dataset:
    """A dataset of true motion."""
    env = gym.make("MoSim/reacher-easy-v0", dynamics="mujoco")
    return collect(env, FOLDER / name, episodes=episodes, seed=seed)


def errors_of(checkpoint: str, fresh: Dataset) -> dict[int, HorizonErrors]:
    """Errors over rollouts of 100 and 1000 steps; 1000 rollouts of the short ones at most."""
    simulator = load_checkpoint(checkpoint).simulator
    return {
        100: horizon_errors(simulator, fresh.windows(100, stride=200)),
        1000: horizon_errors(simulator, fresh.windows(1000)),
    }


def main() -> None:
    """Make the models, measure them, write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the shipped checkpoint")
    quick = parser.parse_args().quick
    facts: dict[str, Any] = {"train_seed": TRAIN_SEED, "fresh_seed": FRESH_SEED}
    models = {"shipped": "reacher"}
    if not quick:
        data = FOLDER / "data"
        facts["collect_seconds"] = timed("collect", lambda: record("data", 300, TRAIN_SEED))
        out = {name: FOLDER / name for name in ("default", "paper")}
        facts["fit_seconds"] = timed("default", lambda: fit(data, out=out["default"]))
        minutes = facts["fit_seconds"] / 60
        facts["paper_fit_seconds"] = timed(
            "paper", lambda: fit(data, out=out["paper"], preset="paper", minutes=minutes)
        )
        for name, path in out.items():
            models[name] = str(path)
            facts[f"{name}_steps"] = load_checkpoint(path).provenance["steps"]
    fresh = record("fresh", 40 if quick else FRESH_EPISODES, FRESH_SEED)
    rows = []
    figure = new_figure()
    axes = figure.subplots()
    for k, (name, checkpoint) in enumerate(models.items()):
        for length, errors in errors_of(checkpoint, fresh).items():
            for h in [h for h in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if h <= length]:
                mse = errors.mse(h)
                rows.append(
                    {
                        "model": name,
                        "rollout_steps": length,
                        "rollouts": len(mse),
                        "horizon": h,
                        "seconds": h * errors.control_dt,
                        "mse_mean": f"{mse.mean():.3e}",
                        "mse_median": f"{mse.median():.3e}",
                        "mse_q95": f"{mse.quantile(0.95):.3e}",
                        "share_valid": f"{errors.share_valid[h - 1]:.3f}",
                        "valid_horizon_median": int(errors.valid_horizon.median()),
                    }
                )
                if h == length:
                    print({key: rows[-1][key] for key in list(rows[-1]) if key != "seconds"})
        steps = range(1, errors.horizon + 1)
        mean = errors.squared.cumsum(1) / torch.arange(1, errors.horizon + 1)
        axes.loglog(steps, mean.mean(0), color=f"C{k}", label=f"{name}: mean")
        axes.loglog(steps, mean.median(0).values, color=f"C{k}", ls="--", label=f"{name}: median")
    axes.scatter([100], [9e-4], color="black", marker="x", label="the paper's figure")
    axes.set(xlabel="control steps (0.02 s)", ylabel="MSE of (qpos, qvel) up to there")
    axes.set_title("Reacher, open loop, fresh seeds")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    name = "reacher_accuracy_quick" if quick else "reacher_accuracy"
    write_csv(name, rows, **facts)
    save_figure(figure, name)


if __name__ == "__main__":
    main()
