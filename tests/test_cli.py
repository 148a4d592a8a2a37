"""The command line: parses, calls, prints; what is wrong comes back as one paragraph."""

import dataclasses
import re
from typing import get_args

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym import cli
from mosim_gym.cli.models import PresetName
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint, save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.ensemble import Ensemble
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.presets import PRESETS
from mosim_gym.registration import ROWS
from mosim_gym.tasks.mujoco import robot_of


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    simulator = Simulator(robot_of("reacher", "easy"), ModelConfig(width=8, blocks=1))
    return save_checkpoint(
        tmp_path_factory.mktemp("model") / "mine",
        simulator,
        acceptance={"trusted_horizon": 40},
        provenance={},
        card="# Mine\nUntrained.",
    )


def test_list_names_every_environment(run):
    code, out, _ = run("list")
    assert code == 0
    for row in ROWS:
        assert f"mosim_gym:{row.env_id}" in out


def test_card_prints_the_card(run, model):
    assert run("card", model) == (0, "# Mine\nUntrained.\n", "")


@pytest.mark.parametrize("command", ["", *[c.name or c.callback.__name__ for c in
                                           cli.app.registered_commands]])  # fmt: skip
def test_every_command_has_help(run, command):
    code, out, _ = run(*command.split(), "--help")
    assert code == 0 and "Usage" in out


def test_collect_fit_evaluate_reset(run, tmp_path):
    """The roundabout of a user with logs, as short as it gets."""
    data, model = tmp_path / "data", tmp_path / "model"
    assert run("collect", "reacher", "--episodes", 4, "--out", data, "--quiet")[0] == 0
    dataset = Dataset.open(data)
    assert len(dataset.episodes) == 4
    assert dataset.spec == robot_of("reacher", "easy")
    code, out, err = run("fit", data, "--out", model, "--steps", 30, "--threads", 1, "--quiet")
    assert code == 0, err
    assert str(model) in out
    assert load_checkpoint(model).spec == dataset.spec
    figures = tmp_path / "figures"
    code, out, _ = run("evaluate", model, "--data", data, "--horizon", 5, "--out", figures)
    assert code == 0 and "constant velocity" in out and "Jacobian off by" in out
    assert {path.name for path in figures.iterdir()} == {"evaluation.json", "0-data.png"}
    env = gym.make("MoSim/reacher-easy-v0", checkpoint=str(model), resets=str(data))
    start = env.reset(seed=0)[1]["mosim/state"]["qpos"]
    recorded = np.concatenate([episode.qpos for episode in dataset.episodes])
    assert np.abs(recorded - start).max(1).min() < 1e-6


def test_the_help_names_every_preset():
    (name,) = (option for option in get_args(PresetName) if hasattr(option, "help"))
    assert set(name.help.rstrip(".").split(", ")) == set(PRESETS)


def test_learn_goes_from_a_body_to_its_model(run, tmp_path):
    out = tmp_path / "pendulum"
    told = ("learn", "pendulum", "--episodes", 10, "--preset", "lagrangian", "--steps", 20)
    code, printed, err = run(*told, "--out", out, "--quiet")
    assert code == 0, err
    assert "trust" in printed
    assert len(Dataset.open(tmp_path / "pendulum-data")) == 10
    checkpoint = load_checkpoint(out)
    assert checkpoint.provenance["command"].startswith("mosim-gym learn pendulum")
    assert checkpoint.trusted_horizon == 1000


def test_fit_makes_the_members_of_an_ensemble(run, tmp_path):
    data, out = tmp_path / "data", tmp_path / "model"
    run("collect", "pendulum", "--episodes", 3, "--out", data, "--quiet")
    fit = ("fit", data, "--out", out, "--steps", 2, "--members", 2, "--seed", 3, "--quiet")
    code, printed, err = run(*fit)
    assert code == 0, err
    assert f"{out}-0: 2 steps, trusted for" in printed and f"{out}-1: 2 steps" in printed
    made = [load_checkpoint(f"{out}-{k}") for k in range(2)]
    assert [checkpoint.provenance["seed"] for checkpoint in made] == [3, 4]
    assert len(Ensemble([checkpoint.simulator for checkpoint in made])) == 2


def test_collect_is_the_same_for_the_same_seed_and_goes_on(run, tmp_path):
    for name in ("a", "b"):
        run("collect", "reacher-easy", "--episodes", 1, "--out", tmp_path / name, "--seed", 5)
    run("collect", "MoSim/reacher-easy-v0", "--episodes", 2, "--out", tmp_path / "b", "--seed", 5)
    one, two = Dataset.open(tmp_path / "a").episodes, Dataset.open(tmp_path / "b").episodes
    assert (len(one), len(two)) == (1, 2)
    np.testing.assert_array_equal(one[0].qpos, two[0].qpos)
    np.testing.assert_array_equal(one[0].action, two[0].action)


def test_evaluate_collects_fresh_motion_where_none_is_given(run, model, monkeypatch, tmp_path):
    monkeypatch.setattr("mosim_gym.evaluate.report.FRESH_EPISODES", 2)
    out = tmp_path / "out"
    code, text, err = run(
        *("evaluate", model, "--baseline", "reacher", "--horizon", 40, "--out", out, "--quiet")
    )
    assert code == 0, err
    assert len(Dataset.open(out / "fresh")) == 2
    assert (out / "evaluation.json").is_file() and (out / "0-fresh.png").is_file()
    assert "mine was accepted as trusted for 40 steps; here 0.0% are valid then." in text.replace(
        str(model), "mine"
    )


def test_evaluate_says_what_a_body_without_a_task_needs(run, tmp_path):
    spec = dataclasses.replace(robot_of("reacher", "easy"), name="arm", fingerprint="other")
    simulator = Simulator(spec, ModelConfig(width=8, blocks=1))
    mine = save_checkpoint(tmp_path / "arm", simulator, acceptance={}, provenance={}, card="")
    code, _, err = run("evaluate", mine, "--out", tmp_path / "out")
    assert code == 2 and re.search(r"a body \(arm\) without a task here.*--data DATASET", err)
    assert not (tmp_path / "out").exists()


WRONG = [
    (("card", "reachr"), "Unknown checkpoint 'reachr'"),
    (("collect", "reachr", "--out", "{out}"), "domain or task 'reachr'. Did you mean 'reacher'"),
    (("train", "MoSim/reacher-eazy-v0", "--out", "{out}"), "Did you mean 'MoSim/reacher-easy-v0'"),
    (("train", "MoSim/reacher-easy-v0", "--algo", "sax", "--out", "{out}"), "'sax'.*'sac'"),
    (("fit", "{out}/none", "--out", "{out}/model"), "none"),
    (("evaluate", "nothing", "--data", "{out}"), "Unknown checkpoint 'nothing'"),
    (("evaluate", "reacher", "--data", "{out}/none", "--out", "{out}"), "none"),
    (("collect", "reacher", "--out", "{out}", "--episodes", "0"), "--episodes"),
    (("collect", "reacher"), "out"),
    (("explode",), "explode"),
]


@pytest.mark.parametrize(("args", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_told_without_a_traceback(run, tmp_path, args, message):
    out = tmp_path / "out"
    code, _, err = run(*(arg.format(out=out) for arg in args))
    assert code == 2
    assert "Traceback" not in err
    assert re.search(message, err), err
    assert not out.exists()


def test_an_interrupt_ends_with_130(run, monkeypatch, tmp_path):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.models, "find_task", interrupted)
    code, _, err = run("collect", "reacher", "--out", tmp_path / "out")
    assert code == 130 and "Traceback" not in err
