"""Edges of the tasks that move a body along: heights, speeds and targets right at their bounds."""

from __future__ import annotations

import mujoco
import numpy as np

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.mujoco import load_dm_env
from mosim_gym.types import Float64Array, State
from tests.tasks.edges import beside, velocities


def cheetah(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Sliding stiffly at the speeds from and to which there is more reward."""
    qpos, qvel = _poses(robot, n, rng), np.zeros((n, robot.nv))
    qvel[:, 0] = beside([0.0, 10.0], n, rng)
    return State.from_numpy({"qpos": qpos, "qvel": qvel})


def walker(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Torso at the height of full reward, upright or not, sliding at either speed or half."""
    qpos, qvel = _poses(robot, n, rng), np.zeros((n, robot.nv))
    qpos[:, 0] = beside([-0.1, -0.1, -0.7], n, rng)  # the root is 1.3 m up
    qpos[:, 2] = rng.choice([0.0, 1e-3, 2.0], n) * rng.normal(size=n)
    qvel[:, 1] = beside([0.0, 0.5, 1.0, 4.0, 8.0], n, rng)
    return State.from_numpy({"qpos": qpos, "qvel": qvel})


def hopper(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Leaning until the torso is as high over the foot as it must be, sliding at the speed."""
    qpos, qvel = _poses(robot, n, rng), np.zeros((n, robot.nv))
    qpos[:, 2:] *= rng.choice([0.0, 0.2], (n, 1))
    physics = load_dm_env("hopper", "stand").physics
    for row in range(n):
        qpos[row, 2] = 0
        physics.data.qpos[:] = qpos[row]
        mujoco.mj_kinematics(physics.model.ptr, physics.data.ptr)
        place = physics.named.data.xipos
        x, _, z = place["torso"] - place["foot"]
        # Turned by the root as one, this length has the height 0.6 at two angles.
        lean = rng.choice([-1, 1]) * np.arccos(beside([0.6], 1, rng)[0] / np.hypot(x, z))
        qpos[row, 2] = np.arctan2(-x, z) + lean
    qvel[:, 0] = beside([0.0, 1.0, 2.0, 5.0], n, rng)
    return State.from_numpy({"qpos": qpos, "qvel": qvel})


def swimmer(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Nose at the rim of the target (radius 0.1), in its middle, and away from it."""
    qpos = _poses(robot, n, rng)
    x, y, heading = qpos[:, :3].T
    # The root turns about (0, -0.05) of the head; the nose is 1 cm ahead of that.
    nose = np.stack([x + 0.01 * np.sin(heading), y - 0.05 - 0.01 * np.cos(heading)], 1)
    distance = np.abs(beside([0.1, 0.1, 0.0, 0.6], n, rng))
    angle = rng.uniform(0, 2 * np.pi, n)
    target = nose + (distance * np.stack([np.cos(angle), np.sin(angle)])).T
    fields = {"qpos": qpos, "qvel": velocities(qpos.shape, rng), "context": target}
    return State.from_numpy(fields)


def humanoid(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Head at the height, torso at the lean, all of it sliding at the speeds of full reward."""
    qpos, qvel = np.zeros((n, robot.nq)), np.zeros((n, robot.nv))
    qpos[:, 7:] = rng.choice([0.0, 0.3], (n, 1)) * rng.normal(size=(n, robot.nq - 7))
    upright = np.minimum(beside([0.9, 1.0], n, rng), 1.0)
    lean, bearing = np.arccos(upright) / 2, rng.uniform(0, 2 * np.pi, n)
    qpos[:, 3] = np.cos(lean)
    qpos[:, 4:6] = (np.sin(lean) * np.stack([np.cos(bearing), np.sin(bearing)])).T
    # The head is 19 cm from the torso, along its axis.
    qpos[:, 2] = beside([1.4, 1.4, 1.6, 1.1], n, rng) - 0.19 * upright
    speed, bearing = beside([0.0, 1.0, 10.0], n, rng), rng.uniform(0, 2 * np.pi, n)
    qvel[:, :2] = (speed * np.stack([np.cos(bearing), np.sin(bearing)])).T
    return State.from_numpy({"qpos": qpos, "qvel": qvel})


def fish_upright(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Upright, on its side or upside down."""
    state = fish_swim(robot, n, rng)
    return State(state.qpos, state.qvel)


def fish_swim(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Upright, on its side or upside down, the mouth at the rim of the target or in its middle."""
    qpos = np.zeros((n, robot.nq))
    qpos[:, :3] = rng.normal(size=(n, 3))
    lean, heading = rng.choice([0, 1e-3, np.pi / 2, np.pi], n) / 2, rng.uniform(0, np.pi, n)
    w, x = np.cos(lean) * np.cos(heading), np.sin(lean) * np.cos(heading)
    y, z = np.sin(lean) * np.sin(heading), np.cos(lean) * np.sin(heading)
    qpos[:, 3:7] = np.stack([w, x, y, z], 1)
    # The mouth is 74.5 mm from the root, along its y axis.
    forward = np.stack([2 * (x * y - w * z), w**2 - x**2 + y**2 - z**2, 2 * (y * z + w * x)], 1)
    aside = rng.normal(size=(n, 3))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    distance = beside([0.045, 0.045, 0.0, 0.135], n, rng)[:, None]
    target = qpos[:, :3] + 0.0745 * forward + distance * aside
    qvel = velocities((n, robot.nv), rng)
    return State.from_numpy({"qpos": qpos, "qvel": qvel, "context": target})


def _poses(robot: RobotSpec, n: int, rng: np.random.Generator) -> Float64Array:
    return rng.choice([0.0, 0.1, 1.0], (n, 1)) * rng.normal(size=(n, robot.nq))
