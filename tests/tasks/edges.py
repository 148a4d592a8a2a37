"""States close to where the reward of a task changes, and right where it is highest.

Most are a ten-millionth beside an edge: far more than rounding, far less than a wrong constant.
"""

from __future__ import annotations

import numpy as np

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Float64Array, State

CLOSE = 1e-7


def beside(edges: list[float], n: int, rng: np.random.Generator) -> Float64Array:
    """Numbers just below or above some of the given ones, ``(n,)``."""
    return rng.choice(edges, n) + rng.choice([-CLOSE, CLOSE], n)


def velocities(shape: tuple[int, ...], rng: np.random.Generator) -> Float64Array:
    """From at rest to fast."""
    return rng.choice([0.0, 1e-3, 0.1, 1.0, 5.0], (shape[0], 1)) * rng.normal(size=shape)


def acrobot(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Tip at the rim of the target (radius 0.2), in its middle, and a metre away."""
    distance = np.abs(beside([0.2, 0.2, 0.2, 1.2, 0.0], n, rng))
    bearing = rng.uniform(-1.4, 1.4, n)
    x, z = distance * np.sin(bearing), 2 - distance * np.cos(bearing)
    # Two links of length 1 reach it with the elbow on either side.
    bend = rng.choice([-1, 1], n) * np.arccos(np.minimum(np.hypot(x, z) / 2, 1))
    shoulder = np.arctan2(x, z) + bend + 2 * np.pi * rng.integers(-2, 3, n)
    qpos = np.stack([shoulder, -2 * bend], 1)
    return State.from_numpy({"qpos": qpos, "qvel": velocities(qpos.shape, rng)})


def cartpole(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Cart at the end of the rewarded range, first pole as far from upright as is rewarded."""
    lean = float(np.arccos(0.995))
    qpos = 0.01 * rng.normal(size=(n, robot.nq))
    qpos[:, 0] = beside([0.25, -0.25, 0.0, 1.8], n, rng)
    qpos[:, 1] = beside([lean, -lean, 0.0, lean + 2 * np.pi], n, rng)
    return State.from_numpy({"qpos": qpos, "qvel": velocities(qpos.shape, rng)})


def pendulum(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Eight degrees from upright, and upright after several turns."""
    lean = float(np.deg2rad(8))
    turns = 2 * np.pi * rng.integers(-3, 4, n)
    qpos = (beside([lean, -lean, 0.0], n, rng) + turns)[:, None]
    qpos[: n // 10] = 0.0
    return State.from_numpy({"qpos": qpos, "qvel": velocities(qpos.shape, rng)})


def point_mass(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """At the rim of the target (radius 0.015) or of twice its size, in its middle, at a wall."""
    distance = beside([0.015, 0.03, 0.0, 0.29], n, rng)
    angle = rng.uniform(0, 2 * np.pi, n)
    qpos = (distance * np.stack([np.cos(angle), np.sin(angle)])).T
    return State.from_numpy({"qpos": qpos, "qvel": velocities(qpos.shape, rng)})


def ball_in_cup(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """Ball at the edge of the square it may be in, along one axis or both; cup anywhere."""
    cup = rng.normal(0, 0.2, (n, 2))
    places = [0.025, -0.025, 0.0, 0.01]
    offset = np.stack([beside(places, n, rng), beside(places, n, rng)], 1)
    # The middle of the cup is 0.35 m above where the ball is at rest.
    qpos = np.concatenate([cup, cup + offset + [0, 0.35]], 1)
    return State.from_numpy({"qpos": qpos, "qvel": velocities(qpos.shape, rng)})


def finger_spin(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """The body at the rewarded speed; the finger from clear of the body to deep in it."""
    fields = _finger_places(n, rng)
    fields["qvel"][:, 2] = beside([-15.0, 0.0, 15.0], n, rng)
    return State.from_numpy(fields)


def finger_turn(robot: RobotSpec, n: int, rng: np.random.Generator) -> State:
    """The tip at the rim of targets of either radius, or in the middle, targets off the circle."""
    fields = _finger_places(n, rng)
    hinge = fields["qpos"][:, 2]
    tip = np.stack([0.2 - 0.13 * np.sin(hinge), 0.4 + 0.13 * np.cos(hinge)], 1)
    distance = np.abs(beside([0.03, 0.07, 0.0], n, rng))
    angle = rng.uniform(0, 2 * np.pi, n)
    aside = (distance * np.stack([np.cos(angle), np.sin(angle)])).T
    return State.from_numpy({**fields, "context": tip + aside})


def _finger_places(n: int, rng: np.random.Generator) -> dict[str, Float64Array]:
    # Bent towards the body, the fingertip touches it in about every second state.
    qpos = rng.uniform([-0.2, -0.5, -np.pi], [1.6, 1.5, np.pi], (n, 3))
    return {"qpos": qpos, "qvel": velocities((n, 3), rng)}
