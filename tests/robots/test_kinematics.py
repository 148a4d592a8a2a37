"""Kinematics against MuJoCo's own, its oracle, for every body of the suite."""

from typing import NamedTuple

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.mujoco import load_dm_env
from tests.robots.bodies import suite_tasks

ROWS = 4


class Oracle(NamedTuple):
    """MuJoCo's answers for a batch of states."""

    qpos: torch.Tensor
    qvel: torch.Tensor
    position: np.ndarray
    rotation: np.ndarray
    linear: np.ndarray
    angular: np.ndarray
    sites: np.ndarray
    site_linear: np.ndarray
    geoms: np.ndarray
    centres: np.ndarray
    subtree_centre: np.ndarray
    subtree_velocity: np.ndarray


def velocities(model, data, kind, n):
    """Linear and angular velocity ``(n, 3)`` of all objects of a kind, in world orientation."""
    result = np.zeros((n, 6))
    for index in range(n):
        mujoco.mj_objectVelocity(model, data, kind, index, result[index], 0)
    return result[:, 3:], result[:, :3]


def ask(model, rng, rows=ROWS) -> Oracle:
    """Random states, quaternions not of length one, and what MuJoCo makes of them."""
    data, answers = mujoco.MjData(model), []
    for _ in range(rows):
        qpos, qvel = rng.normal(0, 1.5, model.nq), rng.normal(0, 3, model.nv)
        data.qpos[:], data.qvel[:] = qpos, qvel
        for stage in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_comVel):
            stage(model, data)
        mujoco.mj_subtreeVel(model, data)
        linear, angular = velocities(model, data, mujoco.mjtObj.mjOBJ_XBODY, model.nbody)
        site_linear, _ = velocities(model, data, mujoco.mjtObj.mjOBJ_SITE, model.nsite)
        found = (data.xpos, data.xmat.reshape(-1, 3, 3), linear, angular, data.site_xpos,
                 site_linear, data.geom_xpos, data.xipos, data.subtree_com,
                 data.subtree_linvel)  # fmt: skip
        answers.append((qpos, qvel, *(np.array(value) for value in found)))
    qpos, qvel, *stacked = (np.stack(values) for values in zip(*answers, strict=True))
    return Oracle(torch.tensor(qpos), torch.tensor(qvel), *stacked)


def assert_equal(kinematics, oracle, atol):
    """Everything kinematics can tell is what MuJoCo says."""
    tree = kinematics.tree
    poses = kinematics(oracle.qpos, oracle.qvel)
    sites, geoms = kinematics.sites(*tree.sites.names), kinematics.geoms(*tree.geoms.names)
    massive = [
        name for name in tree.bodies.names if tree.bodies.mass[list(tree.subtree(name))].any()
    ]
    rows = [tree.body(name) for name in massive]
    pairs = {
        "position": (poses.position, oracle.position),
        "rotation": (poses.rotation, oracle.rotation),
        "linear": (poses.linear, oracle.linear),
        "angular": (poses.angular, oracle.angular),
        "sites": (poses.points(sites), oracle.sites),
        "site velocities": (poses.point_velocities(sites), oracle.site_linear),
        "geoms": (poses.points(geoms), oracle.geoms),
        "centres": (poses.points(kinematics.centres(*tree.bodies.names)), oracle.centres),
        "subtree centres": (
            torch.stack([kinematics.subtree_centre(poses, name) for name in massive], 1),
            oracle.subtree_centre[:, rows],
        ),
        "subtree velocities": (
            torch.stack([kinematics.subtree_velocity(poses, name) for name in massive], 1),
            oracle.subtree_velocity[:, rows],
        ),
    }
    for what, (ours, theirs) in pairs.items():
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=atol, err_msg=what)


@pytest.mark.parametrize("domain,task", suite_tasks())
def test_every_suite_body(domain, task):
    model = load_dm_env(domain, task).physics.model.ptr
    oracle = ask(model, np.random.default_rng(0))
    assert_equal(Kinematics(Tree.from_mujoco(model)), oracle, atol=1e-10)
