"""Recorded motion of any body, and members whose disagreement is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State
from mosim_gym.uncertainty.density import DensityConfig
from tests.fit.fakes import Pendulum, pendulum_spec

#: Fitted in a blink.
TINY = DensityConfig(transforms=2, width=16, steps=60, batch_size=64)


class Kicked(Pendulum):
    """Pushed by a constant force."""

    kick: Tensor

    def __init__(self, kick: float, spec: RobotSpec | None = None) -> None:
        super().__init__(spec or pendulum_spec())
        # A buffer: members of an ensemble differ by what a checkpoint holds.
        self.register_buffer("kick", torch.tensor(kick, dtype=torch.float64))

    def step(self, state: State, action: Tensor) -> State:
        return super().step(state, action + self.kick)


def random_motion(
    folder: Path, spec: RobotSpec, episodes: int = 10, length: int = 40, speed: float = 1.0
) -> Dataset:
    """States that have nothing to do with each other, positions of about 1."""
    rng = np.random.default_rng(0)
    (folder / "episodes").mkdir(parents=True)
    write_metadata(folder, Metadata(spec, "fake/motion", "random", seed=0))
    for index in range(episodes):
        episode = Episode(
            qpos=rng.normal(size=(length + 1, spec.nq)),
            qvel=speed * rng.normal(size=(length + 1, spec.nv)),
            act=rng.normal(size=(length + 1, spec.na)) if spec.na else None,
            action=rng.uniform(spec.action_low, spec.action_high, (length, spec.nu)),
            reward=np.zeros(length),
            terminated=False,
            truncated=True,
        )
        save_episode(episode_path(folder, index), episode)
    return Dataset.open(folder)


def member(folder: Path, spec: RobotSpec, seed: int = 0) -> Path:
    """A checkpoint of a small model with seeded weights, all of one shape."""
    torch.manual_seed(seed)
    simulator = Simulator(spec, ModelConfig(width=16, blocks=1))
    simulator.acceleration_scale.fill_(30.0)
    return save_checkpoint(
        folder, simulator, acceptance={"trusted_horizon": 7}, provenance={}, card="Untrained."
    )
