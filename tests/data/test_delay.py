"""Delays are found in data, and taken out of it."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import mosim_gym  # noqa: F401
from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.delay import arrived, find_action_delay
from mosim_gym.errors import DatasetError
from mosim_gym.tasks.true_simulator import TrueSimulator
from mosim_gym.types import State


def recorded(path: Path, env_id: str, delay: int, episodes: int = 2) -> Dataset:
    """Episodes of true physics whose actions come late."""
    env = gym.make(env_id, dynamics="mujoco", action_delay=delay)
    return collect(env, path, episodes=episodes, progress=False)


@pytest.mark.parametrize(
    ("env_id", "delay"),
    [
        ("MoSim/cheetah-run-v0", 0),
        ("MoSim/cheetah-run-v0", 1),
        ("MoSim/cheetah-run-v0", 3),
        ("MoSim/pendulum-swingup-v0", 2),
        ("MoSim/reacher-easy-v0", 1),
        ("MoSim/acrobot-swingup-v0", 0),
    ],
)
def test_a_delay_is_found(tmp_path: Path, env_id: str, delay: int) -> None:
    assert find_action_delay(recorded(tmp_path / "data", env_id, delay)) == delay


def test_actions_are_put_where_they_acted(tmp_path: Path) -> None:
    data = recorded(tmp_path / "data", "MoSim/pendulum-swingup-v0", 2, episodes=1)
    (chosen,), (acted,) = data.episodes, arrived(data, 2).episodes
    assert (acted.action[:2] == 0).all()
    np.testing.assert_array_equal(acted.action[2:], chosen.action[:-2])
    np.testing.assert_array_equal(acted.qpos, chosen.qpos)
    assert arrived(data, 0) is data
    simulator = TrueSimulator("pendulum", "swingup")
    start = State.from_numpy({"qpos": acted.qpos[:50], "qvel": acted.qvel[:50]})
    following = simulator.step(start, arrived(data, 2).transitions().action[:50])
    np.testing.assert_allclose(following.qvel.numpy(), acted.qvel[1:51], atol=1e-6)


def test_episodes_must_be_longer_than_the_longest_delay(tmp_path: Path) -> None:
    data = recorded(tmp_path / "data", "MoSim/pendulum-swingup-v0", 0, episodes=1)
    with pytest.raises(DatasetError, match="No episode of .* is longer than 2000 steps"):
        find_action_delay(data, most=2000)
