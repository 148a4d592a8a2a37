"""Checkpoints made on the spot, so that these tests do not depend on the shipped weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.registration import TaskRow, find_env
from mosim_gym.tasks.mujoco import robot_of
from mosim_gym.uncertainty.calibrate import calibrate
from tests.uncertainty.fakes import TINY, member, random_motion


def untrained(folder: Path, domain: str = "reacher", task: str = "easy") -> str:
    """A checkpoint of a small model with seeded weights."""
    torch.manual_seed(0)
    robot = robot_of(domain, task)
    simulator = Simulator(robot, ModelConfig(width=16, blocks=1, touch=bool(robot.touch)))
    # Strong enough that actions and states matter.
    simulator.acceleration_scale.fill_(30.0)
    path = save_checkpoint(
        folder, simulator, acceptance={"trusted_horizon": 7}, provenance={}, card="Untrained."
    )
    return str(path)


@pytest.fixture(scope="session")
def model_of(tmp_path_factory) -> Callable[[TaskRow], str]:
    """The folder of an untrained model of a task's body."""
    root, made = tmp_path_factory.mktemp("checkpoints"), {}

    def make(row: TaskRow) -> str:
        body = row.body.fingerprint
        if body not in made:
            made[body] = untrained(root / body, row.domain, row.task)
        return made[body]

    return make


@pytest.fixture(scope="session")
def checkpoint(model_of) -> str:
    """The folder of an untrained reacher."""
    return model_of(find_env("MoSim/reacher-easy-v0"))


@pytest.fixture(params=["learned", "mujoco"])
def dynamics(request, checkpoint) -> dict[str, str]:
    """Keyword arguments for either dynamics of reacher."""
    return options_of(request.param, checkpoint)


@pytest.fixture(params=["learned", "mujoco"])
def dynamics_of(request, model_of) -> Callable[[TaskRow], dict[str, str]]:
    """Keyword arguments for either dynamics of a task."""

    def make(row: TaskRow) -> dict[str, str]:
        if request.param == "learned" and row.body.unlearnable:
            pytest.skip(row.body.unlearnable)
        return options_of(request.param, model_of(row) if request.param == "learned" else "")

    return make


def options_of(kind: str, checkpoint: str) -> dict[str, str]:
    if kind == "learned":
        return {"dynamics": "learned", "checkpoint": checkpoint}
    return {"dynamics": "mujoco"}


@pytest.fixture(scope="session")
def motion_of_reacher(tmp_path_factory):
    return random_motion(tmp_path_factory.mktemp("data") / "reacher", robot_of("reacher", "easy"))


@pytest.fixture(scope="session")
def alone(tmp_path_factory, motion_of_reacher):
    """A calibrated model without members."""
    folder = member(tmp_path_factory.mktemp("alone") / "model", robot_of("reacher", "easy"))
    return str(calibrate(folder, motion_of_reacher, config=TINY, progress=False))


@pytest.fixture(scope="session")
def several(tmp_path_factory, motion_of_reacher):
    """A calibrated ensemble of three."""
    root, robot = tmp_path_factory.mktemp("several"), robot_of("reacher", "easy")
    paths = [member(root / f"model-{k}", robot, seed=k) for k in range(3)]
    return str(
        calibrate(paths[0], motion_of_reacher, members=paths[1:], config=TINY, progress=False)
    )
