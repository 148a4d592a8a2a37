"""Checkpoints: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from mosim_gym.dynamics import catalogue
from mosim_gym.dynamics import checkpoint as module
from mosim_gym.dynamics.catalogue import find_checkpoint, list_checkpoints
from mosim_gym.dynamics.checkpoint import (
    load_checkpoint,
    load_simulator,
    save_checkpoint,
)
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import CheckpointError, UnknownNameError
from mosim_gym.types import State
from tests.dynamics.test_simulator import CONFIGS, SPEC


def save(path: Path, seed: int = 0) -> Simulator:
    torch.manual_seed(seed)
    simulator = Simulator(SPEC, CONFIGS["rigid_body"])
    figures = {"trusted_horizon": 7}
    save_checkpoint(path, simulator, acceptance=figures, provenance={"seed": seed}, card="# Arm\n")
    return simulator


def test_round_trip_is_exact(tmp_path: Path) -> None:
    simulator = save(tmp_path / "arm")
    loaded = load_checkpoint(tmp_path / "arm")
    state, action = State(torch.randn(3, 2), torch.randn(3, 2)), torch.rand(3, 2)
    assert (loaded.simulator.step(state, action).qvel == simulator.step(state, action).qvel).all()
    assert loaded.spec == SPEC and loaded.config == CONFIGS["rigid_body"]
    assert (loaded.name, loaded.trusted_horizon, loaded.card) == ("arm", 7, "# Arm\n")
    assert not any(p.requires_grad for p in loaded.simulator.parameters())


def test_same_model_gives_same_bytes_and_replaces_the_old_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / name, seed=1)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    save(tmp_path / "a", seed=2)
    assert load_checkpoint(tmp_path / "a").provenance == {"seed": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_failed_write_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "arm", seed=1)

    def full(*_: object) -> bytes:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "save", full)
    with pytest.raises(CheckpointError, match="No space left on device.*is kept"):
        save(tmp_path / "arm", seed=2)
    assert load_checkpoint(tmp_path / "arm").provenance == {"seed": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["arm"]


@pytest.mark.parametrize("stop", [OSError, KeyboardInterrupt])
def test_a_failed_replacement_puts_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    save(tmp_path / "arm", seed=1)
    rename, calls = os.rename, iter(range(9))

    def second_fails(source: Path, target: Path) -> None:
        if next(calls) == 1:
            raise stop
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", second_fails)
    with pytest.raises((CheckpointError, KeyboardInterrupt)):
        save(tmp_path / "arm", seed=2)
    assert load_checkpoint(tmp_path / "arm").provenance == {"seed": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["arm"]


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)]
)
def test_the_umask_says_who_may_read(tmp_path: Path, umask: int, file: int, folder: int) -> None:
    before = os.umask(umask)
    try:
        save(tmp_path / "arm")
    finally:
        os.umask(before)
    assert (tmp_path / "arm").stat().st_mode & 0o777 == folder
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "arm").iterdir()} == {file}


def test_a_folder_that_is_no_checkpoint_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is not a checkpoint; it will not be replaced"):
        save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("something was unpickled",))


@pytest.mark.parametrize("damage", ["truncated", "pickled", "missing", "empty"])
def test_damaged_weights_are_named(tmp_path: Path, damage: str) -> None:
    save(tmp_path / "arm")
    file = tmp_path / "arm" / "model.safetensors"
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        new = {"truncated": content[:-100], "pickled": pickle.dumps(Bomb()), "empty": b""}
        file.write_bytes(new[damage])
    with pytest.raises(CheckpointError, match="model.safetensors cannot be read.*Fetch or fit"):
        load_checkpoint(tmp_path / "arm")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema_version": 1}', "\udcff"])
def test_damaged_config_is_named(tmp_path: Path, text: str) -> None:
    save(tmp_path / "arm")
    (tmp_path / "arm" / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match="config.json is not the config of a mosim_gym"):
        load_checkpoint(tmp_path / "arm")


@pytest.mark.parametrize(
    "wrong",
    [
        {"acceptance": None},
        {"acceptance": [1]},
        {"acceptance": {"trusted_horizon": "far"}},
        {"provenance": "me"},
        {"robot": []},
        {"model": "big"},
    ],
    ids=str,
)
def test_fields_of_the_wrong_type_are_named(tmp_path: Path, wrong: dict[str, object]) -> None:
    save(tmp_path / "arm")
    file = tmp_path / "arm" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | wrong))
    with pytest.raises(CheckpointError, match="config.json is not the config of a mosim_gym"):
        load_checkpoint(tmp_path / "arm")


def test_newer_schema_and_foreign_weights_are_named(tmp_path: Path) -> None:
    save(tmp_path / "arm")
    file = tmp_path / "arm" / "config.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps(fields | {"model": fields["model"] | {"width": 9}}))
    with pytest.raises(CheckpointError, match="does not hold the model that"):
        load_checkpoint(tmp_path / "arm")
    file.write_text(json.dumps(fields | {"schema_version": 2}))
    with pytest.raises(CheckpointError, match="schema_version 2; this version .* reads 1"):
        load_checkpoint(tmp_path / "arm")


def test_names_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "checkpoints" / "arm")
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "package" / "dynamics" / "x.py"))
    monkeypatch.chdir(tmp_path)
    assert load_simulator("arm").spec == SPEC
    (tmp_path / "arm").mkdir()  # an unrelated folder of that name does not hide it
    assert find_checkpoint("arm") == tmp_path / "checkpoints" / "arm"
    assert [summary.name for summary in list_checkpoints()] == ["arm"]
    with pytest.raises(UnknownNameError, match="Unknown checkpoint 'amr'.*Did you mean 'arm'"):
        load_checkpoint("amr")
    save(tmp_path / "package" / "_checkpoints" / "leg")  # in a wheel
    assert [summary.name for summary in list_checkpoints()] == ["leg"]


def test_a_damaged_checkpoint_does_not_hide_the_others(tmp_path: Path) -> None:
    for name in ("arm", "leg", "tail"):
        save(tmp_path / name)
    (tmp_path / "leg" / "config.json").write_text("{")
    with pytest.warns(UserWarning, match="left out.*leg.config.json is not the config"):
        found = list_checkpoints(tmp_path)
    assert [summary.name for summary in found] == ["arm", "tail"]


@pytest.mark.parametrize("given", [5, None, b"reacher", ["reacher"]], ids=repr)
def test_what_is_neither_name_nor_path_is_named(given: object) -> None:
    with pytest.raises(CheckpointError, match=r"given as .*; expected the name of a shipped one"):
        load_checkpoint(given)  # type: ignore[arg-type]


def test_hub_names_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'hub:org/arm'.*reserved.*not built yet"):
        load_checkpoint("hub:org/arm")
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="is a file; a checkpoint is a folder"):
        load_checkpoint(tmp_path / "model.pt")
