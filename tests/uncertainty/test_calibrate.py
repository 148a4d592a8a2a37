"""A checkpoint is given its uncertainty, whole, in its own folder or in a copy."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.uncertainty.calibrate import ROLLOUT, SPLIT, calibrate, disagreements
from mosim_gym.uncertainty.calibration import Score
from mosim_gym.uncertainty.files import load_uncertainty
from tests.data.fakes import point_mass
from tests.uncertainty.fakes import TINY, member, random_motion


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    return random_motion(tmp_path_factory.mktemp("data") / "point", point_mass(1))


@pytest.fixture
def model(tmp_path):
    return member(tmp_path / "model-0", point_mass(1))


def quick(*args, **kwargs):
    return calibrate(*args, config=TINY, progress=False, **kwargs)


def test_what_was_written_is_read(model, motion, tmp_path):
    others = [member(tmp_path / f"model-{k}", point_mass(1), seed=k) for k in (1, 2)]
    assert quick(model, motion, members=others) == model
    for path in others:
        shutil.rmtree(path)
    # Self-contained: it may go anywhere.
    moved = tmp_path / "elsewhere"
    model.rename(moved)
    found = load_uncertainty(moved)
    assert len(found.disagreement.ensemble) == 3
    assert set(found.calibrations) == set(Score)
    held_out = motion.split(SPLIT, seed=0)[2].transitions()
    scores = {
        Score.DENSITY: found.density.scores(held_out.state, held_out.action),
        Score.DISAGREEMENT: disagreements(found.disagreement, held_out.state, held_out.action),
        Score.SPREAD: found.spread.along(motion.split(SPLIT, seed=0)[2].windows(ROLLOUT)),
    }
    for score, values in scores.items():
        expected = np.sort(values.double().numpy().ravel())
        np.testing.assert_allclose(found.calibrations[score].scores, expected, rtol=1e-5)
    assert found.facts["held_out_steps"] == len(held_out)
    assert load_checkpoint(moved).trusted_horizon == 7


def test_without_members_there_is_the_density_alone(model, motion):
    quick(model, motion)
    found = load_uncertainty(model)
    assert found.disagreement is None and set(found.calibrations) == {Score.DENSITY}


def test_calibrated_again_it_forgets_what_was_there(model, motion, tmp_path):
    other = member(tmp_path / "model-1", point_mass(1), seed=1)
    quick(model, motion, members=[other])
    quick(model, motion)
    assert load_uncertainty(model).disagreement is None
    assert not list(model.glob("member-*"))


def test_a_copy_is_made_and_the_model_left_alone(model, motion, tmp_path):
    before = sorted(path.name for path in model.iterdir())
    copy = quick(model, motion, out=tmp_path / "copy")
    assert sorted(path.name for path in model.iterdir()) == before
    assert load_uncertainty(copy) is not None and load_uncertainty(model) is None


def test_fresh_motion_calibrates(model, motion, tmp_path):
    fresh = random_motion(tmp_path / "fresh", point_mass(1), episodes=1, length=9)
    quick(model, motion, held_out=fresh)
    found = load_uncertainty(model)
    assert len(found.calibrations[Score.DENSITY].scores) == 9
    assert found.facts["held_out"] == "fresh motion"


def test_what_cannot_be_calibrated(model, motion, tmp_path):
    other = member(tmp_path / "heavy", point_mass(1, name="heavy"))
    with pytest.raises(MosimError, match=r"The data in .*heavy"):
        quick(other, motion)
    with pytest.raises(MosimError, match="Member 1 of the ensemble"):
        quick(model, motion, members=[other])
    with pytest.raises(CheckpointError, match="ships with the package.*--out FOLDER"):
        quick("reacher", motion)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(CheckpointError, match="will not be replaced"):
        quick(model, motion, out=tmp_path / "full")
    assert load_uncertainty(model) is None


def test_damaged_and_stale_files_are_told(model, motion, tmp_path):
    quick(model, motion)
    facts = model / "uncertainty.json"
    text = facts.read_text()
    for wrong, message in (
        (text.replace('"schema_version": 1', '"schema_version": 2'), "schema_version 2"),
        (text[:40], "do not tell an uncertainty"),
        (json.dumps({**json.loads(text), "density": {"depth": 1}}), "do not tell an uncertainty"),
        (json.dumps({**json.loads(text), "members": 1}), "member-1"),
    ):
        facts.write_text(wrong)
        with pytest.raises(CheckpointError, match=message):
            load_uncertainty(model)
    facts.write_text(text)
    other = member(tmp_path / "other", point_mass(1), seed=9)
    shutil.copy(other / "model.safetensors", model / "model.safetensors")
    with pytest.raises(CheckpointError, match="for other weights.*mosim-gym calibrate"):
        load_uncertainty(model)
