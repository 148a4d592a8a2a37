"""fit refuses what it cannot do before it starts, in words."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mosim_gym.data.dataset import Dataset
from mosim_gym.errors import CheckpointError, DatasetError, MosimError, UnknownNameError
from mosim_gym.fit import fit
from mosim_gym.fit.loop import Trainer
from tests.fit.fakes import pendulum_spec, write_dataset
from tests.fit.recipes import SMALL, interrupt_at, kill, quick


def interrupted(data: Dataset, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupt_at(5, kill))
        with pytest.raises(RuntimeError):
            quick(data, out)


def test_resuming_another_fit_is_refused(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x"
    interrupted(pendulum, out, monkeypatch)
    with pytest.raises(MosimError, match=r"with another seed \(there 0, now 3\)\. .*resume=False"):
        quick(pendulum, out, seed=3)
    with pytest.raises(
        MosimError,
        match=r'preset.model.predictor \(there "rigid_body", now "residual"\).*and 2 more',
    ):
        quick(pendulum, out, preset=SMALL)
    with pytest.raises(MosimError, match=r"with another steps \(there 60, now 50\)"):
        quick(pendulum, out, steps=50)
    other = write_dataset(tmp_path / "rod", pendulum_spec(name="rod", fingerprint="rod"))
    with pytest.raises(MosimError, match="rod belongs to another body"):
        quick(other, out)
    (tmp_path / "x.run" / "state.safetensors").write_bytes(b"\x80\x04K")
    with pytest.raises(CheckpointError, match="not the state of an unfinished run.*resume=False"):
        quick(pendulum, out)
    fit(pendulum, out=out, preset=SMALL, steps=2, resume=False, progress=False)


def test_an_unwritable_folder_shows_before_training(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "_step", lambda *_: pytest.fail("trained"))
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="Cannot write .*unfinished run.*--out"):
        quick(pendulum, tmp_path / "file" / "x")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("")
    with pytest.raises(CheckpointError, match="is not a checkpoint; it will not be replaced"):
        quick(pendulum, tmp_path / "taken")


def test_wrong_budgets_presets_and_data_are_named(pendulum: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "x"
    with pytest.raises(MosimError, match=r"steps=5 and minutes=1.0; give one"):
        fit(pendulum, out=out, steps=5, minutes=1.0)
    with pytest.raises(MosimError, match=r"steps=0; expected more than 0"):
        fit(pendulum, out=out, steps=0)
    for minutes in (math.inf, math.nan):
        with pytest.raises(
            MosimError, match=rf"minutes={minutes}; expected more than 0, and finite"
        ):
            fit(pendulum, out=out, minutes=minutes)
    with pytest.raises(MosimError, match="threads is 0; expected 1 or more"):
        fit(pendulum, out=out, steps=1, threads=0)
    with pytest.raises(UnknownNameError, match="Unknown preset 'papper'.*Did you mean 'paper'"):
        fit(pendulum, out=out, preset="papper")
    with pytest.raises(DatasetError, match="metadata.json is missing"):
        fit(tmp_path, out=out)
    assert not out.exists()
