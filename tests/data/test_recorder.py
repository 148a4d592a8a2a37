import numpy as np
import pytest
from gymnasium import Wrapper
from gymnasium.spaces import Discrete

import mosim_gym.files
from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.recorder import Recorder
from mosim_gym.data.states import add_noise
from mosim_gym.errors import DatasetError
from tests.data.fakes import PointMassEnv, contents, free_body, point_mass


def record(out, env=None, **kwargs):
    env = PointMassEnv() if env is None else env
    return Recorder(env, out, spec=env.robot, **kwargs)


def run(recorder, steps, seed=0):
    rng = np.random.default_rng(seed)
    recorder.reset(seed=seed)
    return [recorder.step(rng.uniform(-2, 2, size=2)) for _ in range(steps)]


@pytest.mark.parametrize("na", [0, 1])
def test_records_what_happened(tmp_path, na):
    recorder = record(tmp_path / "d", PointMassEnv(na=na), policy="mine", substeps=True)
    steps = run(recorder, 10, seed=3)
    (episode,) = Dataset.open(tmp_path / "d").episodes
    assert (len(episode), episode.seed, episode.truncated, episode.terminated) == (
        10,
        3,
        True,
        False,
    )
    for t, (_, reward, _, _, info) in enumerate(steps):
        for name, value in info["mosim/state"].items():
            assert np.array_equal(getattr(episode, name)[t + 1], value)
            assert np.array_equal(getattr(episode, name)[t], info["mosim/state_before"][name])
        for name, value in info["mosim/substeps"].items():
            assert np.array_equal(getattr(episode, f"substep_{name}")[t], value)
        assert episode.reward[t] == reward
    # The recorded actions, clipped, explain the recorded velocities.
    assert np.abs(episode.action).max() == 1.0
    assert np.allclose(np.diff(episode.qvel, axis=0), 0.02 * episode.action, atol=1e-12)


def test_ends_and_cuts(tmp_path):
    recorder = record(tmp_path / "d", PointMassEnv(terminate_at=4))
    run(recorder, 4)
    run(recorder, 2)
    recorder.reset()  # cuts the second
    recorder.reset()  # nothing to write
    recorder.step(np.zeros(2))
    recorder.close()
    ends = [(len(e), e.terminated, e.truncated) for e in Dataset.open(tmp_path / "d").episodes]
    assert ends == [(4, True, False), (2, False, True), (1, False, True)]


def test_the_running_episode_is_lost_in_a_crash(tmp_path):
    recorder = record(tmp_path / "d")
    run(recorder, 10)
    run(recorder, 3)
    del recorder
    assert [len(e) for e in Dataset.open(tmp_path / "d").episodes] == [10]


def test_goes_on_in_a_matching_folder_and_fills_gaps(tmp_path):
    recorder = record(tmp_path / "d", seed=1)
    run(recorder, 10), run(recorder, 10), run(recorder, 10)
    episode_path(tmp_path / "d", 1).unlink()
    again = record(tmp_path / "d", seed=1)
    assert again.next_index == 1
    run(again, 10)
    assert again.next_index == 3


@pytest.mark.parametrize(
    ("env", "settings", "match"),
    [
        (PointMassEnv(n_substeps=3), {}, "robot point .*fingerprint point-2-0.*point-3-0"),
        (PointMassEnv(), {"noise": 0.1}, "noise 0.0 / 0.1"),
        (PointMassEnv(), {"substeps": True}, "substeps False / True"),
        (PointMassEnv(), {"policy": "other"}, "policy 'unknown' / 'other'"),
        (PointMassEnv(), {"seed": 4}, "seed None / 4"),
    ],
)
def test_refuses_a_folder_recorded_otherwise(tmp_path, env, settings, match):
    run(record(tmp_path / "d"), 10)
    before = contents(tmp_path / "d")
    with pytest.raises(DatasetError, match=match):
        record(tmp_path / "d", env, **settings)
    assert contents(tmp_path / "d") == before


def test_refuses_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty and holds no dataset"):
        record(tmp_path)
    with pytest.raises(DatasetError, match="Cannot write .*notes.txt"):
        record(tmp_path / "notes.txt")


class Altered(Wrapper):
    """Changes the info of steps."""

    def __init__(self, env, change):
        super().__init__(env)
        self.change = change
        self.robot = env.robot

    def step(self, action):
        *rest, info = self.env.step(action)
        self.change(info)
        return (*rest, info)


