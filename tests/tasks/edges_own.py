"""Edges of the tasks of bodies beyond the suite."""

from __future__ import annotations

import mujoco
import numpy as np

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.own import OWN_BODIES
from mosim_gym.types import State
from tests.tasks.edges import beside, velocities


def panda(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """The target around the fingertips at the radius of full reward, and at 43 cm."""
    low, high = robot.action_low, robot.action_high
    qpos = rng.uniform(low, high, (n, robot.nq))
    model = mujoco.MjModel.from_xml_path(str(OWN_BODIES["panda"].mjcf))
    data, pinch = mujoco.MjData(model), np.zeros((n, 3))
    for row in range(n):
        data.qpos[:] = qpos[row]
        mujoco.mj_kinematics(model, data)
        pinch[row] = data.site("pinch").xpos
    away = rng.normal(size=(n, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    context = pinch + np.abs(beside([0.03, 0.03, 0.43, 0.0], n, rng))[:, None] * away
    fields = {"qpos": qpos, "qvel": velocities(qpos.shape, rng), "context": context}
    return State.from_numpy(fields)


def go2(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Trunk at the height and lean of full reward, heading anywhere, at the speeds that count."""
    qpos, qvel = np.zeros((n, robot.nq)), np.zeros((n, robot.nv))
    qpos[:, 2] = beside([0.25, 0.25, 0.125, 0.3], n, rng)
    lean = np.arccos(np.minimum(beside([0.95, 1.0], n, rng), 1.0)) / 2
    bearing, heading = rng.uniform(0, 2 * np.pi, (2, n))
    # Leaning about a level axis, then turned by the heading.
    tilt = np.sin(lean) * np.stack([np.cos(bearing + heading / 2), np.sin(bearing + heading / 2)])
    qpos[:, 3], qpos[:, 6] = np.cos(lean) * np.cos(heading / 2), np.cos(lean) * np.sin(heading / 2)
    qpos[:, 4:6] = tilt.T
    qpos[:, 7:] = [0, 0.9, -1.8] * 4 + 0.1 * rng.normal(size=(n, 12))
    speed = beside([0.0, 0.6, 0.9, 1.5], n, rng)
    aside = beside([0.0, 0.5], n, rng)
    ahead, left = (np.stack([f(heading) for f in pair]) for pair in ((np.cos, np.sin),
                   (lambda h: -np.sin(h), np.cos)))  # fmt: skip
    qvel[:, :2] = (speed * ahead + rng.choice([0.0, 1.0], n) * aside * left).T
    qvel[:, 5] = rng.choice([0.0, 1.0], n) * beside([0.0, 1.0], n, rng)
    qvel[:, 6:] = velocities((n, 12), rng)
    return State.from_numpy({"qpos": qpos, "qvel": qvel})
