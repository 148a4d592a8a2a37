"""Smoothed positions are nearer to the truth than recorded ones, and agree with velocities."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.estimate import estimated, smoothed
from mosim_gym.data.turns import smooth_turns
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


@pytest.mark.parametrize(
    ("task", "at", "substeps", "share"),
    [
        ("humanoid-run", 3, True, 0.15),  # a free root, every physics step recorded
        ("go2-walk", 3, True, 0.15),
        ("humanoid-run", 3, False, 0.75),  # five physics steps that were not recorded
    ],
)
def test_most_of_the_noise_of_turns_goes(
    task: str, at: int, substeps: bool, share: float, tmp_path: Path
) -> None:
    true = record(task, tmp_path / "true", noise=0.0, substeps=substeps)
    noisy = record(task, tmp_path / "noisy", noise=NOISE, substeps=substeps)
    for clean, seen, found in zip(
        true.episodes, noisy.episodes, estimated(noisy).episodes, strict=True
    ):
        before, after = (
            turned(clean.qpos[:, at : at + 4], e.qpos[:, at : at + 4]) for e in (seen, found)
        )
        assert 0.03 < before.mean() < 0.04  # three axes of 2 e each
        assert after.mean() < share * before.mean()
        np.testing.assert_allclose(np.linalg.norm(found.qpos[:, at : at + 4], axis=1), 1.0)


def turned(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Angles between orientations."""
    aligned = np.abs((one * two).sum(1)) / np.linalg.norm(two, axis=1)
    return 2 * np.arccos(aligned.clip(max=1.0))


@given(st.integers(0, 2**31), st.floats(0.0, 3.0))
def test_turns_that_agree_with_velocities_are_their_own_estimate(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    moved = size * rng.normal(size=(20, 3))
    path = [rng.normal(size=4)]
    for turn in moved:
        after = path[-1].copy()
        mujoco.mju_quatIntegrate(after, turn, 1.0)
        # Signs of quaternions mean nothing.
        path.append(after * rng.choice([-1.0, 1.0]))
    quaternions = np.array(path)
    found = smooth_turns(quaternions, moved, np.full(20, 1e-6), 1e-2)
    assert turned(found, quaternions).max() < 1e-6


def test_what_has_no_noise_is_left_alone(tmp_path: Path) -> None:
    true = record("cheetah-run", tmp_path / "true", noise=0.0, substeps=False)
    assert estimated(true) is true
    # Positions that agree with velocities are their own estimate.
    episode = true.episodes[0]
    np.testing.assert_allclose(smoothed(episode, true.spec, 1e-3).qpos, episode.qpos, atol=1e-9)
    other = dataclasses.replace(true.spec, integrator=Integrator.RK4)
    assert not np.allclose(smoothed(episode, other, 1e-3).qpos, episode.qpos, atol=1e-9)