@pytest.mark.parametrize(
    ("change", "substeps", "match"),
    [
        (lambda info: info.pop("mosim/state"), False, r"PhysicsStateInfo\(env\)"),
        (lambda info: info.pop("mosim/state_before"), False, "no 'mosim/state_before'"),
        (lambda info: info["mosim/state"].pop("qvel"), False, "expected a dict of the arrays"),
        (lambda info: info["mosim/state"].pop("context"), False, "the same throughout an episode"),
        (
            lambda info: info["mosim/state"].update(qpos=np.zeros(3)),
            False,
            r"shape \(3,\)",
        ),
        (lambda info: info["mosim/state"]["qpos"].fill(np.nan), False, "qpos holds NaN"),
        (
            lambda info: info["mosim/state_before"]["qpos"].fill(0),
            False,
            "changed between",
        ),
        (lambda info: info.pop("mosim/substeps"), True, "reports control steps only"),
        (
            lambda info: info["mosim/substeps"].update(qpos=np.zeros((1, 2))),
            True,
            r"\(1, 2\) or",
        ),
        (lambda info: info["mosim/substeps"].update(qpos=np.zeros((2, 2))), True, "the last qpos"),
    ],
)
def test_bad_infos_are_told_and_lose_nothing(tmp_path, change, substeps, match):
    altered = Altered(PointMassEnv(), lambda info: None)
    recorder = record(tmp_path / "d", altered, substeps=substeps)
    run(recorder, 2)
    altered.change = change
    with pytest.raises(DatasetError, match=match):
        recorder.step(np.zeros(2))
    recorder.close()
    assert [len(e) for e in Dataset.open(tmp_path / "d").episodes] == [2]


def test_reset_without_states(tmp_path):
    with pytest.raises(DatasetError, match="info holds no 'mosim/state'.*PhysicsStateInfo"):
        record(tmp_path / "d", PointMassEnv(report=False)).reset()


def test_substeps_of_a_one_step_body_need_no_report(tmp_path):
    altered = Altered(PointMassEnv(n_substeps=1), lambda info: info.pop("mosim/substeps"))
    run(record(tmp_path / "d", altered, substeps=True), 10)
    (episode,) = Dataset.open(tmp_path / "d").episodes
    assert np.array_equal(episode.substep_qpos[:, 0], episode.qpos[1:])


@pytest.mark.parametrize("action", [np.array([np.nan, 0]), np.zeros(3), 0.0])
def test_bad_actions(tmp_path, action):
    recorder = record(tmp_path / "d")
    recorder.reset()
    with pytest.raises(DatasetError, match="expected 2 finite numbers"):
        recorder.step(action)


def test_order_of_calls(tmp_path):
    recorder = record(tmp_path / "d")
    with pytest.raises(DatasetError, match="call reset"):
        recorder.step(np.zeros(2))
    run(recorder, 10)
    with pytest.raises(DatasetError, match="call reset"):
        recorder.step(np.zeros(2))


def test_actions_must_be_the_robots_controls(tmp_path):
    env = PointMassEnv()
    env.action_space = Discrete(3)
    with pytest.raises(DatasetError, match=r"expected a Box of shape \(2,\)"):
        Recorder(env, tmp_path / "d", spec=point_mass())


def test_noise_is_added_once_by_seed_and_episode(tmp_path):
    for name, settings in {"clean": {}, "a": {"noise": 0.1}, "b": {"noise": 0.1}}.items():
        recorder = record(tmp_path / name, PointMassEnv(300), seed=5, substeps=True, **settings)
        run(recorder, 300), run(recorder, 300)
    clean, noisy = Dataset.open(tmp_path / "clean"), Dataset.open(tmp_path / "a")
    first, second = (n.qpos - c.qpos for n, c in zip(noisy.episodes, clean.episodes, strict=True))
    assert np.std(first) == pytest.approx(0.1, rel=0.1)
    assert not np.array_equal(first, second)
    for episode, true in zip(noisy.episodes, clean.episodes, strict=True):
        assert np.array_equal(episode.substep_qvel[:, -1], episode.qvel[1:])
        assert np.std(episode.substep_qvel[:, 0] - true.substep_qvel[:, 0]) > 0.05
        assert np.array_equal(episode.context, true.context)
        assert np.array_equal(episode.action, true.action)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert a == b
    with pytest.raises(DatasetError, match="noise is -1"):
        record(tmp_path / "c", noise=-1.0)


def test_noise_keeps_quaternions_at_length_one():
    rng = np.random.default_rng(0)
    qpos = np.tile([0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0.0], (50, 1))
    noisy, _ = add_noise(qpos, np.zeros((50, 9)), 0.1, free_body(), rng)
    for start in (3, 7):
        assert np.allclose(np.linalg.norm(noisy[:, start : start + 4], axis=1), 1, atol=1e-14)
    assert np.std(noisy[:, 0]) > 0.05


def test_a_full_disk_leaves_no_half_file_and_the_episode_can_be_written_later(
    tmp_path, monkeypatch
):
    recorder = record(tmp_path / "d")

    def no_space(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(mosim_gym.files.os, "fsync", no_space)
        with pytest.raises(DatasetError, match="Cannot write .*000000.npz: No space left"):
            run(recorder, 10)
        assert list((tmp_path / "d" / "episodes").iterdir()) == []
    recorder.reset()
    assert [len(e) for e in Dataset.open(tmp_path / "d").episodes] == [10]
