import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mosim_gym.data.collect import collect, episode_seed
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.policies import HeldRandomPolicy
from mosim_gym.errors import DatasetError, MosimError
from tests.data.fakes import PointMassEnv, contents

ROOT = Path(__file__).parents[2]
KILLED = """
import sys
from mosim_gym.data.collect import collect
from tests.data.fakes import PointMassEnv
collect(PointMassEnv(kill_at=int(sys.argv[2])), sys.argv[1], episodes=6, seed=7, progress=False)
"""


def test_same_seed_same_bytes(tmp_path):
    for name in ("a", "b"):
        data = collect(PointMassEnv(), tmp_path / name, episodes=3, seed=2, noise=0.01,
                       substeps=True, progress=False)  # fmt: skip
        assert len(data) == 3 and data.n_steps == 30
    other = collect(PointMassEnv(), tmp_path / "c", episodes=3, seed=3, progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not np.array_equal(other.episodes[0].qpos, data.episodes[0].qpos)
    assert [e.seed for e in data.episodes] == [episode_seed(2, i) for i in range(3)]


def test_killed_in_the_middle_and_resumed(tmp_path):
    whole = collect(PointMassEnv(), tmp_path / "whole", episodes=6, seed=7, progress=False)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "cut"), "25"]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [len(e) for e in Dataset.open(tmp_path / "cut").episodes] == [10, 10]
    # What a kill in the middle of writing leaves behind.
    (tmp_path / "cut" / "episodes" / "000002.npz.tmp").write_bytes(b"half")
    collect(PointMassEnv(), tmp_path / "cut", episodes=6, seed=7, progress=False)
    assert len(whole) == 6
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_interrupted_and_resumed(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        collect(PointMassEnv(interrupt_at=15), tmp_path / "cut", episodes=4)
    assert "run the same again to go on" in capsys.readouterr().out
    assert len(Dataset.open(tmp_path / "cut")) == 1
    collect(PointMassEnv(), tmp_path / "cut", episodes=4, progress=False)
    collect(PointMassEnv(), tmp_path / "whole", episodes=4, progress=False)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_more_episodes_later_are_those_of_one_go(tmp_path):
    collect(PointMassEnv(), tmp_path / "a", episodes=2, progress=False)
    assert len(collect(PointMassEnv(), tmp_path / "a", episodes=5, progress=False)) == 5
    assert len(collect(PointMassEnv(), tmp_path / "a", episodes=3, progress=False)) == 5
    collect(PointMassEnv(), tmp_path / "b", episodes=5, progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_says_where_it_wrote(tmp_path, capsys):
    collect(PointMassEnv(), tmp_path / "d", episodes=2)
    captured = capsys.readouterr()
    assert f"2 episodes in {tmp_path / 'd'}" in captured.out
    assert "steps/s" in captured.err and "Nothing to record" not in captured.out
    for fewer in (2, 1):
        collect(PointMassEnv(), tmp_path / "d", episodes=fewer)
        captured = capsys.readouterr()
        assert f"of {fewer} episodes asked for, all are there already" in captured.out
        assert f"2 episodes in {tmp_path / 'd'}" in captured.out and not captured.err
    collect(PointMassEnv(), tmp_path / "d", episodes=1, progress=False)
    assert capsys.readouterr() == ("", "")


def test_integers_of_numpy_are_integers(tmp_path):
    data = collect(PointMassEnv(), tmp_path / "d", episodes=np.int64(1), seed=np.int64(3),
                   max_episode_steps=np.int32(4), progress=False)  # fmt: skip
    assert (data.metadata.seed, data.metadata.max_episode_steps) == (3, 4)


def test_environments_that_never_end_are_cut(tmp_path):
    data = collect(PointMassEnv(10**9), tmp_path / "d", episodes=2, max_episode_steps=5,
                   progress=False)  # fmt: skip
    assert [(len(e), e.truncated) for e in data.episodes] == [(5, True)] * 2
    assert data.metadata.max_episode_steps == 5
    with pytest.raises(DatasetError, match="max_episode_steps 5 / 6"):
        collect(PointMassEnv(10**9), tmp_path / "d", episodes=2, max_episode_steps=6)


def test_bad_arguments(tmp_path):
    with pytest.raises(DatasetError, match="episodes is 0"):
        collect(PointMassEnv(), tmp_path / "d", episodes=0)
    with pytest.raises(DatasetError, match=r"episodes is 2.5; expected an integer >= 1"):
        collect(PointMassEnv(), tmp_path / "d", episodes=2.5)
    with pytest.raises(DatasetError, match="seed is 0.5; expected an integer >= 0"):
        collect(PointMassEnv(), tmp_path / "d", episodes=1, seed=0.5)
    with pytest.raises(DatasetError, match="max_episode_steps is 0"):
        collect(PointMassEnv(), tmp_path / "d", episodes=1, max_episode_steps=0)
    with pytest.raises(DatasetError, match="5 is of type int; expected the path of a dataset"):
        collect(PointMassEnv(), 5, episodes=1)
    with pytest.raises(DatasetError, match="seed is -1"):
        collect(PointMassEnv(), tmp_path / "d", episodes=1, seed=-1)
    bare = PointMassEnv()
    del bare.robot
    with pytest.raises(DatasetError, match="does not say what body moves"):
        collect(bare, tmp_path / "d", episodes=1)
    assert not (tmp_path / "d").exists()


def test_held_random_policy_statistics():
    policy = HeldRandomPolicy([-1, 0], [1, 2], resample_probability=0.2, zero_fraction=0.1)
    policy.reset(np.random.default_rng(0))
    actions = np.stack([policy(None) for _ in range(20_000)])
    changed = (np.diff(actions, axis=0) != 0).any(1)
    # Zero follows zero now and then, so slightly fewer changes than draws are seen.
    assert changed.mean() == pytest.approx(0.2 * (1 - 0.1**2), rel=0.05)
    assert (actions == 0).all(1).mean() == pytest.approx(0.1, rel=0.2)
    moving = actions[~(actions == 0).all(1)]
    assert np.allclose(moving.mean(0), [0, 1], atol=0.05)
    assert (actions >= [-1, 0]).all() and (actions <= [1, 2]).all()
    policy.reset(np.random.default_rng(0))
    assert np.array_equal(actions[:100], [policy(None) for _ in range(100)])


def test_held_random_policy_without_limits_and_bad_arguments():
    policy = HeldRandomPolicy([-1e10], [1e10], rng=np.random.default_rng(0))
    assert max(abs(policy(None)) for _ in range(100)) <= 1
    with pytest.raises(MosimError, match="resample_probability is 1.5"):
        HeldRandomPolicy([-1], [1], resample_probability=1.5)
    with pytest.raises(MosimError, match="zero_fraction is nan"):
        HeldRandomPolicy([-1], [1], zero_fraction=float("nan"))
    with pytest.raises(MosimError, match="low <= high"):
        HeldRandomPolicy([1], [-1])
