"""What a step learns from, and the average of the weights it leads to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit import loop
from mosim_gym.fit.batches import draw
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.loop import Trainer
from mosim_gym.fit.stages import Part, Stage
from tests.fit.fakes import pendulum_spec
from tests.fit.recipes import SMALL, interrupt_at, kill, quick

#: Everything that shapes a batch or an average, over two stages.
GROWN = dataclasses.replace(
    SMALL,
    learning_rate=0.03,
    stages=(
        Stage(Part.PREDICTOR, batch_size=(16, 64, 128), averaging=0.5),
        Stage(Part.PREDICTOR, hard=0.5, easy_share=0.75, averaging=0.8),
    ),
)


@dataclass(frozen=True)
class Numbers:
    """Rows whose error is their value."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, index: Tensor) -> Numbers:
        return Numbers(self.values[index])


NUMBERS = Lesson(
    Numbers(torch.arange(10_000) / 10_000),
    Numbers(torch.zeros(1)),
    lambda _, rows: rows.values.square().mean(),
    lambda _, rows: rows.values.unsqueeze(1),
)


@pytest.fixture(scope="module")
def model() -> Simulator:
    return Simulator(pendulum_spec(), SMALL.model)


def drawn(model: Simulator, stage: Stage, size: int) -> Tensor:
    return draw(model, NUMBERS, stage, size, torch.Generator().manual_seed(0)).values


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0.05, 0.95))
def test_a_batch_has_its_size(model: Simulator, size: int, hard: float, easy: float) -> None:
    assert len(drawn(model, Stage(Part.JOINT, hard=hard, easy_share=easy), size)) == size


@pytest.mark.parametrize(("hard", "easy"), [(0.5, 15 / 16), (0.2, 0.6), (0.9, 0.25), (1.0, 0.5)])
def test_either_kind_has_its_rate(model: Simulator, hard: float, easy: float) -> None:
    values = drawn(model, Stage(Part.JOINT, hard=hard, easy_share=easy), 4000)
    assert (values > easy).double().mean().item() == pytest.approx(hard, abs=0.03)
    # Of its kind, a row is any.
    for kind, middle in (
        (values[values > easy], (1 + easy) / 2),
        (values[values < easy], easy / 2),
    ):
        if len(kind) > 500:
            assert kind.mean().item() == pytest.approx(middle, abs=0.03)


def test_without_hard_rows_all_are_drawn_alike(model: Simulator) -> None:
    assert drawn(model, Stage(Part.JOINT), 4000).mean().item() == pytest.approx(0.5, abs=0.02)


def test_hard_rows_need_the_error_of_a_row(model: Simulator) -> None:
    dumb = dataclasses.replace(NUMBERS, residuals=None)
    with pytest.raises(MosimError, match=r"joint asks for hard rows \(hard=0.5\).*RESIDUALS"):
        draw(model, dumb, Stage(Part.JOINT, hard=0.5), 8, torch.Generator())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": ()}, r"batch_size is \(\); expected one size or more"),
        ({"hard": 1.5}, "hard is 1.5; expected 0 to 1"),
        ({"easy_share": 1.0}, "easy_share is 1.0; expected more than 0 and less than 1"),
        ({"averaging": 1.0}, "averaging is 1.0; expected 0 or more and less than 1"),
    ],
)
def test_what_a_stage_cannot_be_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(MosimError, match=message):
        Stage(Part.JOINT, **wrong)


def test_batches_grow_along_a_stage(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def noted(*arguments: Any) -> Any:
        sizes.append(arguments[3])
        return draw(*arguments)

    monkeypatch.setattr(loop, "draw", noted)
    quick(pendulum, tmp_path / "x", steps=24, preset=GROWN)
    assert sizes == [16] * 4 + [64] * 4 + [128] * 16


@pytest.mark.parametrize("step", [5, 11, 13, 22])
def test_a_killed_fit_goes_on_to_the_same_bits(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    whole = quick(pendulum, tmp_path / "a" / "x", steps=24, preset=GROWN)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(Trainer, "_step", interrupt_at(step, kill))
        quick(pendulum, tmp_path / "b" / "x", steps=24, preset=GROWN)
    assert quick(pendulum, tmp_path / "b" / "x", steps=24, preset=GROWN) == whole


class Rocking:
    """Puts the weights to the one side of zero and to the other in turn."""

    def __init__(self, simulator: Simulator) -> None:
        self.parameters, self.side = list(simulator.parameters()), 1.0

    @torch.no_grad()
    def step(self, batch: Numbers, factor: float) -> float:
        self.side = -self.side
        for parameter in self.parameters:
            parameter.fill_(self.side)
        return 1.0

    def state(self) -> dict[str, Any]:
        return {"side": self.side}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.side = state["side"]


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_the_average_is_kept_where_it_is_better(
    monkeypatch: pytest.MonkeyPatch, averaging: float
) -> None:
    def distance(simulator: Simulator, rows: Numbers) -> Tensor:
        return torch.stack([p.square().mean() for p in simulator.parameters()]).mean()

    simulator = Simulator(pendulum_spec(), SMALL.model)
    with torch.no_grad():
        for parameter in simulator.parameters():
            parameter.fill_(2.0)
    monkeypatch.setattr(loop, "make_learner", lambda simulator, *_: Rocking(simulator))
    lesson = dataclasses.replace(NUMBERS, loss=distance)
    stages = (Stage(Part.PREDICTOR, averaging=averaging),)
    trainer = Trainer(simulator, dataclasses.replace(SMALL, stages=stages), lambda _: lesson, 0)
    trainer.run(40, lambda *_: None)
    error = distance(simulator, NUMBERS.held_out).item()
    assert error == pytest.approx(trainer.progress.best_error)
    assert error < 0.01 if averaging else error == 1.0
