"""Kinematics against MuJoCo's own, its oracle, for every body of the suite and random ones."""

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import assume, given
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
    assume(model.nq)
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


def test_float32_is_as_good_as_float32_can_be(humanoid):
    model, kinematics = humanoid
    oracle = ask(model, np.random.default_rng(0), rows=50)
    for name, ours in measure(kinematics, oracle.qpos.float(), oracle.qvel.float()).items():
        assert ours.dtype == torch.float32
        np.testing.assert_allclose(ours, oracle.answers[name], rtol=0, atol=2e-5, err_msg=name)


def test_velocities_stay_sharp_far_from_the_origin(humanoid):
    """A runner gets far; its velocities must not be differences of large numbers."""
    _, kinematics = humanoid
    rng = np.random.default_rng(0)
    qpos, qvel = torch.tensor(rng.normal(size=(20, 28))), torch.tensor(rng.normal(size=(20, 27)))
    far = qpos.clone()
    far[:, 0] += 1e4
    here = kinematics(qpos, qvel)
    there = kinematics(far.float(), qvel.float())
    torch.testing.assert_close(there.linear.double(), here.linear, rtol=0, atol=1e-5)


@given(SEEDS)
def test_what_is_pruned_changes_nothing_else(value):
    rng = np.random.default_rng(value)
    model = random_tree(rng)
    tree = Tree.from_mujoco(model)
    some = [name for name in tree.bodies.names if rng.random() < 0.4]
    rows = [tree.body(name) for name in some]
    oracle = ask(model, rng)
    every, few = Kinematics(tree), Kinematics(tree, some)
    assert len(few.plan.arms) <= len(every.plan.arms)
    ours, theirs = (kinematics(oracle.qpos, oracle.qvel) for kinematics in (few, every))
    for name in ("position", "rotation", "linear", "angular"):
        mine, other = getattr(ours, name)[:, rows], getattr(theirs, name)[:, rows]
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


def test_pruning_leaves_out_what_only_others_need(humanoid):
    _, kinematics = humanoid
    head = Kinematics(kinematics.tree, ["head"]).plan
    assert len(head.levels) == 1 and len(head.hinges) == 1, "the free joint alone, and the world"


def test_no_velocities_without_qvel(humanoid):
    _, kinematics = humanoid
    poses = kinematics(torch.randn(3, 28))
    assert poses.linear is None and poses.angular is None
    with pytest.raises(MosimError, match="call the kinematics with qvel"):
        poses.point_velocities(kinematics.centres("head"))


def test_a_quaternion_of_zeros_is_no_turn():
    """As MuJoCo has it; and its gradient is finite."""
    model = compiled(BODY)
    kinematics = Kinematics(Tree.from_mujoco(model))
    qpos = torch.zeros(1, model.nq, requires_grad=True)
    poses = kinematics(qpos, torch.ones(1, model.nv))
    assert torch.equal(poses.rotation[0, kinematics.tree.body("trunk")], torch.eye(3))
    (poses.position.sum() + poses.linear.sum()).backward()
    assert qpos.grad.isfinite().all()


@pytest.mark.parametrize("rows", [0, 1])
def test_small_batches(humanoid, rows):
    _, kinematics = humanoid
    qpos, qvel = torch.randn(rows, 28), torch.randn(rows, 27)
    shapes = {name: tuple(value.shape) for name, value in measure(kinematics, qpos, qvel).items()}
    assert shapes["position"] == shapes["linear"] == (rows, 17, 3)
    assert shapes["rotation"] == (rows, 17, 3, 3)


def test_constants_made_in_inference_mode_serve_training():
    model = compiled(BODY)
    with torch.inference_mode():
        kinematics = Kinematics(Tree.from_mujoco(model))
        tip = kinematics.sites("tip")
        kinematics(torch.zeros(1, model.nq, dtype=torch.bfloat16)).points(tip)
    for dtype in (torch.float32, torch.bfloat16):
        qpos = torch.ones(1, model.nq, dtype=dtype, requires_grad=True)
        kinematics(qpos).points(tip).sum().backward()
        assert qpos.grad is not None


def test_every_constant_goes_to_the_device_of_the_state():
    model = compiled(BODY)
    kinematics = Kinematics(Tree.from_mujoco(model))
    qpos = torch.empty(3, model.nq, device="meta")
    measured = measure(kinematics, qpos, torch.empty(3, model.nv, device="meta"))
    assert {value.device.type for value in measured.values()} == {"meta"}


def test_it_is_traced_as_one_graph(humanoid):
    """torch.compile finds nothing it cannot see through, also if nothing ran before."""
    kinematics = Kinematics(humanoid[1].tree)
    hands = kinematics.centres("left_hand", "right_hand")

    def run(qpos, qvel):
        poses = kinematics(qpos, qvel)
        return poses.point_velocities(hands), kinematics.subtree_velocity(poses, "torso")

    torch.compiler.reset()
    compiled_run = torch.compile(run, fullgraph=True, backend="eager")
    state = torch.randn(5, 28), torch.randn(5, 27)
    with torch.inference_mode():
        for ours, plain in zip(compiled_run(*state), run(*state), strict=True):
            torch.testing.assert_close(ours, plain)


def test_wrong_names_are_answered(humanoid):
    _, kinematics = humanoid
    tree = kinematics.tree
    with pytest.raises(UnknownNameError, match="Unknown body 'torzo'. Did you mean 'torso'"):
        Kinematics(tree, ["torzo"])
    with pytest.raises(UnknownNameError, match="Unknown geom 'haed'"):
        kinematics.geoms("haed")
    arm = Kinematics(tree, ["right_hand"])
    with pytest.raises(MosimError, match="Points on 'torso' are asked"):
        arm.centres("torso", "right_hand")
    poses = arm(torch.randn(2, 28))
    with pytest.raises(MosimError, match="centre of mass of 'torso'"):
        arm.subtree_centre(poses, "torso")
    with pytest.raises(UnknownNameError, match="Unknown body 'hand'"):
        kinematics.subtree_centre(poses, "hand")
