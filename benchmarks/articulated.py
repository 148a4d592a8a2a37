"""What a few thousand transitions teach a model that is told a body's geometry, and no more.

For each body: episodes of true physics under the held random policy; a fit of the ``articulated``
preset from "unknown" (one density, one damping, one friction), or (``numbers``) from the numbers of
the body's MJCF, each to 30 %; beside it a network (``default``) and, where asked for, one that is
shown contacts and the paper's recipe, on the same data for as long (``--minutes`` at the least), or
the checkpoint that ships; open-loop rollouts on episodes of other seeds. With ``--altered k`` the
body's masses, inertias, friction, damping, springs and motors are also changed by up to half, each
on its own, by k different draws which no fit knows of; what was found is compared with the truth.
With ``--noise`` N(0, noise^2) is added once to every recorded state of the training data. Rows that
are there already are not made again.

Run: python benchmarks/articulated.py [--body cheetah ...] [--episodes 5 12] [--altered 3]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import torch
from bodies import TASKS, alter, record
from records import new_figure, run_missing, save_figure, taken, timed

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.checkpoint import Checkpoint, load_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.fit import fit
from mosim_gym.fit.losses import whitened_residuals
from mosim_gym.fit.pairs import make_pairs
from mosim_gym.fit.presets import get_preset
from mosim_gym.tasks.mujoco import load_dm_env

FOLDER = Path("runs/articulated")
FRESH_SEED, FRESH_EPISODES, LONG = 3_141_592, 100, 500
#: Control steps that the paper's figures of the same body are over; 100 elsewhere.
SHORT = {"hopper": 25, "walker": 20, "humanoid": 4, "panda": 10, "go2": 10, "quadruped": 25}
#: Checkpoints that are not called as their body is.
SHIPPED = {"swimmer": "swimmer6"}
#: After so many steps the paper's figures of cheetah begin.
EARLY = 16
#: A median error after short rollouts beyond which a model is not rolled out for long.
LOST = 10.0
LONG_FIGURES = (
    *(f"long_{what}" for what in ("steps", "rollouts", "mse_mean", "mse_median")),
    *("valid_horizon_median", "share_valid", "diverged"),
)
COLUMNS = ("body", "altered_by", "episodes", "noise", "model")
TOLD = {
    "articulated": "geometry",
    "contact": "contact points",
    "default": "joint types",
    "numbers": "its MJCF's numbers, to 30 %",
    "paper": "nothing",
    "shipped": "what its card says",
    "shipped-network": "what its card says",
}
NAME = "articulated"
#: Models that are solved for: they set the time that the others have.
SOLVED = ("articulated", "numbers")
DESCRIBED = {"all": 0.3}
#: From near the truth, what is wrong are a few rows: contacts, which noise makes or hides.
RECIPES = {"numbers": "articulated_robust"}


@dataclass(frozen=True)
class Job:
    """One model of one body."""

    body: str
    altered: int
    episodes: int
    noise: float
    model: str
    minutes: float = 0.0
    steps: int | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return (self.body, str(self.altered), str(self.episodes), f"{self.noise:g}", self.model)


def run(job: Job) -> dict[str, Any]:
    """One model: data, fit, figures."""
    torch.set_num_threads(1)
    body, altered = job.body, job.altered
    folder = FOLDER / f"{body}-{altered}"
    env = load_dm_env(body, TASKS[body])
    env.reset()
    model = env.physics.model.ptr
    if altered:
        alter(model, altered)
    seconds: float | str = ""
    if job.model.startswith("shipped"):
        name = SHIPPED.get(body, body) + job.model.removeprefix("shipped")
        checkpoint = load_checkpoint(name)
    else:
        checkpoint, seconds = fitted(job, folder, model)
    fresh = record(
        body, folder / "fresh", episodes=FRESH_EPISODES, seed=FRESH_SEED + altered, altered=altered
    )
    provenance = checkpoint.provenance
    if job.model.startswith("shipped") and provenance["data"]["episodes"] != job.episodes:
        raise SystemExit(f"{body} ships from --episodes {provenance['data']['episodes']}.")
    return {
        **dict(zip(COLUMNS, job.key, strict=True)),
        "told": TOLD[job.model],
        "transitions": provenance["data"]["steps"],
        "fit_seconds": seconds,
        "fit_steps": provenance["steps"],
        **rollout_figures(checkpoint.simulator, fresh, SHORT.get(body, 100)),
        **identified(checkpoint.simulator, model),
    }


def fitted(job: Job, folder: Path, model: mujoco.MjModel) -> tuple[Checkpoint, int]:
    """The model that a job asks for, and the seconds it took."""
    mine, kept = f"{job.episodes}-{job.noise:g}", folder / "seconds.json"
    train = record(
        job.body,
        folder / f"train-{mine}",
        episodes=job.episodes,
        seed=job.altered,
        altered=job.altered,
        substeps=True,
        noise=job.noise,
    )
    recipe, budget = get_preset(RECIPES.get(job.model, job.model)), None
    if recipe.needs_geometry:
        description = describe(model, ground=recipe.needs_ground_only)
        told: tuple[Any, ...] = (description.to_json(),)
        if job.model == "numbers":
            told += (physics_of(model, description).to_json(), DESCRIBED)
        recipe = recipe.told(*told)
    if job.model not in SOLVED:
        ours = tuple(f"{model}-{mine}" for model in SOLVED)
        solved = [seconds / 60 for name, seconds in taken(kept).items() if name.startswith(ours)]
        budget = max(job.minutes, *solved)
    steps = job.steps if job.model in SOLVED else None
    out = folder / (f"{job.model}-{mine}" + (f"-{steps}" if steps else ""))
    work = partial(
        fit, train, out=out, preset=recipe, steps=steps, minutes=budget, threads=1, progress=False
    )
    seconds = timed(kept, out.name, work)
    return load_checkpoint(out), round(seconds)


@torch.inference_mode()
def rollout_figures(simulator: Simulator, fresh: Dataset, short: int) -> dict[str, Any]:
    """Error of a control step, in parts of the variance, and open loop, on fresh episodes."""
    thin = make_pairs(simulator, fresh)
    thin = thin.rows(torch.arange(0, len(thin), 11))
    spread = thin.acceleration.std(0)
    error = whitened_residuals(simulator, thin) * simulator.acceleration_scale / spread
    figures: dict[str, Any] = {"nmse": f"{error[:, spread > 0].square().mean():.2e}"}
    for name, steps in (("short", short), ("long", LONG)):
        errors = horizon_errors(simulator, fresh.windows(steps))
        mse = errors.mse(steps)
        figures |= {
            f"{name}_steps": steps,
            f"{name}_rollouts": len(mse),
            f"{name}_mse_mean": f"{mse.mean():.2e}",
            f"{name}_mse_median": f"{mse.median():.2e}",
        }
        if name == "short" and steps > EARLY:
            figures["early_mse_mean"] = f"{errors.mse(EARLY).mean():.2e}"
        if name == "short" and mse.median() > LOST:
            # An adaptive solver takes hours over what such a model goes on to do.
            return figures | dict.fromkeys(LONG_FIGURES, "")
    return figures | {
        "valid_horizon_median": int(errors.valid_horizon.median()),
        "share_valid": f"{errors.share_valid[-1]:.3f}",
        "diverged": int(errors.diverged.sum()),
    }


@torch.no_grad()
def identified(simulator: Simulator, model: mujoco.MjModel) -> dict[str, Any]:
    """Largest relative errors of what motion can tell; the overall scale is taken from motors."""
    figures: dict[str, str] = dict.fromkeys(
        ("gear_off", "damping_off", "stiffness_off", "friction_off_median"), ""
    )
    predictor = simulator.predictor
    if not isinstance(predictor, Articulated):
        return figures
    found, told = predictor.physics(), predictor.description
    truth = physics_of(model, told)
    scale = float((truth.gear[:, 0] / found.gear[:, 0]).median())
    for name in ("gear", "damping", "stiffness"):
        ours, theirs = getattr(found, name), getattr(truth, name)
        known = theirs > 0
        if known.any():
            off = (scale * ours[known] / theirs[known] - 1).abs().max()
            figures[f"{name}_off"] = f"{off:.1e}"
    if len(told.pairs):
        off = (found.pair_friction[:, 0] / truth.pair_friction[:, 0] - 1).abs()
        figures["friction_off_median"] = f"{off.median():.1e}"
    return figures


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Draw the errors of short rollouts."""
    cases = list(dict.fromkeys(tuple(str(row[c]) for c in COLUMNS[:-1]) for row in rows))
    figure = new_figure(width=11, height=1.5 + 0.28 * len(cases))
    axes = figure.subplots()
    for k, model in enumerate(TOLD):
        mine = [row for row in rows if row["model"] == model]
        at = [cases.index(tuple(str(row[c]) for c in COLUMNS[:-1])) for row in mine]
        label = f"{model} (told: {TOLD[model]})"
        for statistic, marker in (("mean", "o"), ("median", "|")):
            values = [float(row[f"short_mse_{statistic}"]) for row in mine]
            axes.plot(values, at, marker, color=f"C{k}", label=label if marker == "o" else None)
    names = [
        f"{body}{'' if a == '0' else f', altered {a}'}, {n}{'' if s == '0' else f', noise {s}'}"
        for body, a, n, s in cases
    ]
    axes.set(xscale="log", yticks=range(len(cases)), xlabel="MSE of short rollouts (bar: median)")
    axes.set_title("body, episodes of 1000 steps")
    axes.set_yticklabels(names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    # Beside the rows, which fill the whole width.
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save_figure(figure, NAME)


def main() -> None:
    """Run the cases that are asked for, write the table, draw all there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", nargs="+", choices=TASKS, default=["pendulum", "cheetah"])
    parser.add_argument("--episodes", type=int, nargs="+", default=[5])
    parser.add_argument("--altered", type=int, default=0, help="so many altered bodies too")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=2.0, help="of other models, at the least")
    parser.add_argument("--steps", type=int, help="of what is solved for; made rows stay")
    parser.add_argument("--model", nargs="+", choices=TOLD, default=["articulated", "default"])
    options = parser.parse_args()
    cases = itertools.product(options.body, range(options.altered + 1), options.episodes)
    shipped = any(model.startswith("shipped") for model in options.model)
    if shipped and (options.altered or options.noise):
        parser.error("shipped models are of the body as it is, from data without noise")
    jobs = [
        Job(*case, options.noise, model, options.minutes, options.steps)
        for case in cases
        for model in options.model
    ]
    report(run_missing(NAME, COLUMNS, jobs, run, 1, threads=1, fresh_seed=FRESH_SEED))


if __name__ == "__main__":
    main()
