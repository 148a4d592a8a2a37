"""Starts all over a body's state space: what is hard to reach is then where some episodes begin."""

from __future__ import annotations

import numpy as np

from mosim_gym.envs.engine import Engine
from mosim_gym.envs.resets import Draw
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Joint, JointType, RobotSpec
from mosim_gym.types import Float64Array


class UniformResets:
    """Any position within the joints' limits, at any speed up to a given one.

    An agent that explores from the task's own starts may never meet a sparse reward. In a model (or
    in a simulator) episodes may start anywhere, so that each part of the state space is seen from
    the first step on, and what it is worth spreads backwards from there.

    Angles of hinges without limits are drawn from a whole turn, ``[-pi, pi]`` rad. Nothing keeps
    bodies from overlapping, so it is meant for bodies that touch nothing. The context (a target) is
    left to the task.

    Args:
        speed: largest size of each entry of qvel (rad/s, m/s). Each row draws a largest size of its
            own below it first, so that bodies which hardly move are not rare.
        gathered: share of the rows whose positions lie in a smaller box around the middle of the
            limits, smaller by the same factor as the row's speeds. Many of these are all but in the
            middle and at rest: for tasks whose goal is there, such as to balance upright, and is
            too small to be met by chance.
    """

    def __init__(self, speed: float = 0.0, gathered: float = 0.0) -> None:
        """See the class."""
        if not 0 <= gathered <= 1:
            raise MosimError(f"gathered is {gathered}; expected a share from 0 to 1.")
        if not (np.isfinite(speed) and speed >= 0):
            raise MosimError(f"speed is {speed}; expected a finite number, 0 or more.")
        self.speed = speed
        self.gathered = gathered

    def draw(self, n: int, rng: np.random.Generator, robot: RobotSpec) -> list[Draw]:
        """States for `n` rows: qpos ``(n, nq)`` and qvel ``(n, nv)``.

        Raises:
            MosimError: naming a joint that has no bounds to draw from.
        """
        low, high = position_bounds(robot)
        size = rng.uniform(0, 1, (n, 1))
        room = np.where(rng.uniform(size=(n, 1)) < self.gathered, size, 1.0)
        offset = rng.uniform(-0.5, 0.5, (n, robot.nq)) * (high - low)
        fields = {
            "qpos": np.clip((low + high) / 2 + room * offset, low, high),
            "qvel": size * self.speed * rng.uniform(-1, 1, (n, robot.nv)),
        }
        return [Draw(np.arange(n), fields)]

    def check(self, engine: Engine) -> None:
        """Raise if the body has a joint without bounds to draw from."""
        position_bounds(engine.robot)


def position_bounds(robot: RobotSpec) -> tuple[Float64Array, Float64Array]:
    """The lowest and the highest qpos, ``(nq,)`` each, in metres and radians.

    Raises:
        MosimError: naming a slide without limits, or a free or ball joint.
    """
    bounds = np.array([_bounds(joint, robot) for joint in robot.joints], dtype=np.float64)
    low, high = bounds.reshape(-1, 2).T
    return low, high


def _bounds(joint: Joint, robot: RobotSpec) -> tuple[float, float]:
    if joint.type is JointType.HINGE:
        return joint.range or (-np.pi, np.pi)
    if joint.type is JointType.SLIDE and joint.range is not None:
        return joint.range
    what = "has no limits" if joint.type is JointType.SLIDE else f"is a {joint.type} joint"
    raise MosimError(
        f"UniformResets draws each position within its limits, but {joint.name} of {robot.name} "
        f"{what}. It is for bodies of hinges and limited slides; use ReplayResets for this one."
    )
