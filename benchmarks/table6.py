"""The paper's Table 6: the largest Lyapunov exponent of the model against that of true physics.

From the same starts, under the same actions (none, and held random ones), with neighbours at 1e-5
in the same directions: the paper's estimator and Benettin's, as distributions over trajectories.
The starts are the task's own. With ``--members``, models fitted apart on the same data: how far
their futures from one state part, against how far they are from the true one, and how fast both
grow. What is finished in ``runs/table6`` is not done again.

Run: python benchmarks/table6.py [--checkpoint acrobot ...] [--members A B ...] [--quick]
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import new_figure, save_figure, write_csv

from mosim_gym.data.batches import Windows
from mosim_gym.dynamics.checkpoint import load_checkpoint, load_simulator
from mosim_gym.dynamics.ensemble import Ensemble
from mosim_gym.evaluate.horizon import quantile
from mosim_gym.evaluate.jacobian import Step, in_float64
from mosim_gym.evaluate.lyapunov import (
    Exponents,
    agreement,
    held_random_actions,
    lyapunov_exponents,
)
from mosim_gym.evaluate.spread import Spread, spread_of_futures
from mosim_gym.registration import find_row
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.true_simulator import TrueSimulator
from mosim_gym.types import State

FOLDER = Path("runs/table6")
SECONDS = (1.0, 2.0, 5.0, 10.0)
DELTA, SEED = 1e-5, 606_606
TRUTH = "MuJoCo"
#: The paper's own, for acrobot after 10 s; its starts and actions are not published.
PAPER = {"MuJoCo": 1.1738, "MoSim": 1.1728}


def starts_of(domain: str, task: str, rows: int) -> State:
    """Starts drawn from the task's own distribution."""
    native = find_row(domain, task).native_task()
    if native is None:
        raise SystemExit(f"{domain}-{task} has no torch-native task to draw starts from.")
    return native.initial_states(rows, np.random.default_rng(SEED))


def actions_of(spec: RobotSpec, kind: str, rows: int) -> torch.Tensor:
    """Actions for the longest of the times."""
    steps = round(SECONDS[-1] / spec.control_dt)
    if kind == "zero":
        return torch.zeros(rows, steps, spec.nu, dtype=torch.float64)
    low, high = torch.from_numpy(spec.action_low), torch.from_numpy(spec.action_high)
    return held_random_actions(low, high, rows, steps, seed=SEED)


def measured(file: Path, step: Step, start: State, actions: torch.Tensor, dt: float) -> Exponents:
    """The exponents, from `file` if they were computed before."""
    if not file.exists():
        began = time.perf_counter()
        found = lyapunov_exponents(
            step, start, actions, control_dt=dt, seconds=SECONDS, delta=DELTA, seed=SEED
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".tmp.npz")
        np.savez(half, unscaled=found.unscaled.numpy(), benettin=found.benettin.numpy())
        half.rename(file)
        print(f"{file.stem}: {time.perf_counter() - began:.0f} s")
    with np.load(file) as arrays:
        unscaled, benettin = (torch.from_numpy(arrays[k]) for k in ("unscaled", "benettin"))
    return Exponents(SECONDS, unscaled, benettin)


def rows_of(kind: str, found: dict[str, Exponents]) -> list[dict[str, Any]]:
    """The lines of the table for one kind of actions."""
    rows = []
    for name in [name for name in found if name != TRUTH]:
        for estimator in ("unscaled", "benettin"):
            for k, seconds in enumerate(SECONDS):
                both = (getattr(found[side], estimator)[:, k] for side in (name, TRUTH))
                told = agreement(*both)
                rows.append(
                    {
                        "actions": kind,
                        "model": name,
                        "estimator": "paper" if estimator == "unscaled" else estimator,
                        "seconds": seconds,
                        "model_mean": f"{told.model:.4f}",
                        "mujoco_mean": f"{told.truth:.4f}",
                        "mean_error": f"{told.error:.2e}",
                        "ks": f"{told.ks:.4f}",
                        "ks_chance": f"{told.ks_chance:.4f}",
                        "lost": told.lost,
                    }
                )
    return rows


def true_motion(truth: TrueSimulator, start: State, actions: torch.Tensor) -> Windows:
    """What true physics makes of the actions."""
    states = [start]
    for t in range(actions.shape[1]):
        states.append(truth.step(states[-1], actions[:, t]))
    qpos, qvel = (torch.stack([getattr(s, name) for s in states], 1) for name in ("qpos", "qvel"))
    return Windows(start, actions, qpos, qvel, None)


