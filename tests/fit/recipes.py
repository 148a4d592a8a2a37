"""Recipes small enough for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mosim_gym.data.dataset import Dataset
from mosim_gym.fit import fit
from mosim_gym.fit.loop import Trainer
from mosim_gym.fit.presets import DEFAULT
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Part, Stage

SMALL = dataclasses.replace(
    DEFAULT,
    model=dataclasses.replace(DEFAULT.model, width=16, blocks=1),
    batch_size=128,
    patience=1.0,
)
#: All the parts at once: three stages, two correctors, SOAP. It learns so fast that each stage
#: gets better up to its end: otherwise the weights of an early step are all that is compared.
STAGED = dataclasses.replace(
    SMALL,
    learning_rate=0.03,
    model=dataclasses.replace(
        SMALL.model, predictor="rigid_body", correctors=2, corrector_width=8, corrector_blocks=1
    ),
    stages=(Stage(Part.PREDICTOR), Stage(Part.CORRECTOR, index=1), Stage(Part.JOINT)),
)


def quick(
    data: Dataset, out: Path, steps: int = 60, seed: int = 0, preset: Preset = STAGED
) -> dict[str, bytes]:
    """Fit, and give the bytes of all that was written."""
    fit(data, out=out, preset=preset, steps=steps, seed=seed, progress=False)
    return {file.name: file.read_bytes() for file in out.iterdir()}


def interrupt_at(step: int, how: Callable[[], None]) -> Callable[[Trainer, float], None]:
    original = Trainer._step

    def with_interrupt(self: Trainer, done: float) -> None:
        if self.progress.step == step:
            how()
        original(self, done)

    return with_interrupt


def kill() -> None:
    raise RuntimeError("killed")
