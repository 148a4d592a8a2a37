import gymnasium as gym
import numpy as np
import pytest

from mosim_gym.data.collect import collect
from mosim_gym.data.state_info import PhysicsStateInfo
from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import RobotSpec
from tests.data.fakes import PointMassEnv, contents


@pytest.fixture
def reacher():
    pytest.importorskip("shimmy")
    return gym.make("dm_control/reacher-easy-v0")


def same(a, b):
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


def test_shimmy_reacher(reacher):
    env = PhysicsStateInfo(reacher)
    observation, info = env.reset(seed=3)
    physics = env.unwrapped._env.physics
    state = info["mosim/state"]
    assert np.array_equal(state["qpos"], observation["position"])
    assert np.array_equal(state["context"], physics.named.model.geom_pos["target", :2])
    for _ in range(5):
        observation, _, _, _, info = env.step(env.action_space.sample())
        assert same(info["mosim/state_before"], state)
        state = info["mosim/state"]
        assert set(state) == {"qpos", "qvel", "context"}
        assert np.array_equal(state["qpos"], physics.data.qpos)
        assert np.array_equal(state["qvel"], observation["velocity"])
        assert not np.shares_memory(state["qpos"], physics.data.qpos)


def test_reading_the_robot_leaves_the_episodes_as_they_were(reacher):
    env = PhysicsStateInfo(reacher)
    assert isinstance(env.robot, RobotSpec) and (env.robot.name, env.robot.nq) == ("reacher", 2)
    _, read_first = env.reset(seed=4)
    other = PhysicsStateInfo(gym.make("dm_control/reacher-easy-v0"))
    _, straight = other.reset(seed=4)
    assert same(read_first["mosim/state"], straight["mosim/state"])
    assert env.robot == other.robot


def test_shimmy_collection_is_reproducible_and_resumable(reacher, tmp_path):
    env = PhysicsStateInfo(reacher)
    settings = {"max_episode_steps": 30, "progress": False}
    collect(env, tmp_path / "a", episodes=3, **settings)
    collect(env, tmp_path / "b", episodes=1, **settings)
    fresh = PhysicsStateInfo(gym.make("dm_control/reacher-easy-v0"))
    data = collect(fresh, tmp_path / "b", episodes=3, **settings)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert data.metadata.source == "dm_control/reacher-easy-v0"
    assert data.episodes[0].context is not None


def test_gymnasium_mujoco(tmp_path):
    env = PhysicsStateInfo(gym.make("InvertedPendulum-v5"))
    assert (env.robot.nq, env.robot.nu, env.robot.n_substeps) == (2, 1, 2)
    observation, info = env.reset(seed=0)
    state = info["mosim/state"]
    assert np.array_equal(np.concatenate([state["qpos"], state["qvel"]]), observation)
    _, _, _, _, info = env.step(np.ones(1, dtype=np.float32))
    assert same(info["mosim/state_before"], state)
    # A state set by hand is the one the next step starts from.
    env.unwrapped.set_state(np.array([0.5, 0.1]), np.zeros(2))
    _, _, _, _, info = env.step(np.ones(1, dtype=np.float32))
    assert np.array_equal(info["mosim/state_before"]["qpos"], [0.5, 0.1])
    data = collect(env, tmp_path / "d", episodes=2, progress=False)
    assert all(e.terminated for e in data.episodes)


def test_any_environment_with_a_function():
    inner = PointMassEnv(report=False)
    env = PhysicsStateInfo(inner, lambda env: env.unwrapped.state())
    _, info = env.reset(seed=0)
    _, _, _, _, after = env.step(np.ones(2, dtype=np.float32))
    assert same(after["mosim/state_before"], info["mosim/state"])
    assert same(after["mosim/state"], inner.state())
    with pytest.raises(AttributeError, match="RobotSpec.from_mjcf"):
        _ = PhysicsStateInfo(inner, lambda env: env.unwrapped.state()).__class__.robot.fget(env)


def test_clear_errors():
    with pytest.raises(DatasetError, match=r"Cannot find the physics state .* Give a function"):
        PhysicsStateInfo(PointMassEnv())
    wrong = {
        "expected a dict of the arrays": {"position": [0.0]},
        r"qvel has shape \(1, 2\)": {"qpos": [0.0], "qvel": [[0.0, 1.0]]},
        "qpos holds NaN": {"qpos": [np.nan], "qvel": [0.0]},
    }
    for match, state in wrong.items():
        env = PhysicsStateInfo(PointMassEnv(report=False), lambda env, state=state: state)
        with pytest.raises(DatasetError, match=match):
            env.reset()
    env = PhysicsStateInfo(PointMassEnv(report=False), lambda env: env.unwrapped.state())
    with pytest.raises(DatasetError, match="call reset"):
        env.step(np.zeros(2))