def write_futures(spread: Spread, truth: Exponents, name: str, **facts: Any) -> None:
    """Table and picture of an ensemble's futures."""
    dt = spread.control_dt
    rows = []
    for before, seconds in zip((0.5, *SECONDS), SECONDS, strict=False):
        step = round(seconds / dt)
        grown = [float(g.median()) for g in spread.growth(round(before / dt), step)]
        k = SECONDS.index(seconds)
        rows.append(
            {
                "seconds": seconds,
                "spread_median": f"{spread.spread[:, step - 1].median():.3e}",
                "error_median": f"{spread.error[:, step - 1].median():.3e}",
                "error_over_spread": f"{spread.ratio[step - 1]:.3f}",
                "since": before,
                "spread_growth": f"{grown[0]:.3f}",
                "error_growth": f"{grown[1]:.3f}",
                "true_exponent_from_0": f"{truth.benettin[:, k].nanmean():.3f}",
            }
        )
        print(rows[-1])
    write_csv(name, rows, **facts)
    figure = new_figure()
    axes = figure.subplots()
    times = dt * torch.arange(1, spread.spread.shape[1] + 1)
    for k, (label, size) in enumerate({"spread": spread.spread, "error": spread.error}.items()):
        low, middle, high = (quantile(size, q) for q in (0.05, 0.5, 0.95))
        axes.fill_between(times, low, high, alpha=0.2, color=f"C{k}", linewidth=0)
        axes.plot(times, middle, color=f"C{k}", label=f"{label}: median, 5 to 95 %")
    axes.set(yscale="log", xlabel="seconds", ylabel="whitened distance")
    axes.set_title("Futures of an ensemble: distance from their mean, and of it from the truth")
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, name)


def draw(found: dict[str, dict[str, Exponents]], body: str, name: str) -> None:
    """Distributions of Benettin's exponent, and the means by time."""
    figure = new_figure(11, 7)
    for column, (kind, sides) in enumerate(found.items()):
        above, below = (figure.add_subplot(2, 2, column + 1 + row) for row in (0, 2))
        for k, (side, exponents) in enumerate(sides.items()):
            style = {"color": f"C{k}", "ls": "-" if side == TRUTH else "--"}
            for values, width in ((exponents.benettin[:, 0], 0.8), (exponents.benettin[:, -1], 2)):
                ordered = values[values.isfinite()].sort().values
                shares = torch.arange(1, len(ordered) + 1) / len(ordered)
                above.plot(ordered, shares, lw=width, **style)
            for values, marker in ((exponents.benettin, "o"), (exponents.unscaled, "s")):
                estimator = "Benettin" if marker == "o" else "the paper's"
                label = f"{side}, {estimator}"
                below.plot(SECONDS, values.nanmean(0), marker=marker, label=label, **style)
        above.set(title=f"{body}, {kind} actions", xlabel="Benettin's exponent, 1/s")
        above.set(ylabel=f"share below; thin: after {SECONDS[0]:g} s, thick: {SECONDS[-1]:g} s")
        below.set(xlabel="seconds", ylabel="mean exponent, 1/s")
        below.legend(fontsize=7)
        above.grid(alpha=0.3)
        below.grid(alpha=0.3)
    save_figure(figure, name)


def main() -> None:
    """Measure truth and models, write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", nargs="+", default=["acrobot"])
    parser.add_argument("--members", nargs="+", default=[], help="checkpoints of an ensemble")
    parser.add_argument("--task", nargs=2, default=["acrobot", "swingup"])
    parser.add_argument("--trajectories", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=0, help="of MuJoCo; 0: all")
    parser.add_argument("--quick", action="store_true", help="300 trajectories")
    options = parser.parse_args()
    domain, task = options.task
    rows = 300 if options.quick else options.trajectories
    truth = TrueSimulator(domain, task, threads=options.threads)
    sides: dict[str, tuple[str, Step]] = {TRUTH: ("mujoco", truth.step)}
    for name in options.checkpoint:
        checkpoint = load_checkpoint(name)
        truth.spec.require_same_body(checkpoint.spec, f"The checkpoint {name}")
        weights = (checkpoint.path / "model.safetensors").read_bytes()
        key = f"{checkpoint.name}-{hashlib.sha256(weights).hexdigest()[:12]}"
        sides[name] = (key, in_float64(checkpoint.simulator).step)
    start = starts_of(domain, task, rows)
    table: list[dict[str, Any]] = []
    found: dict[str, dict[str, Exponents]] = {}
    for kind in ("zero", "random"):
        actions = actions_of(truth.spec, kind, rows)
        found[kind] = {
            side: measured(
                FOLDER / f"{domain}-{task}-{kind}-{rows}-{key}.npz",
                step,
                start,
                actions,
                truth.control_dt,
            )
            for side, (key, step) in sides.items()
        }
        table += rows_of(kind, found[kind])
    for row in table:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    result = "table6_quick" if options.quick else "table6"
    facts = {"body": domain, "trajectories": rows, "delta": DELTA, "seed": SEED}
    if domain == "acrobot":
        facts["the_papers_figures"] = PAPER
    write_csv(result, table, **facts)
    draw(found, domain, result)
    if options.members:
        members = Ensemble([load_simulator(name) for name in options.members])
        actions = actions_of(truth.spec, "random", rows)
        spread = spread_of_futures(members, true_motion(truth, start, actions))
        truths = found["random"][TRUTH]
        write_futures(spread, truths, f"{result}_futures", members=len(members), **facts)


if __name__ == "__main__":
    main()
