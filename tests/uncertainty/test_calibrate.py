"""A checkpoint is given its uncertainty, whole, in its own folder or in a copy."""

from __future__ import annotations

import json
import os
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


@pytest.fixture
def ensemble(model, motion, tmp_path):
    """Of three, calibrated; there are no members but those in it."""
    others = [member(tmp_path / f"model-{k}", point_mass(1), seed=k) for k in (1, 2)]
    quick(model, motion, members=others)
    for path in others:
        shutil.rmtree(path)
    return model


def weights(folder):
    """Of the members in a folder, its own first."""
    files = [folder / "model.safetensors", *sorted(folder.glob("member-*/model.safetensors"))]
    return [file.read_bytes() for file in files]


def test_calibrated_again_it_keeps_its_members(ensemble, motion, tmp_path):
    before = weights(ensemble)
    quick(ensemble, motion)
    assert weights(ensemble) == before
    assert len(load_uncertainty(ensemble).disagreement.ensemble) == 3
    copy = quick(ensemble, motion, out=tmp_path / "copy")
    assert weights(copy) == before and load_uncertainty(copy).spread is not None
    quick(ensemble, motion, members=())
    assert load_uncertainty(ensemble).disagreement is None
    assert weights(ensemble) == before[:1]


def test_its_members_may_be_those_in_it(ensemble, motion):
    before = weights(ensemble)
    quick(ensemble, motion, members=[ensemble / "member-2", ensemble / "member-1"])
    assert weights(ensemble) == [before[0], before[2], before[1]]
    assert load_uncertainty(ensemble) is not None


def test_what_goes_wrong_leaves_all_as_it_was(ensemble, motion, monkeypatch, tmp_path):
    files = sorted(path for path in ensemble.rglob("*") if path.is_file())
    before = [path.read_bytes() for path in files]
    rename, left = os.rename, 5

    def fails_in_the_end(start, end):
        nonlocal left
        left -= 1
        if not left:
            raise OSError("the disk is full")
        rename(start, end)

    monkeypatch.setattr(os, "rename", fails_in_the_end)
    with pytest.raises(CheckpointError, match="the disk is full. What was there is kept"):
        quick(ensemble, motion, members=[ensemble / "member-1"])
    assert sorted(path for path in ensemble.rglob("*") if path.is_file()) == files
    assert [path.read_bytes() for path in files] == before
    assert load_uncertainty(ensemble) is not None


def test_a_copy_replaces_nothing_that_is_read(model, ensemble, motion, tmp_path):
    other = member(tmp_path / "model-1", point_mass(1), seed=1)
    inside, before = model / "member-1", weights(other)
    for given in (
        {"members": [other], "out": other},
        {"members": [inside], "out": inside},
        {"out": inside},
    ):
        with pytest.raises(CheckpointError, match="which is read from and would be replaced"):
            quick(model, motion, **given)
    with pytest.raises(CheckpointError, match="which is read from and would be replaced"):
        quick(other, motion, members=[inside], out=model)
    with pytest.raises(CheckpointError, match="has 3 members, which a copy .* alone would replace"):
        quick(other, motion, out=model)
    assert weights(other) == before and len(weights(model)) == 3


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


def test_motion_too_far_from_the_data_is_not_blamed_on_the_model(model, motion, tmp_path):
    wild = random_motion(tmp_path / "wild", point_mass(1), episodes=1, speed=1e50)
    with pytest.raises(MosimError, match="density: 40 held-out scores .* The model has no part"):
        quick(model, motion, held_out=wild)


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


def test_members_that_are_one(model, motion, tmp_path):
    one, other = (member(tmp_path / name, point_mass(1), seed=1) for name in ("one", "other"))
    for members, named in (
        ([model], "model-0 and .*model-0"),
        ([one, one], "one and .*one"),
        ([one, other], "one and .*other"),
    ):
        with pytest.raises(MosimError, match=f"{named} have the same weights.*Leave one"):
            quick(model, motion, members=members)
    assert load_uncertainty(model) is None


def test_damaged_and_stale_files_are_told(model, motion, tmp_path):
    quick(model, motion)
    facts = model / "uncertainty.json"
    text = facts.read_text()
    for wrong, message in (
        (text.replace('"schema_version": 2', '"schema_version": 1'), "schema_version 1"),
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


def test_members_that_were_changed_are_told(ensemble, tmp_path):
    other = member(tmp_path / "other", point_mass(1), seed=9)
    shutil.copy(other / "model.safetensors", ensemble / "member-2" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"for other weights than those in .*member-2\."):
        load_uncertainty(ensemble)
    shutil.rmtree(ensemble / "member-2")
    with pytest.raises(CheckpointError, match="member-2, where there is no .*Make it again"):
        load_uncertainty(ensemble)


def test_members_without_their_digests_are_refused(ensemble):
    facts = json.loads((ensemble / "uncertainty.json").read_text())
    assert len(facts.pop("member_weights")) == 2
    (ensemble / "uncertainty.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"do not tell an uncertainty: .*member_weights"):
        load_uncertainty(ensemble)


def test_how_to_make_it_again_names_the_members(ensemble):
    (ensemble / "uncertainty.safetensors").unlink()
    again = f"calibrate {ensemble} --data DATASET " + " ".join(
        f"--members {ensemble / name}" for name in ("member-1", "member-2")
    )
    with pytest.raises(CheckpointError, match=again):
        load_uncertainty(ensemble)
