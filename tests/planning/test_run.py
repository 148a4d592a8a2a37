"""Planning in a model and acting in true physics, from an environment id to files."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
import torch

from mosim_gym import cli
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.planning.episodes import play
from mosim_gym.planning.planner import Planner, PlannerSettings
from mosim_gym.planning.presets import PRESETS, PlannerKind
from mosim_gym.planning.run import plan_task
from mosim_gym.registration import ROWS, find_env, find_row
from mosim_gym.tasks.mujoco import robot_of
from mosim_gym.tasks.true_simulator import TrueSimulator
from tests.planning.fakes import Parking, Puck

PENDULUM = "MoSim/pendulum-swingup-v0"
SMALL = {"samples": 8, "horizon": 3, "episodes": 2, "steps": 4, "progress": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained pendulum."""
    simulator = Simulator(robot_of("pendulum", "swingup"), ModelConfig(width=8, blocks=1))
    return save_checkpoint(
        tmp_path_factory.mktemp("model") / "pendulum",
        simulator,
        acceptance={"trusted_horizon": 40},
        provenance={},
        card="# Untrained",
    )


@pytest.mark.parametrize("planner", ["mppi", "cem"])
def test_the_command_acts_and_writes(planner, model, tmp_path, monkeypatch, capsys):
    arguments = ["--checkpoint", str(model), "--planner", planner, "--horizon", "3"]
    arguments += ["--samples", "8", "--episodes", "2", "--steps", "4", "--seed", "7", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["mosim-gym", "plan", PENDULUM, *arguments, "--out",
                                      str(tmp_path / "new")])  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "new" / "result.json").read_text())
    rows = list(csv.DictReader((tmp_path / "new" / "returns.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["7", "8"]
    assert [float(row["return"]) for row in rows] == record["returns"]
    assert (record["planner"], record["steps"], record["episodes"]) == (planner, 4, 2)
    assert record["settings"]["horizon"] == 3
    assert f"episode 1 (seed 8): return {record['returns'][1]:.1f}" in printed
    assert f"Written to {tmp_path / 'new'}" in printed


def test_the_seed_decides_the_run():
    first, again = (plan_task(PENDULUM, dynamics="mujoco", seed=5, **SMALL) for _ in range(2))
    np.testing.assert_array_equal(first.returns, again.returns)


def test_the_control_arm_swings_the_pendulum_up():
    # 5 s, of which a swing-up takes 2 to 4; hanging is worth nothing.
    small = {"samples": 32, "horizon": 40, "episodes": 2, "steps": 250, "progress": False}
    result = plan_task(PENDULUM, dynamics="mujoco", **small)
    assert result.returns.max() > 50


def test_episodes_run_in_true_physics_from_the_environments_starts():
    row = find_env(PENDULUM)
    simulator, task = TrueSimulator(row.domain, row.task, threads=1), row.native_task()

    class Recording(Planner):
        seen = []

        def act(self, state):
            self.seen.append(state)
            return torch.full((len(state), 1), 0.5, dtype=torch.float64)

    planner = Recording(simulator, task)
    played = play(row, planner, episodes=3, steps=5, seed=1, progress=False)
    assert played.rewards.shape == (5, 3)
    for before, after in zip(planner.seen, planner.seen[1:], strict=False):
        action = torch.full((3, 1), 0.5, dtype=torch.float64)
        torch.testing.assert_close(simulator.step(before, action).qpos, after.qpos)
    from mosim_gym.tasks import mujoco as suite

    env = suite.load_dm_env("pendulum", "swingup", {"random": 2})
    env.reset()
    np.testing.assert_array_equal(planner.seen[0].qpos[1], suite.state_of(env)["qpos"])


def test_a_planner_of_another_body_is_refused():
    planner = Planner(Puck(), Parking(), PlannerSettings(horizon=2, samples=4))
    with pytest.raises(MosimError, match="The planner's model belongs to another body: puck"):
        play(find_env(PENDULUM), planner, episodes=1, steps=1, progress=False)


def test_an_endless_task_needs_a_number_of_steps():
    endless = find_row("lqr", "lqr_2_1")
    with pytest.raises(MosimError, match="never ends of itself; say how many steps"):
        play(endless, Planner(Puck(), Parking()), episodes=1, progress=False)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"env_id": "MoSim/pendulum-swing-v0"}, "Unknown environment"),
        ({"planner": "ilqr"}, "Unknown planner 'ilqr'. Available: cem, mppi"),
        ({"dynamics": "bullet"}, "Unknown dynamics 'bullet'.*Available: learned, mujoco"),
        ({"dynamics": "mujoco", "checkpoint": "x"}, 'it needs dynamics="learned"'),
        ({"checkpoint": "reacher"}, "belongs to another body"),
        ({"episodes": 0}, "episodes is 0; expected 1 or more"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"samples": 1}, "samples is 1; expected 2 or more"),
        ({"env_id": "MoSim/dog-run-v0"}, "no task in torch"),
    ],
)
def test_what_cannot_be_done_is_explained(changes, match):
    with pytest.raises(MosimError, match=match):
        plan_task(**{"env_id": PENDULUM, "dynamics": "learned", **SMALL, **changes})


def test_a_folder_that_cannot_be_made_is_said_before_planning(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MosimError, match="Cannot write"):
        plan_task(PENDULUM, dynamics="mujoco", out=tmp_path / "file" / "new", **SMALL)


@pytest.mark.parametrize("domain", PRESETS)
def test_every_preset_plans_for_every_task_of_its_body(domain):
    for row in (row for row in ROWS if row.domain == domain):
        for kind in PlannerKind:
            small = {**SMALL, "episodes": 1, "steps": 1}
            result = plan_task(row.env_id, dynamics="mujoco", planner=kind, **small)
            assert np.isfinite(result.returns).all()
