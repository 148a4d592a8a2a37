"""Several models on several datasets, in one table and one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mosim_gym.data.dataset import Dataset
from mosim_gym.evaluate.baselines import Model
from mosim_gym.evaluate.energy import EnergyDrift, energy_drift
from mosim_gym.evaluate.horizon import (
    TRUSTED_SHARE,
    VALID_ERROR,
    HorizonErrors,
    open_loop,
    quantile,
)
from mosim_gym.evaluate.jacobian import JacobianError, Step, jacobian_error
from mosim_gym.tasks.energy import Energies
from mosim_gym.types import State

#: Steps that the file tells of, and those of them in the table.
MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000)
_SHOWN = (1, 10, 100, 300, 1000)
#: Free motions whose energy is followed.
_FREE = 50


@dataclass(frozen=True, slots=True)
class Truth:
    """True physics of a body.

    Attributes:
        step: one control step, float64.
        energy: of states.
    """

    step: Step
    energy: Callable[[State], Energies]


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What was measured of one model on one dataset.

    Attributes:
        model: its name.
        data: the name of the dataset.
        errors: of short rollouts from anywhere, then of long ones; see `open_loop`.
        jacobian: of one step; ``None`` without true physics.
        energy: of free motion; ``None`` without true physics, and for bodies that touch something.
    """

    model: str
    data: str
    errors: tuple[HorizonErrors, ...]
    jacobian: JacobianError | None = None
    energy: EnergyDrift | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": self.model,
            "data": self.data,
            "open_loop": [errors.summary(marks(errors)) for errors in self.errors],
            "jacobian": None if self.jacobian is None else self.jacobian.summary(),
            "energy": None if self.energy is None else self.energy.summary(),
        }


def compare(
    models: Mapping[str, Model],
    datasets: Mapping[str, Dataset],
    *,
    longest: int | None = None,
    truth: Truth | None = None,
) -> Iterator[Figures]:
    """Measure every model on every dataset, one after the other.

    Args:
        models: by name, all of one body.
        datasets: by name; motion of that body none of them was trained on.
        longest: control steps of the long rollouts; whole episodes by default.
        truth: the body's true physics, for Jacobians and energies.
    """
    for data, dataset in datasets.items():
        for name, model in models.items():
            errors = open_loop(model, dataset, longest)
            jacobian = energy = None
            if truth is not None:
                jacobian = jacobian_error(model, truth.step, dataset.transitions())
                # Not from the first states: many tasks start at rest.
                starts = dataset.sample_states(_FREE, np.random.default_rng(0))
                steps = tuple(marks(errors[-1]))
                energy = energy_drift(model, truth.step, truth.energy, starts, steps)
            yield Figures(name, data, errors, jacobian, energy)


def marks(errors: HorizonErrors) -> list[int]:
    """The steps to tell of, the last one among them."""
    return [*[h for h in MARKS if h < errors.horizon], errors.horizon]


def table(figures: Sequence[Figures]) -> str:
    """What was measured on one dataset, the models under each other."""
    width = max(len(one.model) for one in figures)
    lines: list[str] = []
    for kind, first in enumerate(figures[0].errors):
        seconds = first.horizon * first.control_dt
        lines += [
            "",
            f"{len(first.squared)} open-loop rollouts of {first.horizon} control steps "
            f"({seconds:g} s), one after the other along the episodes. Squared error of (qpos, "
            "qvel), mean up to the step:",
            f"{'step':>5} {'seconds':>8}  {'model':<{width}} {'mean':>9} {'median':>9} {'95 %':>9} "
            f"{'qpos':>9} {'qvel':>9} {'still valid':>12}",
        ]
        for h in (h for h in marks(first) if h in (*_SHOWN, first.horizon)):
            for one in figures:
                lines.append(_row(one.model.ljust(width), one.errors[kind], h, one is figures[0]))
    lines += ["", *(_verdict(one, width) for one in figures)]
    lines.append(
        f"Valid: whitened error at most {VALID_ERROR:g}. Trusted: at least {TRUSTED_SHARE:.0%} of "
        "rollouts still valid. qpos, qvel: medians."
    )
    return "\n".join(lines)


def _row(model: str, errors: HorizonErrors, h: int, first: bool) -> str:
    mse = errors.mse(h)
    at = f"{h:>5} {h * errors.control_dt:>8g}" if first else " " * 14
    parts = (errors.parts[name][:, :h].mean(1).median() for name in ("qpos", "qvel"))
    values = (mse.mean(), mse.median(), quantile(mse, 0.95), *parts)
    figures = " ".join(f"{value:>9.2e}" for value in values)
    return f"{at}  {model} {figures} {errors.share_valid[h - 1]:>12.1%}"


def _verdict(one: Figures, width: int) -> str:
    errors = one.errors[-1]
    median, trusted = int(errors.valid_horizon.median()), errors.trusted_horizon
    text = (
        f"{one.model:<{width}}  valid for {_at_least(median, errors)} steps in the median, "
        f"trusted for {_at_least(trusted, errors)}; {int(errors.diverged.sum())} diverged"
    )
    if one.jacobian is not None:
        text += f"; Jacobian off by {float(one.jacobian.relative.median()):.1e}"
    if one.energy is not None:
        last = one.energy.summary()["by_horizon"][str(one.energy.steps[-1])]
        drift = last["median_of_size_relative"]
        size = "much" if drift is None else f"{drift:.1e} of its spread"
        text += f"; energy off by {size} after {one.energy.steps[-1]} free steps"
    return text + "."


def _at_least(steps: int, errors: HorizonErrors) -> str:
    """A horizon as it is known: no more than what was followed."""
    return f"all {steps}" if steps == errors.horizon else str(steps)
