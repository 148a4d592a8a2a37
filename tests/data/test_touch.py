"""Touch readings: recorded where they are reported, and nowhere else."""

from __future__ import annotations

import dataclasses
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import save_episode
from mosim_gym.data.recorder import Recorder
from mosim_gym.data.state_info import PhysicsStateInfo
from mosim_gym.errors import DatasetError
from tests.data.fakes import PointMassEnv, make_dataset, make_episode, point_mass

WALLS = ("left", "right")


def run(recorder, steps):
    rng = np.random.default_rng(0)
    infos = [recorder.reset(seed=3)[1]]
    infos += [recorder.step(rng.uniform(-1, 1, size=2))[-1] for _ in range(steps)]
    return infos


def test_readings_are_recorded_with_the_states_they_belong_to(tmp_path):
    env = PointMassEnv(touch=WALLS)
    infos = run(Recorder(env, tmp_path / "d", spec=env.robot, noise=0.1), 10)
    data = Dataset.open(tmp_path / "d")
    (episode,) = data.episodes
    assert data.has_touch and "touch 2" in repr(episode)
    # Noise is on the states alone.
    assert np.array_equal(episode.touch, [info["mosim/touch"] for info in infos])
    assert len(np.unique(episode.touch)) > 10


@pytest.mark.parametrize("sensors", [WALLS, ()])
def test_without_readings_the_files_are_as_before(tmp_path, sensors):
    env = PointMassEnv()  # reports none, as a real system may not
    robot = point_mass(touch=sensors)
    run(Recorder(env, tmp_path / "d", spec=robot), 10)
    data = Dataset.open(tmp_path / "d")
    assert not data.has_touch and data.episodes[0].touch is None
    assert data.transitions().touch is None and data.windows(3).touch is None
    with zipfile.ZipFile(episode_path(tmp_path / "d", 0)) as archive:
        assert "touch.npy" not in archive.namelist()


def test_readings_of_a_body_said_to_have_no_sensors_are_ignored(tmp_path):
    run(Recorder(PointMassEnv(touch=WALLS), tmp_path / "d", spec=point_mass()), 10)
    assert not Dataset.open(tmp_path / "d").has_touch


def test_transitions_and_windows_carry_them(tmp_path):
    spec = point_mass(touch=WALLS)
    data = Dataset.open(make_dataset(tmp_path / "d", [5, 3], spec=spec, substeps=True))
    first, second = (torch.from_numpy(episode.touch) for episode in data.episodes)
    assert torch.equal(data.transitions().touch, torch.cat([first[1:], second[1:]]))
    windows = data.windows(2)
    expected = torch.stack([first[:3], first[2:5], second[:3]])
    assert torch.equal(windows.touch, expected)
    assert data.substep_transitions().touch is None


class Altered(gym.Wrapper):
    """Changes the readings of steps."""

    def __init__(self, env, change):
        super().__init__(env)
        self.change = change

    def step(self, action):
        *rest, info = self.env.step(action)
        self.change(info)
        return (*rest, info)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda info: info.pop("mosim/touch"), "held touch readings .* after reset and no such"),
        (
            lambda info: info.update({"mosim/touch": np.zeros(3)}),
            "expected 2 finite numbers in newtons, one for each of left, right",
        ),
        (lambda info: info.update({"mosim/touch": [np.nan, 0]}), "expected 2 finite numbers"),
    ],
)
def test_bad_readings_are_told(tmp_path, change, match):
    env = PointMassEnv(touch=WALLS)
    recorder = Recorder(Altered(env, change), tmp_path / "d", spec=env.robot)
    recorder.reset()
    with pytest.raises(DatasetError, match=match):
        recorder.step(np.zeros(2))


def test_readings_that_begin_late_are_told(tmp_path):
    env = Altered(PointMassEnv(), lambda info: info.update({"mosim/touch": np.zeros(2)}))
    recorder = Recorder(env, tmp_path / "d", spec=point_mass(touch=WALLS))
    recorder.reset()
    with pytest.raises(DatasetError, match="held no touch readings .* after reset and such"):
        recorder.step(np.zeros(2))


def test_episodes_with_and_without_are_told_apart(tmp_path):
    spec = point_mass(touch=WALLS)
    folder = make_dataset(tmp_path / "d", [5, 3], spec=spec)
    episode = make_episode(spec, 3, 1)
    save_episode(episode_path(folder, 1), dataclasses.replace(episode, touch=None))
    with pytest.raises(DatasetError, match="000001.npz has touch readings of 0 numbers.* of 2"):
        Dataset.open(folder).transitions()
    wide = dataclasses.replace(episode, touch=np.zeros((4, 3)))
    save_episode(episode_path(folder, 1), wide)
    with pytest.raises(DatasetError, match=r"touch is float64 \(4, 3\); expected float64 \(4, 2\)"):
        Dataset.open(folder).transitions()


@pytest.mark.parametrize(("task", "sensors"), [("hopper-hop", 2), ("finger-spin", 2)])
def test_shimmy_reports_what_dm_control_observes(task, sensors):
    pytest.importorskip("shimmy")
    env = PhysicsStateInfo(gym.make(f"dm_control/{task}-v0"))
    observation, info = env.reset(seed=1)
    assert len(env.robot.touch) == sensors
    touched = []
    rng = np.random.default_rng(0)
    for _ in range(150):
        reading = info["mosim/touch"]
        assert reading.shape == (sensors,) and reading.dtype == np.float64
        np.testing.assert_allclose(np.log1p(reading), observation["touch"], rtol=0, atol=1e-12)
        touched.append(reading.max())
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        observation, _, _, _, info = env.step(action)
    assert max(touched) > 0


def test_no_sensors_no_readings():
    env = PhysicsStateInfo(gym.make("InvertedPendulum-v5"))
    assert "mosim/touch" not in env.reset(seed=0)[1]
    inner = PointMassEnv(report=False)
    mine = PhysicsStateInfo(inner, lambda env: env.unwrapped.state())
    assert "mosim/touch" not in mine.reset(seed=0)[1]


def test_a_context_that_moves_the_body_is_required(tmp_path):
    spec = point_mass(context_inputs=4)
    recorder = Recorder(PointMassEnv(), tmp_path / "d", spec=spec)
    with pytest.raises(DatasetError, match=r"context has shape \(2,\); expected \(4,\)"):
        recorder.reset()
    folder = make_dataset(tmp_path / "e", [3], spec=spec)
    assert Dataset.open(folder).transitions().state.context.shape == (3, 4)
    episode = dataclasses.replace(make_episode(spec, 3, 0), context=None)
    save_episode(episode_path(folder, 0), episode)
    with pytest.raises(DatasetError, match=r"context is missing; expected float64 \(4, 4\)"):
        Dataset.open(folder).transitions()
