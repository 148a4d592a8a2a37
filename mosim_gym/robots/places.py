"""Where the joints of a tree put its bodies: a walk from the world outwards.

A body's origin is a sum of fixed offsets ("arms"), each carried by a frame, and of the root's
travel, which is linear in qpos. Follows MuJoCo's `mj_kinematics` (documentation: Computation,
Forward kinematics): the joints of a body act in their order, each about its own anchor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosim_gym.robots.frames import Frames, rotation_of
from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Tree
from mosim_gym.types import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """An offset ``(3,)`` carried by a frame; with `slide` (q, v), times that joint's position."""

    frame: int
    offset: Float64Array
    slide: tuple[int, int] | None = None


@dataclass(slots=True, eq=False)
class Place:
    """Where a body is.

    Attributes:
        frame: its orientation.
        start: its origin where nothing has moved, but for the arms, ``(3,)``.
        travel: what qpos adds to that in fixed directions, ``(3, nq)``.
        travel_rate: what qvel adds to its velocity in fixed directions, ``(3, nv)``.
        arms: whose sum is the rest of the origin.
    """

    frame: int
    start: Float64Array
    travel: Float64Array
    travel_rate: Float64Array
    arms: tuple[Arm, ...]


def walk(tree: Tree, frames: Frames) -> list[Place]:
    """The place of every body, parents first; adds to `frames`, which hold the world alone."""
    places = [Place(0, np.zeros(3), np.zeros((3, tree.nq)), np.zeros((3, tree.nv)), ())]
    for body in range(1, len(tree.bodies.names)):
        places.append(_Step(tree, frames, places[tree.bodies.parent[body]]).to(body))
    return places


class _Step:
    """The step from a body to one attached to it."""

    def __init__(self, tree: Tree, frames: Frames, above: Place) -> None:
        self.tree, self.frames = tree, frames
        self.place = Place(
            above.frame, above.start, above.travel.copy(), above.travel_rate.copy(), above.arms
        )
        # By frame, so that the anchors of hinges at one point cancel but for the first and last.
        self.offsets: dict[int, Float64Array] = {}
        self.slides: list[Arm] = []

    def to(self, body: int) -> Place:
        bodies, place = self.tree.bodies, self.place
        self._shift(bodies.position[body])
        place.frame = self.frames.fixed(place.frame, rotation_of(bodies.quaternion[body]))
        for joint in np.flatnonzero(self.tree.joints.body == body):
            self._move(int(joint))
        arms = [Arm(frame, offset) for frame, offset in self.offsets.items() if offset.any()]
        for arm in (*arms, *self.slides):
            self._attach(arm)
        return place

    def _move(self, joint: int) -> None:
        joints, place = self.tree.joints, self.place
        q, v = int(joints.qpos_index[joint]), int(joints.dof_index[joint])
        reference, axis = float(self.tree.qpos0[q]), joints.axis[joint]
        match joints.types[joint]:
            case JointType.FREE:
                self._free(q, v)
            case JointType.SLIDE:
                self.slides.append(Arm(place.frame, axis, (q, v)))
                self._shift(-reference * axis)
            case JointType.HINGE:
                self._turn(joint, self.frames.hinge(place.frame, axis, q, v, reference))
            case JointType.BALL:
                self._turn(joint, self.frames.quaternion(place.frame, q, v))

    def _free(self, q: int, v: int) -> None:
        """A free body is where its joint says, whatever was ahead of it."""
        self.offsets.clear()
        self.place.start, self.place.arms = np.zeros(3), ()
        self.place.travel = np.eye(3, self.tree.nq, q)
        self.place.travel_rate = np.eye(3, self.tree.nv, v)
        self.place.frame = self.frames.quaternion(0, q + 3, v + 3)

    def _turn(self, joint: int, turned: int) -> None:
        """The anchor stays where it is: out to it ahead of the turn, back from it behind."""
        anchor = self.tree.joints.position[joint]
        self._shift(anchor)
        self.place.frame = turned
        self._shift(-anchor)

    def _shift(self, by: Float64Array) -> None:
        frame = self.place.frame
        self.offsets[frame] = self.offsets.get(frame, np.zeros(3)) + by

    def _attach(self, arm: Arm) -> None:
        """Add an arm to the body's origin; one that no joint turns is folded into constants."""
        frame, place = self.frames[arm.frame], self.place
        if not frame.is_fixed:
            place.arms = (*place.arms, Arm(*self.frames.stem(arm.frame, arm.offset), arm.slide))
            return
        offset = frame.before @ frame.after @ arm.offset
        if arm.slide is None:
            place.start = place.start + offset
        else:
            q, v = arm.slide
            place.travel[:, q] += offset
            place.travel_rate[:, v] += offset
