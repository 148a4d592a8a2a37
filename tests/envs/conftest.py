"""A checkpoint made on the spot, so that these tests do not depend on the shipped weights."""

from pathlib import Path

import pytest
import torch

from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.tasks.mujoco import robot_of


def untrained(folder: Path, domain: str = "reacher", task: str = "easy") -> str:
    """A checkpoint of a small model with seeded weights."""
    torch.manual_seed(0)
    simulator = Simulator(robot_of(domain, task), ModelConfig(width=16, blocks=1))
    # Strong enough that actions and states matter.
    simulator.acceleration_scale.fill_(30.0)
    path = save_checkpoint(
        folder, simulator, acceptance={"trusted_horizon": 7}, provenance={}, card="Untrained."
    )
    return str(path)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """The folder of an untrained reacher."""
    return untrained(tmp_path_factory.mktemp("checkpoints") / "untrained")


@pytest.fixture(params=["learned", "mujoco"])
def dynamics(request, checkpoint) -> dict[str, str]:
    """Keyword arguments for either dynamics."""
    if request.param == "learned":
        return {"dynamics": "learned", "checkpoint": checkpoint}
    return {"dynamics": "mujoco"}
