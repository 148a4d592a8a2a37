"""Pictures of open-loop accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mosim_gym.evaluate.compare import Figures
from mosim_gym.evaluate.horizon import TRUSTED_SHARE, HorizonErrors, quantile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Errors below are drawn there: a logarithmic axis knows no zero.
_FLOOR = 1e-20
#: How far below the lowest median the axis goes: a body at rest has no error, and no bottom.
_BELOW = 1e-2


def plot(figures: Sequence[Figures], path: Path, title: str) -> None:
    """Error by horizon and share still valid by step, as a PNG at `path`.

    Args:
        figures: of several models on one dataset; their long rollouts are drawn.
        path: of the picture.
        title: over it.
    """
    picture = draw({one.model: one.errors[-1] for one in figures}, title)
    picture.savefig(path)


def draw(errors: dict[str, HorizonErrors], title: str) -> Figure:
    """The figure of `plot`, to be added to or saved.

    Args:
        errors: long rollouts by the name of the model.
        title: over it.
    """
    # The object interface needs no screen and leaves the user's pyplot alone.
    from matplotlib.figure import Figure

    picture = Figure(figsize=(11, 4), dpi=120, layout="constrained")
    left, right = picture.subplots(1, 2)
    lowest = []
    for k, (model, one) in enumerate(errors.items()):
        lowest.append(_error_band(left, one, f"C{k}", model))
        steps = range(1, one.horizon + 1)
        right.plot(steps, one.share_valid, color=f"C{k}", label=model)
    seconds = next(iter(errors.values())).control_dt
    left.set(xscale="log", yscale="log", title="median, 5 to 95 % of rollouts; dashed: mean")
    left.set(ylabel="MSE of (qpos, qvel) up to the step", xlabel=f"control steps ({seconds:g} s)")
    left.set_ylim(bottom=_BELOW * min(lowest))
    right.axhline(TRUSTED_SHARE, color="black", lw=0.8, ls=":", label="trusted")
    right.set(xscale="log", ylim=(-0.02, 1.02), xlabel=f"control steps ({seconds:g} s)")
    right.set(ylabel="share of rollouts still valid", title="whitened error at most 0.10")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    picture.suptitle(title, fontsize=10)
    return picture


def _error_band(axes: Any, errors: HorizonErrors, colour: str, label: str) -> float:
    """Draw one model; its lowest median."""
    steps = torch.arange(1, errors.horizon + 1)
    mse = (errors.squared.cumsum(1) / steps).clamp(min=_FLOOR)
    low, middle, high = (quantile(mse, q) for q in (0.05, 0.5, 0.95))
    axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(steps, middle, color=colour, label=label)
    axes.plot(steps, mse.mean(0), color=colour, ls="--", lw=0.8)
    return float(middle.min())
