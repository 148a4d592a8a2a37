"""Smoothed positions are nearer to the truth than recorded ones, and agree with velocities."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.estimate import estimated, smoothed
from mosim_gym.robots.spec import Integrator

NOISE = 0.01


def record(domain: str, folder: Path, *, noise: float, substeps: bool) -> Dataset:
    env = gym.make(
        f"MoSim/{domain}-v0", dynamics="mujoco", max_episode_steps=200, substeps=substeps
    )
    with env:
        return collect(env, folder, episodes=2, noise=noise, substeps=substeps, progress=False)


@pytest.mark.parametrize(
    ("domain", "substeps", "share"),
    [
        ("cheetah-run", False, 0.15),  # Euler, one physics step a control step
        ("hopper-hop", True, 0.10),  # Euler, four of them, all recorded
        ("acrobot-swingup", False, 0.15),  # RK4: velocities tell positions only nearly
        ("walker-walk", False, 0.75),  # ten physics steps that were not recorded
    ],
)
def test_most_of_the_noise_of_positions_goes(
    domain: str, substeps: bool, share: float, tmp_path: Path
) -> None:
    true = record(domain, tmp_path / "true", noise=0.0, substeps=substeps)
    noisy = record(domain, tmp_path / "noisy", noise=NOISE, substeps=substeps)
    better = estimated(noisy)
    for clean, seen, found in zip(true.episodes, noisy.episodes, better.episodes, strict=True):
        before = np.sqrt((clean.qpos - seen.qpos) ** 2).mean()
        assert np.sqrt((clean.qpos - found.qpos) ** 2).mean() < share * before
        np.testing.assert_array_equal(found.qvel, seen.qvel)
        if substeps:
            assert found.substep_qpos is not None
            np.testing.assert_array_equal(found.substep_qpos[:, -1], found.qpos[1:])


@pytest.mark.parametrize("noise", [1e-3, 3e-3])
@pytest.mark.parametrize("domain", ["walker-walk", "hopper-hop", "acrobot-swingup"])
def test_little_noise_is_not_made_more(domain: str, noise: float, tmp_path: Path) -> None:
    """What velocities do not tell of the way between two states must not be believed."""
    true = record(domain, tmp_path / "true", noise=0.0, substeps=False).episodes[0]
    noisy = record(domain, tmp_path / "noisy", noise=noise, substeps=False)
    seen, found = noisy.episodes[0], estimated(noisy).episodes[0]
    before, after = (np.sqrt(((e.qpos - true.qpos) ** 2).mean()) for e in (seen, found))
    assert after < 1.02 * before


def test_turns_of_a_free_body_stay_as_they_are(tmp_path: Path) -> None:
    noisy = record("humanoid-run", tmp_path / "noisy", noise=NOISE, substeps=False)
    seen, found = noisy.episodes[0], estimated(noisy).episodes[0]
    np.testing.assert_array_equal(found.qpos[:, 3:7], seen.qpos[:, 3:7])
    assert (found.qpos[1:-1, :3] != seen.qpos[1:-1, :3]).all()


def test_what_has_no_noise_is_left_alone(tmp_path: Path) -> None:
    true = record("cheetah-run", tmp_path / "true", noise=0.0, substeps=False)
    assert estimated(true) is true
    # Positions that agree with velocities are their own estimate.
    episode = true.episodes[0]
    np.testing.assert_allclose(smoothed(episode, true.spec, 1e-3).qpos, episode.qpos, atol=1e-9)
    other = dataclasses.replace(true.spec, integrator=Integrator.RK4)
    assert not np.allclose(smoothed(episode, other, 1e-3).qpos, episode.qpos, atol=1e-9)
