"""A training run in words and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mosim_gym.rl.callbacks import CurvePoint
from mosim_gym.rl.result import TrainResult


def result_table(result: TrainResult, title: str) -> str:
    """The figures of a run, one a line, as they are."""
    real, model = result.returns_real, result.returns_model
    rows = [
        ("model steps", f"{result.steps - result.real_steps:,}"),
        ("real training steps", f"{result.real_steps:,}"),
        ("gradient updates", f"{result.updates:,}"),
        ("training time", f"{result.seconds:.0f} s"),
    ]
    if len(real):
        worst = f"(worst of {len(real)}: {real.min():.0f})"
        rows[-1:-1] = [
            ("return in the model", f"{model.mean():.0f} +- {model.std():.0f}"),
            ("return in reality", f"{real.mean():.0f} +- {real.std():.0f}  {worst}"),
        ]
    width = max(len(name) for name, _ in rows)
    lines = [title, "-" * len(title), *(f"{name:<{width}}  {value}" for name, value in rows)]
    if result.interrupted:
        lines.append("Training was interrupted; these are the figures of the agent as it was then.")
    return "\n".join(lines)


def plot_curve(curve: Sequence[CurvePoint], path: Path, title: str) -> None:
    """Returns in reality and in the model as a PNG at `path`.

    Against real steps, where there are any besides those of the model, else against updates.
    """
    # The object interface needs no screen and leaves the user's pyplot alone.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    few = 0 < curve[-1].real_steps < curve[-1].steps
    at = [point.real_steps if few else point.updates for point in curve]
    real = [point.return_real for point in curve]
    spread = [point.return_real_std for point in curve]
    axes.fill_between(
        at,
        [max(0.0, r - s) for r, s in zip(real, spread, strict=True)],
        [min(1000.0, r + s) for r, s in zip(real, spread, strict=True)],
        alpha=0.2,
        linewidth=0,
        label="in reality, one standard deviation over episodes",
    )
    axes.plot(at, real, marker="o", label="in reality")
    axes.plot(at, [p.return_model for p in curve], marker="s", ls="--", label="in the model")
    axes.set(xlabel="real steps" if few else "gradient updates", ylabel="return of an episode")
    axes.set(title=title, ylim=(0, 1020))
    axes.legend(loc="best")
    axes.grid(alpha=0.3)
    figure.savefig(path)
