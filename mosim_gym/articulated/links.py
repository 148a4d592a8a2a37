"""A tree with one joint a body: what several joints of a body move, one after the other.

MuJoCo lets the joints of a body act in order, each in the frame that the ones before have moved.
A body of k joints is therefore a chain of k links, all but the last without mass or shape, and
everything that follows knows links with one joint only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Bodies, IntArray, Tree
from mosim_gym.types import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Dof:
    """A degree of freedom.

    Attributes:
        link: that it moves.
        axis: in the coordinates of `frame`, ``(3,)``.
        frame: the link that carries the axis; the world's for the travel of a free body.
        anchor: of a turn, in the coordinates of the link, ``(3,)``.
        turns: whether it is a turn, not a shift.
    """

    link: int
    axis: Float64Array
    frame: int
    anchor: Float64Array
    turns: bool


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The links of a tree.

    Attributes:
        tree: its bodies are the links; geoms, sites and inertias are not carried over.
        of_body: the link that is the body itself, ``(nbody,)``.
        dofs: in the order of qvel.
        above: whether a link (row) is, or hangs from, a link (column), ``(nlink, nlink)`` bool.
    """

    tree: Tree
    of_body: IntArray
    dofs: tuple[Dof, ...]
    above: np.ndarray[tuple[int, int], np.dtype[np.bool_]]

    @property
    def parent(self) -> IntArray:
        """The link each hangs from, ``(nlink,)``."""
        return self.tree.bodies.parent

    def root(self, link: int) -> int:
        """The link next to the world that a link is, or hangs from; the world's own is 0."""
        while self.parent[link] > 0:
            link = int(self.parent[link])
        return link


def split(tree: Tree) -> Links:
    """The links of a tree."""
    parents, positions, quaternions, of_body = [0], [np.zeros(3)], [_unit()], [0]
    carrier = np.zeros(len(tree.joints.names), dtype=np.int64)
    for body in range(1, len(tree.bodies.names)):
        joints = np.flatnonzero(tree.joints.body == body)
        for k in range(max(1, len(joints))):
            parents.append(len(parents) - 1 if k else of_body[int(tree.bodies.parent[body])])
            positions.append(np.zeros(3) if k else tree.bodies.position[body])
            quaternions.append(_unit() if k else tree.bodies.quaternion[body])
            if len(joints):
                carrier[joints[k]] = len(parents) - 1
        of_body.append(len(parents) - 1)
    n = len(parents)
    bodies = Bodies(
        names=tuple(f"link{i}" for i in range(n)),
        parent=np.array(parents),
        position=np.array(positions),
        quaternion=np.array(quaternions),
        mass=np.zeros(n),
        centre=np.zeros((n, 3)),
        inertia=np.zeros((n, 3)),
        inertia_quaternion=np.tile(_unit(), (n, 1)),
    )
    geoms = replace(tree.geoms, body=np.zeros_like(tree.geoms.body))
    chained = replace(tree, bodies=bodies, joints=replace(tree.joints, body=carrier), geoms=geoms)
    above = np.eye(n, dtype=np.bool_)
    for link in range(1, n):
        above[link] |= above[parents[link]]
    return Links(chained, np.array(of_body), tuple(_dofs(chained)), above)


def _dofs(tree: Tree) -> Iterator[Dof]:
    joints, nothing, axes = tree.joints, np.zeros(3), np.eye(3)
    for j, kind in enumerate(joints.types):
        link, axis, anchor = int(joints.body[j]), joints.axis[j], joints.position[j]
        match kind:
            case JointType.FREE:
                yield from (Dof(link, axes[k], 0, nothing, False) for k in range(3))
                yield from (Dof(link, axes[k], link, nothing, True) for k in range(3))
            case JointType.BALL:
                yield from (Dof(link, axes[k], link, anchor, True) for k in range(3))
            case JointType.SLIDE | JointType.HINGE:
                yield Dof(link, axis, link, anchor, kind is JointType.HINGE)


def _unit() -> Float64Array:
    return np.array([1.0, 0.0, 0.0, 0.0])
