"""Starts all over the state space: within bounds, refused where there are none, in every face."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mosim_gym
from mosim_gym import MixedResets, TaskResets, UniformResets
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Joint, JointType, RobotSpec
from mosim_gym.tasks.mujoco import robot_of

LIMITS = st.tuples(st.floats(-5, 5), st.floats(0, 5)).map(lambda pair: (pair[0], sum(pair)))
JOINTS = st.lists(
    st.one_of(
        st.tuples(st.just(JointType.HINGE), st.none() | LIMITS),
        st.tuples(st.just(JointType.SLIDE), LIMITS),
    ),
    min_size=1,
    max_size=6,
)


def body(joints: list[tuple[JointType, tuple[float, float] | None]]) -> RobotSpec:
    """A body of such joints."""
    made = tuple(
        Joint(f"j{i}", kind, i, i, limits, True) for i, (kind, limits) in enumerate(joints)
    )
    return dataclasses.replace(robot_of("pendulum", "swingup"), name="made", joints=made)


@given(JOINTS, st.floats(0, 20), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_all_states_are_within_their_bounds(joints, speed, gathered, seed):
    robot = body(joints)
    source = UniformResets(speed, gathered)
    (drawn,) = source.draw(50, np.random.default_rng(seed), robot)
    assert drawn.positions.tolist() == list(range(50))
    assert set(drawn.fields) == {"qpos", "qvel"}
    for column, (_, limits) in enumerate(joints):
        low, high = limits or (-np.pi, np.pi)
        qpos = drawn.fields["qpos"][:, column]
        assert (low <= qpos).all() and (qpos <= high).all()
    assert drawn.fields["qvel"].shape == (50, robot.nv)
    assert (np.abs(drawn.fields["qvel"]) <= speed).all()


def test_they_are_spread_evenly():
    robot = robot_of("cartpole", "swingup")
    (drawn,) = UniformResets(3.0).draw(20_000, np.random.default_rng(0), robot)
    # Uniform sizes times uniform entries, so that slow ones are not rare.
    for values, spread in (
        (drawn.fields["qpos"], np.array([1.8, np.pi]) / np.sqrt(3)),
        (drawn.fields["qvel"], 3.0 / 3),
    ):
        np.testing.assert_allclose(values.std(0), spread, rtol=0.03)
        np.testing.assert_allclose(values.mean(0), 0, atol=0.05)
    assert 0.27 < (np.abs(drawn.fields["qvel"]) < 0.5).all(1).mean() < 0.33


def test_some_gather_in_the_middle_at_rest():
    robot = robot_of("acrobot", "swingup")
    near = []
    for gathered in (0.0, 0.5):
        (drawn,) = UniformResets(6.0, gathered).draw(20_000, np.random.default_rng(0), robot)
        still = (np.abs(drawn.fields["qvel"]) < 0.5).all(1)
        near.append((still & (np.abs(drawn.fields["qpos"]) < 0.2).all(1)).mean())
    assert near[0] < 0.002 and 0.03 < near[1] < 0.07


@given(JOINTS, st.sampled_from(["free", "ball", "slide"]), st.integers(0, 5))
def test_joints_without_bounds_are_refused_by_name(joints, kind, at):
    at = min(at, len(joints))
    robot = body([*joints[:at], (JointType(kind), None), *joints[at:]])
    with pytest.raises(MosimError, match=f"but j{at} of made (has no limits|is a {kind} joint)"):
        UniformResets().draw(1, np.random.default_rng(0), robot)


@pytest.mark.parametrize(("domain", "task"), [("cheetah", "run"), ("quadruped", "walk")])
def test_bodies_that_move_freely_are_refused_when_set(domain, task):
    env = mosim_gym.make_sb3_vec_env(f"MoSim/{domain}-{task}-v0", 2, dynamics="mujoco")
    with pytest.raises(MosimError, match="use ReplayResets for this one"):
        env.env_method("set_reset_source", UniformResets())


@pytest.mark.parametrize("speed", [-1.0, np.nan, np.inf])
def test_the_speed_must_be_a_size(speed):
    with pytest.raises(MosimError, match=r"speed is .*; expected a finite number, 0 or more"):
        UniformResets(speed)


@pytest.mark.parametrize("gathered", [-0.1, 1.1, np.nan])
def test_what_gathers_must_be_a_share(gathered):
    with pytest.raises(MosimError, match=r"gathered is .*; expected a share from 0 to 1"):
        UniformResets(1.0, gathered)


@pytest.mark.parametrize("dynamics", ["learned", "mujoco"])
def test_rows_start_there_and_start_there_again(dynamics):
    env = mosim_gym.make_sb3_vec_env("MoSim/pendulum-swingup-v0", 400, horizon=2, dynamics=dynamics)
    env.env_method("set_reset_source", MixedResets({UniformResets(7.0): 0.5, TaskResets(): 0.5}))
    env.reset()
    for _ in range(2):
        speeds = env.unwrapped.world.engine.state()["qvel"][:, 0]
        moving = speeds != 0
        assert 0.4 < moving.mean() < 0.6  # the task's own starts are at rest
        assert 5.0 < np.abs(speeds).max() <= 7.0
        for _ in range(2):
            env.step(np.zeros((400, 1)))
    env.close()


@pytest.mark.parametrize("dynamics", ["learned", "mujoco"])
def test_the_context_is_left_to_the_task(dynamics):
    env = mosim_gym.make_sb3_vec_env("MoSim/reacher-easy-v0", 20, dynamics=dynamics)
    env.env_method("set_reset_source", UniformResets(1.0))
    env.reset()
    targets = env.unwrapped.world.engine.state()["context"]
    assert len(np.unique(targets[:, 0])) == 20
    env.close()
