"""fit learns what touch sensors read, beside the motion and without changing it."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import DatasetError, MosimError
from mosim_gym.evaluate.acceptance import touch_errors
from mosim_gym.fit import fit
from mosim_gym.fit.card import rewrite_card
from mosim_gym.fit.loop import Trainer
from mosim_gym.fit.stages import Part
from tests.fit.fakes import pendulum_spec, stop_readings, write_dataset
from tests.fit.recipes import SMALL, STAGED, quick

SPEC = pendulum_spec(n_substeps=2, touch=("left", "right"))


@pytest.fixture(scope="module")
def touching(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("touch") / "data"
    return write_dataset(folder, SPEC, episodes=40, length=40, substeps=True, touch=True)


def test_learns_the_readings(touching: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "x"
    faster = dataclasses.replace(SMALL, learning_rate=0.01)
    result = fit(touching, out=out, preset=faster, steps=300, progress=False)
    assert result.held_out_error < 3e-3
    assert result.touch_error is not None and result.touch_error < 0.02
    checkpoint = load_checkpoint(out)
    figures = checkpoint.acceptance["touch"]
    assert figures["held_out_error"] == result.touch_error
    rows = touching.transitions()
    told = checkpoint.simulator.touch(rows.next_state, rows.action)
    true = stop_readings(rows.next_state, rows.action)
    error = (told.double().log1p() - true.log1p()).square().mean(0)
    for i, name in enumerate(SPEC.touch):
        mse, variance = figures["by_sensor"][name]["mse"], figures["by_sensor"][name]["variance"]
        assert mse < 0.02 * variance and error[i] < 0.02 * variance
        assert f"| {name} | {mse:.2g} | {1 - mse / variance:.1%} |" in checkpoint.card
    assert f"held-out episodes: {result.touch_error:.2g}." in checkpoint.card
    assert rewrite_card(out) == checkpoint.card
    scalars = EventAccumulator(str(tmp_path / "x.run" / "tensorboard")).Reload()
    assert scalars.Scalars("loss/held_out")[-1].step == 300
    assert scalars.Scalars("touch/held_out")[-1].step == 600


@pytest.fixture(scope="module")
def whole(touching: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a fit writes that was not interrupted."""
    return quick(touching, tmp_path_factory.mktemp("whole") / "x", steps=12)


def test_the_motion_is_that_of_a_fit_without(touching: Dataset, tmp_path: Path) -> None:
    silent = write_dataset(tmp_path / "data", SPEC, episodes=40, length=40, substeps=True)
    with_touch, without = tmp_path / "a" / "x", tmp_path / "b" / "x"
    quick(touching, with_touch, steps=12)
    result = fit(silent, out=without, preset=STAGED, steps=12, progress=False)
    mine = load_file(with_touch / "model.safetensors")
    for name, value in load_file(without / "model.safetensors").items():
        assert torch.equal(mine[name], value)
    assert result.touch_error is None and "touch" not in result.acceptance
    with pytest.raises(MosimError, match="held no touch readings"):
        result.simulator.touch(silent.start_states(first_only=True), torch.zeros(40, 1))


@pytest.mark.parametrize(("part", "step"), [(Part.JOINT, 9), (Part.TOUCH, 0), (Part.TOUCH, 7)])
def test_resumed_equals_uninterrupted(
    touching: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    whole: dict[str, bytes],
    part: Part,
    step: int,
) -> None:
    original = Trainer._step

    def interrupted(self: Trainer, factor: float) -> None:
        if self.stage.part is part and self.progress.step == step:
            signal.raise_signal(signal.SIGINT)
        original(self, factor)

    out = tmp_path / "parts" / "x"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(touching, out=out, preset=STAGED, steps=12)
    at = step + 1 + 12 * (part is Part.TOUCH)
    assert f"Interrupted at step {at} of 24; {out}.run holds the state of step {at}" in (
        capsys.readouterr().out
    )
    assert quick(touching, out, steps=12) == whole


def test_minutes_are_shared(touching: Dataset, tmp_path: Path) -> None:
    timed = fit(
        touching, out=tmp_path / "a" / "x", preset=SMALL, minutes=0.005, progress=False, threads=1
    )
    counted = quick(touching, tmp_path / "b" / "x", steps=timed.steps, preset=SMALL)
    assert timed.steps > 1
    assert (timed.path / "model.safetensors").read_bytes() == counted["model.safetensors"]


def test_data_without_readings_cannot_judge_them(touching: Dataset, tmp_path: Path) -> None:
    silent = write_dataset(tmp_path / "data", SPEC)
    simulator = Simulator(SPEC, SMALL.model_config(SPEC, touch=True))
    assert touch_errors(simulator, touching).keys() == {"left", "right"}
    with pytest.raises(DatasetError, match="holds no touch readings to compare with"):
        touch_errors(simulator, silent)
