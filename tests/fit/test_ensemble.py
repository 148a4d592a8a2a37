"""Fits of an ensemble: each member as it would be alone, none made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.ensemble import Ensemble
from mosim_gym.errors import MosimError
from mosim_gym.fit import FitResult, fit_ensemble
from mosim_gym.fit.loop import Trainer
from tests.fit.recipes import SMALL, interrupt_at, kill, quick


def three(data: Dataset, out: Path, resume: bool = True) -> tuple[FitResult, ...]:
    return fit_ensemble(
        data, out=out, members=3, preset=SMALL, steps=12, seed=4, resume=resume, progress=False
    )


def test_members_are_fits_of_their_own_seeds(pendulum: Dataset, tmp_path: Path) -> None:
    results = three(pendulum, tmp_path / "x")
    assert [result.path.name for result in results] == ["x-0", "x-1", "x-2"]
    made = [load_checkpoint(result.path) for result in results]
    assert [m.provenance["seed"] for m in made] == [4, 5, 6]
    alone = quick(pendulum, tmp_path / "x-1-alone", steps=12, seed=5, preset=SMALL)
    together = (tmp_path / "x-1" / "model.safetensors").read_bytes()
    assert together == alone["model.safetensors"]
    assert "--steps 12 --seed 6 --out x-2" in made[2].provenance["command"]
    assert len(Ensemble([result.simulator for result in results])) == 3


def test_an_interrupted_ensemble_keeps_what_is_done(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x"
    taken: list[tuple[int, int]] = []
    with monkeypatch.context() as patch:
        original = interrupt_at(7, kill)

        def second_is_killed(self: Trainer, done: float) -> None:
            (original if self.seed == 5 else step)(self, done)

        step = Trainer._step
        patch.setattr(Trainer, "_step", second_is_killed)
        with pytest.raises(RuntimeError, match="killed"):
            three(pendulum, out)
    first = (out.with_name("x-0") / "model.safetensors").stat().st_mtime_ns

    def noted(self: Trainer, done: float) -> None:
        taken.append((self.seed, self.progress.step))
        step(self, done)

    monkeypatch.setattr(Trainer, "_step", noted)
    again = three(pendulum, out)
    assert taken[0][0] == 5 and taken[0][1] > 0 and {seed for seed, _ in taken} == {5, 6}
    assert (out.with_name("x-0") / "model.safetensors").stat().st_mtime_ns == first
    assert again[0].seconds == 0 and again[0].steps == 12 and again[0].held_out_error > 0
    taken.clear()
    three(pendulum, out)
    assert not taken
    three(pendulum, out, resume=False)
    assert {seed for seed, _ in taken} == {4, 5, 6}


def test_minutes_become_the_same_steps_for_all(pendulum: Dataset, tmp_path: Path) -> None:
    results = fit_ensemble(
        pendulum, out=tmp_path / "x", members=2, preset=SMALL, minutes=0.004, progress=False
    )
    assert results[0].steps == results[1].steps > 1


def test_no_members_are_refused(pendulum: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MosimError, match="members=0; expected 1 or more"):
        fit_ensemble(pendulum, out=tmp_path / "x", members=0)
