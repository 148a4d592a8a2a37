"""Why episodes are cut, and what a diverging model leaves behind: never a NaN."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import mosim_gym
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.truncation import Truncation
from mosim_gym.envs.world import World
from mosim_gym.tasks import reacher
from mosim_gym.tasks.mujoco import robot_of
from mosim_gym.types import State
from tests.envs.faces import ENV_ID
from tests.envs.fakes import Drifting

UP = np.array([0.5, 0.0], np.float32)
#: Rows 0 and 2 stay far below the cliff, row 1 is carried over it by the second step.
START = {
    "qpos": np.array([[-5.0, 0.1], [0.25, 0.2], [-5.0, 0.3]]),
    "qvel": np.zeros((3, 2)),
    "context": np.array([[0.2, 0.0], [0.1, 0.1], [0.0, 0.2]]),
}
FALLS = pytest.mark.parametrize("fall", [np.nan, np.inf, -np.inf])


def on_a_drift(env, cliff=1.0, fall=np.nan):
    """Let the learned engine of a face move by the known dynamics instead of its network."""
    world = env.unwrapped.world
    world.engine.simulator = Drifting(world.engine.robot, cliff, fall)
    return env


def row_of_start(row):
    return {name: value[row] for name, value in START.items()}


@FALLS
def test_vector_row_that_diverges(checkpoint, fall):
    env = on_a_drift(gym.make_vec(ENV_ID, num_envs=3, checkpoint=checkpoint, state_info=True),
                     fall=fall)  # fmt: skip
    env.reset(seed=0, options=START)
    before, *_ = env.step(np.tile(UP, (3, 1)))
    shown, reward, terminated, truncated, infos = env.step(np.tile(UP, (3, 1)))
    assert terminated.tolist() == [False] * 3
    assert truncated.tolist() == [False, True, False]
    assert reward[1] == 0.0
    assert infos["mosim/truncation"].tolist() == [None, "diverged", None]
    assert infos["_mosim/truncation"].tolist() == [False, True, False]
    # Its last finite observation and state; then, in the same step, a new episode.
    np.testing.assert_array_equal(infos["final_obs"][1], before[1])
    np.testing.assert_array_equal(infos["mosim/state"]["qpos"][1], [0.75, 0.2])
    assert np.isfinite(shown).all()
    assert shown[1, 4:].tolist() == [0, 0]
    # The others moved on as if nothing had been.
    moved = State.from_numpy(
        {**START, "qpos": START["qpos"] + 2 * UP.astype(float), "qvel": np.tile(UP, (3, 1))}
    )
    task = reacher.easy()
    expected = task.observe(task.measure(moved, torch.zeros(1, 2))).numpy().astype(np.float32)
    np.testing.assert_array_equal(shown[[0, 2]], expected[[0, 2]])


@FALLS
def test_sb3_row_that_diverges(checkpoint, fall):
    env = mosim_gym.make_sb3_vec_env(ENV_ID, 3, checkpoint=checkpoint)
    on_a_drift(env, fall=fall)
    env.set_options([row_of_start(row) for row in range(3)])
    env.reset()
    before, *_ = env.step(np.tile(UP, (3, 1)))
    shown, rewards, dones, infos = env.step(np.tile(UP, (3, 1)))
    assert dones.tolist() == [False, True, False]
    assert infos[0] == infos[2] == {}
    assert infos[1]["mosim/truncation"] == "diverged"
    assert infos[1]["TimeLimit.truncated"] is True
    np.testing.assert_array_equal(infos[1]["terminal_observation"], before[1])
    assert rewards[1] == 0.0 and np.isfinite(shown).all()
    assert infos[1]["episode"]["l"] == 2


@FALLS
def test_single_that_diverges(checkpoint, fall):
    env = on_a_drift(gym.make(ENV_ID, checkpoint=checkpoint), fall=fall)
    env.reset(seed=0, options=row_of_start(1))
    before, *_ = env.step(UP)
    for _ in range(2):  # whoever does not reset stays there
        observation, reward, terminated, truncated, info = env.step(UP)
        np.testing.assert_array_equal(observation, before)
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert info["mosim/truncation"] == "diverged"
        np.testing.assert_array_equal(info["mosim/state"]["qpos"], [0.75, 0.2])
        assert env.unwrapped.world.engine.state()["qpos"].tolist() == [[0.75, 0.2]]


def test_dm_env_that_diverges(checkpoint):
    env = mosim_gym.load("reacher", "easy", checkpoint=checkpoint)
    env.world.engine.simulator = Drifting(env.robot, cliff=-np.inf)
    first = env.reset()
    step = env.step(UP)
    assert step.last() and step.discount == 1.0 and step.reward == 0.0
    for name, value in first.observation.items():
        np.testing.assert_array_equal(step.observation[name], value)


def test_a_finite_state_that_cannot_be_observed_counts_as_diverged(checkpoint):
    """The cosine of an angle that has overflown in float32 is NaN."""
    env = gym.make(ENV_ID, checkpoint=checkpoint)
    on_a_drift(env, cliff=-np.inf, fall=1.7e308)
    first, _ = env.reset(seed=0)
    observation, *_, truncated, info = env.step(UP)
    assert truncated and info["mosim/truncation"] == "diverged"
    np.testing.assert_array_equal(observation, first)


def test_diverging_goes_before_every_other_reason(checkpoint):
    env = on_a_drift(gym.make(ENV_ID, checkpoint=checkpoint, horizon=2))
    env.reset(seed=0, options=row_of_start(1))
    env.step(UP)
    assert env.step(UP)[-1]["mosim/truncation"] == "diverged"


@pytest.mark.parametrize(
    ("horizon", "limit", "at", "reason"),
    [
        (3, 5, 3, "horizon"),
        (5, 3, 3, "time_limit"),
        (4, 4, 4, "horizon"),
        (None, 2, 2, "time_limit"),
    ],
)
def test_horizon_and_time_limit(dynamics, horizon, limit, at, reason):
    vector = gym.make_vec(ENV_ID, num_envs=2, horizon=horizon, max_episode_steps=limit, **dynamics)
    sb3 = mosim_gym.make_sb3_vec_env(
        ENV_ID, 2, horizon=horizon, max_episode_steps=limit, **dynamics
    )
    vector.reset(seed=0)
    sb3.reset()
    for t in range(1, 2 * at + 1):
        *_, truncated, infos = vector.step(np.zeros((2, 2)))
        *_, done, sb3_infos = sb3.step(np.zeros((2, 2)))
        assert truncated.tolist() == done.tolist() == [t % at == 0] * 2
        if done[0]:
            assert infos["mosim/truncation"].tolist() == [reason] * 2
            assert sb3_infos[1]["mosim/truncation"] == reason


def test_on_the_single_face_a_time_limit_is_gymnasiums(dynamics):
    env = gym.make(ENV_ID, max_episode_steps=2, **dynamics)
    env.reset(seed=0)
    env.step(UP)
    *_, truncated, info = env.step(UP)
    assert truncated and "mosim/truncation" not in info
    assert gym.make(ENV_ID, **dynamics).spec.max_episode_steps == 1000


def test_the_trusted_horizon_is_the_checkpoints(checkpoint):
    env = gym.make(ENV_ID, checkpoint=checkpoint, horizon="trusted")
    env.reset(seed=0)
    ends = [env.step(UP)[3] for _ in range(7)]
    assert ends == [False] * 6 + [True]


class Ending(reacher.Reacher):
    """A reacher that ends where the finger touches the target."""

    def terminated(self, measured):
        return self.reward(measured) > 0


def test_a_task_that_ends_terminates_but_not_where_it_diverges():
    robot = robot_of("reacher", "easy")
    world = World(LearnedEngine(Drifting(robot, cliff=1.0), Ending(0.05), 3), horizon=1)
    touching = {"context": np.array([[0.24, 0.0]] * 3), "qvel": np.zeros((3, 2))}
    world.reset(options={**touching, "qpos": np.array([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0]])})
    outcome = world.step(np.zeros((3, 2)))
    assert outcome.terminated.tolist() == [True, False, False]
    # The first reached its goal and the horizon in one step: both are told.
    assert outcome.reasons == {
        0: Truncation.HORIZON, 1: Truncation.DIVERGED, 2: Truncation.HORIZON
    }  # fmt: skip
    assert outcome.done.all()
    assert outcome.reward.tolist() == [1.0, 0.0, 0.0]
