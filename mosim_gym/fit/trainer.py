"""fit: from a dataset to an accepted checkpoint, in one call that can be interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import require_replaceable
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.loop import LossNotFiniteError
from mosim_gym.fit.presets import get_preset
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.run import Run
from mosim_gym.threads import torch_threads


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a fit gave.

    Attributes:
        path: the checkpoint's folder.
        simulator: the model, with its best weights.
        steps: optimiser steps; those for touch readings, where there are any, are not counted.
        held_out_error: of the best weights, in units of the preset's loss.
        touch_error: of touch readings on the same episodes, mean squared error of log1p(newtons);
            ``None`` if the data held none, or the model knows the forces they follow from.
        acceptance: figures on the test episodes; see the card.
        seconds: this call took.
    """

    path: Path
    simulator: Simulator
    steps: int
    held_out_error: float
    touch_error: float | None
    acceptance: Mapping[str, Any]
    seconds: float


def fit(
    dataset: Dataset | str | Path,
    *,
    out: str | Path,
    preset: str | Preset = "default",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    resume: bool = True,
    progress: bool = True,
    command: str | None = None,
) -> FitResult:
    """Train a model on a dataset and save it as a checkpoint.

    The state of the fit is kept beside `out`, in ``<out>.run``, with TensorBoard scalars; after an
    interrupt the same call goes on from there, to the same bits. A fit that has finished keeps no
    state: the same call then trains anew and replaces the checkpoint.

    Args:
        dataset: or its folder.
        out: folder of the checkpoint; a checkpoint that is there is replaced at the end.
        preset: a name (``default``, ``paper``) or a recipe.
        steps: optimiser steps; the preset's by default. Where the data holds touch readings, their
            head is trained after the motion, as long a part of its own recipe.
        minutes: turned into a step count once, by timing; not with `steps`.
        seed: of weights, split and batches.
        threads: of torch; as they are by default.
        resume: go on with the unfinished fit in ``<out>.run``, if there is one.
        progress: show a bar with the held-out error; on Ctrl-C, print where the state is.
        command: recorded in the checkpoint as what made it.

    Raises:
        MosimError: for a dataset, preset, budget or folder that cannot be used.
        LossNotFiniteError: if training broke down; the best weights are saved at `out`.
        KeyboardInterrupt: on Ctrl-C, after the step under way was done and the state written; on
            a second Ctrl-C at once, with the state as it was last written.
    """
    started = time.perf_counter()
    recipe = get_preset(preset)
    _check_budget(steps, minutes)
    if not isinstance(dataset, Dataset):
        dataset = Dataset.open(dataset)
    out = Path(out)
    require_replaceable(out)
    with torch_threads(threads):
        run = Run(dataset, recipe, out, seed)
        run.begin(steps, minutes, resume)
        try:
            broken = run.train(progress)
            acceptance = run.finish(command)
        except KeyboardInterrupt:
            if progress:
                again = "the same" if resume else "the same with resume=True (no --no-resume)"
                print(f"{run.where()} Run {again} again to go on from there.")
            raise
    if broken is not None:
        raise LossNotFiniteError(f"{broken} They are saved at {out}.") from broken
    return FitResult(
        path=out,
        simulator=run.simulator,
        steps=run.steps,
        held_out_error=acceptance["held_out_error"],
        touch_error=acceptance.get("touch", {}).get("held_out_error"),
        acceptance=acceptance,
        seconds=time.perf_counter() - started,
    )


def _check_budget(steps: int | None, minutes: float | None) -> None:
    if steps is not None and minutes is not None:
        raise MosimError(f"fit got steps={steps} and minutes={minutes}; give one of them.")
    for name, value in (("steps", steps), ("minutes", minutes)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise MosimError(f"fit got {name}={value}; expected more than 0, and finite.")
