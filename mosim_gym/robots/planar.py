"""Kinematics of bodies that move in a plane, in closed form: a fourth of the general one's cost.

Where every hinge turns about the plane's normal, the heading of a body is a sum of joint angles,
and a point of it is a sum of links: linear in the positions of the slides at the root and in the
cosines and sines of the headings. So is its velocity in their derivatives, by the same matrix:

    point = c + W (q, cos h, sin h),   velocity = W (q', -h' sin h, h' cos h),   h = h0 + A q

and so are centres of mass, being means of points. A, c and W are compiled once from the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Tree
from mosim_gym.types import Float64Array


class Plane(Enum):
    """A plane by its two axes in the world; headings are counted from the first to the second."""

    XY = (0, 1)
    XZ = (0, 2)


@dataclass(frozen=True, slots=True, eq=False)
class PlanarPoints:
    """Points as functions of a pose; made by `PlanarKinematics`.

    Attributes:
        maps: c ``(2 k,)`` and W ``(nq + 2 (nbody - 1), 2 k)`` of k points.
    """

    maps: Constants

    @classmethod
    def of(cls, rows: Float64Array) -> PlanarPoints:
        """From c and W, one above the other."""
        return cls(Constants(rows[0], rows[1:]))


@dataclass(frozen=True, slots=True)
class PlanarPoses:
    """Where the bodies are; the world is left out.

    Attributes:
        qpos: ``(batch, nq)``.
        qvel: ``(batch, nv)``.
        cosine: of the headings, ``(batch, nbody - 1)``.
        sine: of the headings, ``(batch, nbody - 1)``.
        spin: derivative of the headings in rad/s, ``(batch, nbody - 1)``.
    """

    qpos: Tensor
    qvel: Tensor
    cosine: Tensor
    sine: Tensor
    spin: Tensor

    def points(self, points: PlanarPoints) -> Tensor:
        """Where k points are in the plane, ``(batch, k, 2)`` in metres."""
        features = torch.cat([self.qpos, self.cosine, self.sine], 1)
        constant, linear = points.maps.like(features)
        flat = torch.addmm(constant, features, linear)
        return flat.unflatten(1, (-1, 2))

    def point_velocities(self, points: PlanarPoints) -> Tensor:
        """How k points move in the plane, ``(batch, k, 2)`` in m/s."""
        rates = [self.qvel, -self.sine * self.spin, self.cosine * self.spin]
        _, linear = points.maps.like(self.qvel)
        flat = torch.mm(torch.cat(rates, 1), linear)
        return flat.unflatten(1, (-1, 2))


class PlanarKinematics:
    """Poses and points of a body that moves in a plane.

    Args:
        tree: the body. Its hinges turn about the plane's normal, one a body at most; slides come
            before all hinges; nothing is tilted out of the plane. (Cheetah, walker, hopper,
            swimmer, acrobot, cart-pole.)
        plane: which plane.

    Raises:
        MosimError: naming what does not move in the plane.
    """

    def __init__(self, tree: Tree, plane: Plane) -> None:
        """See the class."""
        self.tree = tree
        self._compiled = _Compiler(tree, plane)
        self._headings = Constants(self._compiled.rest[1:], self._compiled.turning[:, 1:])

    def __call__(self, qpos: Tensor, qvel: Tensor) -> PlanarPoses:
        """The poses of a batch.

        Args:
            qpos: ``(batch, nq)``.
            qvel: ``(batch, nv)``; nv = nq, as a plane has neither ball nor free joints.
        """
        rest, turning = self._headings.like(qpos)
        heading = torch.addmm(rest, qpos, turning)
        return PlanarPoses(qpos, qvel, heading.cos(), heading.sin(), torch.mm(qvel, turning))

    def bodies(self, *names: str) -> PlanarPoints:
        """The origins of bodies."""
        return self.points((self.tree.body(name), np.zeros(3)) for name in names)

    def centres(self, *names: str) -> PlanarPoints:
        """The centres of mass of single bodies."""
        indices = [self.tree.body(name) for name in names]
        return self.points((body, self.tree.bodies.centre[body]) for body in indices)

    def geoms(self, *names: str) -> PlanarPoints:
        """The centres of geoms."""
        geoms, indices = self.tree.geoms, [self.tree.geom(name) for name in names]
        return self.points((int(geoms.body[i]), geoms.position[i]) for i in indices)

    def sites(self, *names: str) -> PlanarPoints:
        """Sites."""
        sites, indices = self.tree.sites, [self.tree.site(name) for name in names]
        return self.points((int(sites.body[i]), sites.position[i]) for i in indices)

    def subtree_centre(self, name: str) -> PlanarPoints:
        """The centre of mass of a body and all that hangs from it: one point."""
        bodies = self.tree.bodies
        inside = list(self.tree.subtree(name))
        maps = [self._compiled.point(body, bodies.centre[body]) for body in inside]
        mean = np.average(maps, axis=0, weights=bodies.mass[inside])
        return PlanarPoints.of(mean)

    def points(self, where: Iterable[tuple[int, Float64Array]]) -> PlanarPoints:
        """Points ``(3,)`` in the frames of bodies, given with the indices of these."""
        maps = np.concatenate([self._compiled.point(body, offset) for body, offset in where], 1)
        return PlanarPoints.of(maps)


class _Compiler:
    """Maps from (1, qpos, cosines, sines) to points, ``(1 + nq + 2 (nbody - 1), 2)`` each."""

    def __init__(self, tree: Tree, plane: Plane) -> None:
        self._tree = tree
        self._axes = list(plane.value)
        self._normal = np.cross(*np.eye(3)[self._axes])
        nbody = len(tree.bodies.names)
        self.turning = np.zeros((tree.nq, nbody))
        self.rest = np.zeros(nbody)
        self._origin = np.zeros((nbody, 1 + tree.nq + 2 * (nbody - 1), 2))
        for body in range(1, nbody):
            self._attach(body, int(tree.bodies.parent[body]))
            self._join(body, int(tree.bodies.parent[body]))

    def point(self, body: int, offset: Float64Array) -> Float64Array:
        """The point at `offset` ``(3,)`` in the frame of a body."""
        return self._origin[body] + self._arm(body, offset)

    def _arm(self, body: int, offset: Float64Array) -> Float64Array:
        """A vector fixed to a body, as it lies in the world."""
        arm, (u, v) = np.zeros_like(self._origin[0]), offset[self._axes]
        if body == 0:
            arm[0] = u, v
            return arm
        cosine = self._tree.nq + body
        sine = cosine + len(self._origin) - 1
        arm[cosine], arm[sine] = (u, v), (-v, u)
        return arm

    def _attach(self, body: int, parent: int) -> None:
        bodies = self._tree.bodies
        self._origin[body] = self.point(parent, bodies.position[body])
        turn = bodies.quaternion[body]
        along = float(turn[1:] @ self._normal)
        if not np.allclose(turn[1:], along * self._normal):
            raise _not_planar(f"body {bodies.names[body]!r} is tilted out of it")
        self.turning[:, body] = self.turning[:, parent]
        self.rest[body] = self.rest[parent] + 2 * np.arctan2(along, turn[0])

    def _join(self, body: int, parent: int) -> None:
        joints, turned = self._tree.joints, bool(self.turning[:, body].any())
        hinged = False
        for joint in np.flatnonzero(joints.body == body).tolist():
            kind, name = joints.types[joint], joints.names[joint]
            out = float(joints.axis[joint] @ self._normal)  # how far its axis points out of it
            if hinged:
                raise _not_planar(f"joint {name!r} comes after a hinge of the same body")
            if kind is JointType.HINGE and np.isclose(abs(out), 1):
                self._hinge(body, parent, joint, out)
                hinged = True
            elif kind is JointType.SLIDE and np.isclose(out, 0) and not turned:
                self._slide(body, joint)
            else:
                raise _not_planar(f"joint {name!r} leaves it, or is a slide that a hinge turns")

    def _slide(self, body: int, joint: int) -> None:
        q = self._tree.joints.qpos_index[joint]
        cosine, sine = np.cos(self.rest[body]), np.sin(self.rest[body])
        u, v = self._tree.joints.axis[joint][self._axes]
        along = np.array([cosine * u - sine * v, sine * u + cosine * v])
        self._origin[body][1 + q] += along
        self._origin[body][0] -= along * self._tree.qpos0[q]

    def _hinge(self, body: int, parent: int, joint: int, sense: float) -> None:
        joints, q = self._tree.joints, self._tree.joints.qpos_index[joint]
        # The anchor stays where the body, unturned, has it; the frame turns about it.
        unturned = self._unturned(body, parent, joints.position[joint])
        self._origin[body] += unturned - self._arm(body, joints.position[joint])
        self.turning[q, body] += sense
        self.rest[body] -= sense * self._tree.qpos0[q]

    def _unturned(self, body: int, parent: int, offset: Float64Array) -> Float64Array:
        """A vector of a body before its hinge turns it: one of the parent, turned as fixed."""
        angle = self.rest[body] - self.rest[parent]
        u, v = offset[self._axes]
        turned = np.zeros(3)
        cosine, sine = np.cos(angle), np.sin(angle)
        turned[self._axes] = cosine * u - sine * v, sine * u + cosine * v
        return self._arm(parent, turned)


def _not_planar(what: str) -> MosimError:
    return MosimError(f"This body does not move in a plane: {what}. Use Kinematics for it.")
