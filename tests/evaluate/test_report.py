"""``mosim-gym evaluate``: what it prints, draws and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import Checkpoint
from mosim_gym.errors import MosimError
from mosim_gym.evaluate.compare import Truth, compare, table
from mosim_gym.evaluate.report import report
from mosim_gym.tasks.energy import Energies
from mosim_gym.types import State
from tests.fit.fakes import Pendulum, cart_spec, pendulum_spec, write_dataset


def checkpoint(simulator: Pendulum, trusted: int | None = None) -> Checkpoint:
    config, told = simulator.config, {"trusted_horizon": trusted}
    return Checkpoint(Path("x"), simulator.spec, config, told, simulator=simulator)


def energy(states: State) -> Energies:
    joules = states.qvel.square().sum(1) / 2 - 8 * states.qpos.cos().sum(1)
    return Energies(joules.double().numpy(), touching=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pendulum"
    write_dataset(folder, pendulum_spec(), episodes=6, length=150)
    return folder


def test_models_and_data_in_one_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = Pendulum(pendulum_spec())
    truth = Truth(simulator.step, energy)
    mine = {"mine": checkpoint(simulator, trusted=120)}
    figures = report(mine, [folder], tmp_path / "out", truth=truth)
    assert [one.model for one in figures] == ["mine", "constant velocity"]
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    mine, other = content["figures"]
    assert mine["open_loop"][1]["trusted_horizon"] == mine["open_loop"][1]["steps"] == 150
    assert mine["open_loop"][0]["by_horizon"].keys() == {*"1 2 5 10 20 50 100".split()}
    assert mine["jacobian"]["median"] < 1e-9 < other["jacobian"]["median"]
    assert mine["energy"]["by_horizon"]["150"]["mean_joules"] == pytest.approx(0, abs=1e-9)
    assert other["energy"]["by_horizon"]["150"]["median_of_size_relative"] > 0.01
    assert content["data"][str(folder)]["episodes"] == 6
    assert (tmp_path / "out" / "0-pendulum.png").read_bytes()[1:4] == b"PNG"
    text = capsys.readouterr().out
    assert "6 open-loop rollouts of 150 control steps (3 s)" in text
    assert "mine               valid for all 150 steps in the median, trusted for all 150" in text
    assert "mine was accepted as trusted for 120 steps; here 100.0% are valid then." in text
    assert content["trusted_horizon"] == {"mine": 120}


def test_a_model_that_diverges_can_be_drawn(folder: Path, tmp_path: Path) -> None:
    simulator = Pendulum(pendulum_spec())
    simulator.bound_speed(1e-3)
    truth = Truth(Pendulum(pendulum_spec()).step, energy)
    lost = {"lost": checkpoint(simulator, trusted=20)}
    figures = report(lost, [folder], tmp_path / "out", longest=10, truth=truth)
    assert len(figures[0].errors) == 1 and figures[0].errors[0].diverged.all()
    assert "energy off by much" in table(figures)
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert content["figures"][0]["energy"]["by_horizon"]["10"]["mean_joules"] is None


def test_without_truth_there_are_open_loop_figures_alone(folder: Path) -> None:
    models = {"mine": Pendulum(pendulum_spec())}
    (one,) = compare(models, {"data": Dataset.open(folder)}, longest=20)
    assert one.jacobian is one.energy is None
    assert one.to_json()["jacobian"] is None
    assert torch.isfinite(one.errors[0].squared).all() and "Jacobian" not in table([one])


def test_other_bodies_are_refused(folder: Path, tmp_path: Path) -> None:
    mine, cart = checkpoint(Pendulum(pendulum_spec())), checkpoint(Pendulum(cart_spec(0)))
    out = tmp_path / "out"
    with pytest.raises(MosimError, match="The checkpoint other belongs to another body: cart"):
        report({"mine": mine, "other": cart}, [folder], out)
    with pytest.raises(MosimError, match="The dataset .* belongs to another body: pendulum"):
        report({"cart": cart}, [folder], out)
    assert not out.exists()
