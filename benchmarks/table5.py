"""The paper's Table 5: models of reacher trained on states with noise, judged on clean motion.

Normal noise of 0.01 is added once to every recorded qpos and qvel (rad, rad/s). Presets learn from
the same 300 episodes, without and with noise; the paper's preset and a plain network for as long as
the slowest of ours. All are followed open loop on 200 clean episodes of other seeds. What is
finished in ``runs/table5`` is not done again.

Run: python benchmarks/table5.py [--quick] [--presets lagrangian_unrolled paper]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from records import new_figure, save_figure, timed, write_csv

import mosim_gym  # noqa: F401  (registers the ids)
from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.evaluate.horizon import horizon_errors, quantile
from mosim_gym.fit import fit

FOLDER = Path("runs/table5")
ENV_ID = "MoSim/reacher-easy-v0"
NOISES = (0.0, 0.01)
OURS = ("lagrangian_unrolled", "lagrangian", "unrolled", "default")
BASELINES = ("mlp", "paper")
#: MSE after 100 steps in the paper: without noise, with it.
PAPER = {0.0: 9e-4, 0.01: 8e-4}
TRAIN_SEED, FRESH_SEED = 0, 5_772_156


def record(name: str, episodes: int, seed: int, noise: float = 0.0) -> Dataset:
    """Motion of true physics under the held random policy."""
    env = gym.make(ENV_ID, dynamics="mujoco")
    return collect(env, FOLDER / name, episodes=episodes, seed=seed, noise=noise)


def models(episodes: int, presets: Sequence[str]) -> list[dict[str, Any]]:
    """Every preset on every dataset: what it is, where it lies, what it took."""
    found = []
    for noise in NOISES:
        data = record(f"data-{episodes}-{noise:g}", episodes, TRAIN_SEED, noise)
        longest = 0.0
        for preset in presets:
            out = FOLDER / f"{preset}-{episodes}-{noise:g}"
            budget = longest / 60 if preset in BASELINES else None
            work = partial(fit, data, out=out, preset=preset, minutes=budget, threads=1)
            seconds = timed(FOLDER / "seconds.json", out.name, work)
            longest = max(longest, seconds)
            steps = load_checkpoint(out).provenance["steps"]
            made = {"path": str(out), "fit_seconds": seconds, "steps": steps}
            found.append({"noise": noise, "preset": preset, **made})
    return found


def main() -> None:
    """Make the models, measure them, write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="50 episodes; by default lagrangian presets"
    )
    parser.add_argument("--presets", nargs="+", choices=[*OURS, *BASELINES])
    options = parser.parse_args()
    quick, every = options.quick, (*OURS, *BASELINES)
    torch.set_num_threads(1)
    # In this order: baselines are given the time of the slowest of ours.
    presets = [
        name for name in every if name in (options.presets or (OURS[:2] if quick else every))
    ]
    made = models(50 if quick else 300, presets)
    fresh = record("fresh-40" if quick else "fresh", 40 if quick else 200, FRESH_SEED)
    # Those of 100 steps start all along the episodes.
    kinds = (fresh.windows(100), fresh.windows(1000))
    rows = []
    figure = new_figure()
    axes = figure.subplots()
    for one in made:
        simulator = load_checkpoint(one["path"]).simulator
        for windows in kinds:
            errors = horizon_errors(simulator, windows)
            for h in (h for h in (1, 10, 100, 300, 1000) if h <= errors.horizon):
                mse = errors.mse(h)
                rows.append(
                    {
                        **{k: one[k] for k in ("noise", "preset", "fit_seconds", "steps")},
                        "rollout_steps": errors.horizon,
                        "rollouts": len(mse),
                        "horizon": h,
                        "mse_mean": f"{mse.mean():.3e}",
                        "mse_median": f"{mse.median():.3e}",
                        "mse_q95": f"{quantile(mse, 0.95):.3e}",
                        "share_valid": f"{errors.share_valid[h - 1]:.3f}",
                        "paper_mse_mean": PAPER[one["noise"]] if h == 100 else "",
                    }
                )
                if h == errors.horizon:
                    print({k: v for k, v in rows[-1].items() if v != ""}, flush=True)
        mean = errors.squared.cumsum(1).mean(0) / torch.arange(1, errors.horizon + 1)
        style = "-" if one["noise"] else ":"
        label = f"{one['preset']}, noise {one['noise']:g}"
        axes.loglog(
            range(1, len(mean) + 1),
            mean,
            style,
            color=f"C{presets.index(one['preset'])}",
            label=label,
        )
    axes.scatter([100], [PAPER[NOISES[1]]], color="black", marker="x", label="the paper, noise")
    axes.set(xlabel="control steps (0.02 s)", ylabel="mean MSE up to there")
    axes.set_title("Reacher, trained on noisy states, judged on clean ones")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6)
    name = "table5_quick" if quick else "table5"
    write_csv(name, rows, train_seed=TRAIN_SEED, fresh_seed=FRESH_SEED, threads=1)
    save_figure(figure, name)


if __name__ == "__main__":
    main()
