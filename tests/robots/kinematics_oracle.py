"""What MuJoCo says of the kinematics of a model, and what we say, in the same words."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.kinematics import Kinematics


class Oracle(NamedTuple):
    """Random states, and MuJoCo's answers by name, stacked over the states."""

    qpos: Tensor
    qvel: Tensor
    answers: dict[str, np.ndarray]


def ask(model: mujoco.MjModel, rng: np.random.Generator, rows: int = 4) -> Oracle:
    """Draw states, quaternions not of length one, and let MuJoCo answer."""
    data = mujoco.MjData(model)
    qpos = rng.normal(0, 1.5, (rows, model.nq))
    qvel = rng.normal(0, 3, (rows, model.nv))
    answers = [_answer(model, data, *state) for state in zip(qpos, qvel, strict=True)]
    stacked = {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
    return Oracle(torch.tensor(qpos), torch.tensor(qvel), stacked)


def _answer(model, data, qpos, qvel) -> dict[str, np.ndarray]:
    data.qpos[:], data.qvel[:] = qpos, qvel
    for stage in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_comVel, mujoco.mj_subtreeVel):
        stage(model, data)
    linear, angular = _velocities(model, data, mujoco.mjtObj.mjOBJ_XBODY, model.nbody)
    heavy = model.body_subtreemass > 0
    found = {
        "position": data.xpos,
        "rotation": data.xmat.reshape(-1, 3, 3),
        "linear": linear,
        "angular": angular,
        "sites": data.site_xpos,
        "site velocities": _velocities(model, data, mujoco.mjtObj.mjOBJ_SITE, model.nsite)[0],
        "geoms": data.geom_xpos,
        "centres": data.xipos,
        "subtree centres": data.subtree_com[heavy],
        "subtree velocities": data.subtree_linvel[heavy],
    }
    return {name: np.array(value) for name, value in found.items()}


def _velocities(model, data, kind, n) -> tuple[np.ndarray, np.ndarray]:
    """Linear and angular ``(n, 3)`` of all objects of a kind, in world orientation."""
    result = np.zeros((n, 6))
    for index in range(n):
        mujoco.mj_objectVelocity(model, data, kind, index, result[index], 0)
    return result[:, 3:], result[:, :3]


def measure(kinematics: Kinematics, qpos: Tensor, qvel: Tensor) -> dict[str, Tensor]:
    """The same by our kinematics."""
    tree = kinematics.tree
    poses = kinematics(qpos, qvel)
    assert poses.linear is not None and poses.angular is not None
    sites = kinematics.sites(*tree.sites.names)
    names = tree.bodies.names
    heavy = [name for name in names if tree.bodies.mass[list(tree.subtree(name))].any()]
    centres = [kinematics.subtree_centre(poses, name) for name in heavy]
    velocities = [kinematics.subtree_velocity(poses, name) for name in heavy]
    return {
        "position": poses.position,
        "rotation": poses.rotation,
        "linear": poses.linear,
        "angular": poses.angular,
        "sites": poses.points(sites),
        "site velocities": poses.point_velocities(sites),
        "geoms": poses.points(kinematics.geoms(*tree.geoms.names)),
        "centres": poses.points(kinematics.centres(*names)),
        "subtree centres": torch.stack(centres, 1),
        "subtree velocities": torch.stack(velocities, 1),
    }


def assert_equal(kinematics: Kinematics, oracle: Oracle, atol: float) -> None:
    """Everything kinematics can tell is what MuJoCo says."""
    for name, ours in measure(kinematics, oracle.qpos, oracle.qvel).items():
        np.testing.assert_allclose(
            ours.numpy(), oracle.answers[name], rtol=0, atol=atol, err_msg=name
        )
