"""Kinematics against MuJoCo's own, its oracle, for every body of the suite and random ones."""

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.mujoco import load_dm_env
from tests.robots.bodies import BODY, compiled, suite_tasks
from tests.robots.kinematics_oracle import ask, assert_equal, measure
from tests.robots.random_trees import random_tree

SEEDS = st.integers(0, 2**31)


def suite_model(domain, task) -> mujoco.MjModel:
    return load_dm_env(domain, task).physics.model.ptr


@pytest.fixture(scope="module")
def humanoid() -> tuple[mujoco.MjModel, Kinematics]:
    model = suite_model("humanoid", "run")
    return model, Kinematics(Tree.from_mujoco(model))


@pytest.mark.parametrize("domain,task", suite_tasks())
def test_every_suite_body(domain, task):
    model = suite_model(domain, task)
    oracle = ask(model, np.random.default_rng(0))
    assert_equal(Kinematics(Tree.from_mujoco(model)), oracle, atol=1e-10)


@given(SEEDS)
def test_every_kind_of_tree(value):
    rng = np.random.default_rng(value)
    model = random_tree(rng)
    assert_equal(Kinematics(Tree.from_mujoco(model)), ask(model, rng), atol=1e-11)


def test_planar_chains_multiply_no_rotations():
    """What makes them cheap: every frame hangs from the world."""
    for domain, task in (("cheetah", "run"), ("walker", "run"), ("swimmer", "swimmer15")):
        plan = Kinematics(Tree.from_mujoco(suite_model(domain, task))).plan
        assert len(plan.levels) == 1 and not len(plan.spins)


@given(SEEDS)
def test_derivatives_are_those_of_the_maths(value):
    rng = np.random.default_rng(value)
    model = random_tree(rng)
    kinematics = Kinematics(Tree.from_mujoco(model))
    qpos = torch.tensor(rng.normal(0, 1, (2, model.nq)), requires_grad=True)
    qvel = torch.tensor(rng.normal(0, 1, (2, model.nv)), requires_grad=True)

    def everything(qpos, qvel):
        return tuple(measure(kinematics, qpos, qvel).values())

    assert torch.autograd.gradcheck(everything, (qpos, qvel), fast_mode=True)


def test_velocities_are_linear_by_mujocos_jacobians(humanoid):
    model, kinematics = humanoid
    oracle = ask(model, np.random.default_rng(0), rows=1)
    data = mujoco.MjData(model)
    data.qpos[:] = oracle.qpos[0]
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    linear, angular = torch.autograd.functional.jacobian(
        lambda qvel: (
            (poses := kinematics(oracle.qpos, qvel[None])).linear[0],
            poses.angular[0],
        ),
        oracle.qvel[0],
    )
    for body in range(model.nbody):
        jacp, jacr = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        mujoco.mj_jacBody(model, data, jacp, jacr, body)
        np.testing.assert_allclose(linear[body].numpy(), jacp, atol=1e-12)
        np.testing.assert_allclose(angular[body].numpy(), jacr, atol=1e-12)
