"""``mosim-gym calibrate``: parses, calls, prints."""

from __future__ import annotations

import dataclasses
import re
from functools import partial

import gymnasium as gym
import numpy as np

from mosim_gym.tasks.mujoco import robot_of
from tests.uncertainty.fakes import TINY, member, random_motion


def test_a_model_is_calibrated_and_trained_on(run, monkeypatch, tmp_path):
    # As a default; what a file tells is taken as it is.
    tiny = partial(dataclasses.replace, TINY)
    monkeypatch.setattr("mosim_gym.uncertainty.density.DensityConfig", tiny)
    robot = robot_of("reacher", "easy")
    random_motion(tmp_path / "data", robot)
    paths = [member(tmp_path / f"model-{k}", robot, seed=k) for k in range(2)]
    told = ("calibrate", paths[0], "--data", tmp_path / "data", "--members", paths[1], "--quiet")
    code, out, err = run(*told)
    assert code == 0, err
    assert re.search(r"density: held-out steps are at or below 50% .*, 95% .*, 99% ", out)
    assert "2 members" in out and f"Written to {paths[0]}" in out
    env = gym.make("MoSim/reacher-easy-v0", checkpoint=str(paths[0]), uncertainty="truncate")
    env.reset(seed=0)
    assert 0 <= env.step(np.zeros(2))[-1]["mosim/uncertainty"] <= 1


def test_a_shipped_model_needs_a_folder_for_its_copy(run, tmp_path):
    random_motion(tmp_path / "data", robot_of("reacher", "easy"))
    code, _, err = run("calibrate", "reacher", "--data", tmp_path / "data")
    assert code == 2 and "ships with the package" in err and "--out FOLDER" in err


def test_what_is_not_there_is_told(run, tmp_path):
    code, _, err = run("calibrate", "reachr", "--data", tmp_path)
    assert code == 2 and "Unknown checkpoint 'reachr'" in err
