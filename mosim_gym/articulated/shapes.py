"""How two shapes touch: one family of pairs for each two shapes that are covered.

Each makes as many contacts as MuJoCo can, in fixed places. Source: MuJoCo documentation,
Computation, Collision detection; ``mjContact``; measured against `mj_collision`.

The batch is the last axis: k vectors are ``(k, 3, batch)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.planes import planes_of
from mosim_gym.articulated.segments import dot, nearest_of_two, nearest_to_point, unit
from mosim_gym.robots.frames import rotation_of
from mosim_gym.robots.poses import Constants, Poses, cross
from mosim_gym.robots.tree import Geoms, IntArray, Tree

#: Of each two opposite corners of a box, one.
_CORNERS = ((1.0, 1.0, 1.0), (1.0, 1.0, -1.0), (1.0, -1.0, 1.0), (-1.0, 1.0, 1.0))


class Shape(IntEnum):
    """Shapes of geoms, by MuJoCo's mjtGeom number."""

    PLANE = 0
    SPHERE = 2
    CAPSULE = 3
    ELLIPSOID = 4
    CYLINDER = 5
    BOX = 6


class Touch(NamedTuple):
    """Candidate contacts.

    Attributes:
        distance: between the surfaces, negative where they overlap, ``(k, batch)`` metres.
        position: midway between the surfaces, ``(k, 3, batch)``.
        normal: from the first geom to the second, ``(k, 3, batch)``.
        tangent: what the second axis of the contact frame is to follow, or zero, ``(k, 3, batch)``.
    """

    distance: Tensor
    position: Tensor
    normal: Tensor
    tangent: Tensor


class Family:
    """Pairs of the same two shapes."""

    def __init__(self, tree: Tree, geom1: IntArray, geom2: IntArray) -> None:
        """Keep what is fixed of both sides.

        Args:
            tree: with all geoms.
            geom1: first geom of each pair, ``(k,)``.
            geom2: second geom, ``(k,)``.
        """
        self.one, self.two = _Placed(tree.geoms, geom1), _Placed(tree.geoms, geom2)

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """One contact of every pair, then another of every pair, and so on."""
        raise NotImplementedError


class _Placed:
    """Geoms as they lie in the world."""

    def __init__(self, geoms: Geoms, rows: IntArray) -> None:
        turns = np.array([rotation_of(geoms.quaternion[row]) for row in rows])
        offsets = geoms.position[rows].T[..., None, None]
        # (axis, coordinate, k, 1, 1), in the body frames.
        axes = turns.transpose(2, 1, 0)[..., None, None]
        sizes = geoms.size[rows].T[..., None]
        self._fixed = Constants(geoms.body[rows], offsets, axes, sizes)

    def centre(self, poses: Poses) -> Tensor:
        """Centres ``(k, 3, batch)``."""
        bodies, offsets, _, _ = self._fixed.like(poses.position)
        origin = poses.position.permute(1, 2, 0).index_select(0, bodies)
        return origin + _carried(poses, bodies, offsets)

    def axis(self, poses: Poses, number: int) -> Tensor:
        """One of the three axes of each, of length one, ``(k, 3, batch)``."""
        bodies, _, axes, _ = self._fixed.like(poses.position)
        return _carried(poses, bodies, axes[number])

    def size(self, like: Tensor, number: int) -> Tensor:
        """One of the three sizes, ``(k, 1)``."""
        return self._fixed.like(like)[3][number]

    def arm(self, poses: Poses, axis: int, size: int) -> Tensor:
        """An axis as long as one of the sizes, ``(k, 3, batch)``."""
        return self.axis(poses, axis) * self.size(poses.position, size)[:, None]


class _OnPlane(Family):
    """Shapes on planes: the first geom does not move."""

    def __init__(self, tree: Tree, geom1: IntArray, geom2: IntArray) -> None:
        super().__init__(tree, geom1, geom2)
        normal, level = planes_of(tree, geom1)
        self._plane = Constants(normal[..., None], level[:, None])

    def normal(self, like: Tensor) -> Tensor:
        """Normals of the planes, ``(k, 3, 1)``."""
        return self._plane.like(like)[0]

    def height(self, point: Tensor) -> Tensor:
        """Of points ``(k, 3, batch)`` over the planes, ``(k, batch)``."""
        normal, level = self._plane.like(point)
        return dot(normal, point) - level

    def under(self, point: Tensor, distance: Tensor, tangent: Tensor | None = None) -> Touch:
        """The contact at a point of the surface which is that far over the plane."""
        normal = self.normal(point)
        position = point - normal * (0.5 * distance)[:, None]
        flat = torch.zeros_like(position) if tangent is None else tangent
        return Touch(distance, position, normal.expand_as(position), flat)


class SphereOnPlane(_OnPlane):
    """One contact, at the lowest point."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        yield self.ball(self.two.centre(poses))

    def ball(self, centre: Tensor, tangent: Tensor | None = None) -> Touch:
        """Of balls with the geoms' first size about these points."""
        radius = self.two.size(centre, 0)
        lowest = centre - self.normal(centre) * radius[:, None]
        return self.under(lowest, self.height(centre) - radius, tangent)


class CapsuleOnPlane(SphereOnPlane):
    """One contact at each end; the axis gives the tangent."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        centre, axis = self.two.centre(poses), self.two.axis(poses, 2)
        arm = axis * self.two.size(centre, 1)[:, None]
        yield self.ball(centre + arm, axis)
        yield self.ball(centre - arm, axis)


class EllipsoidOnPlane(_OnPlane):
    """One contact, at the lowest point."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        centre, arms, rises = self.half_axes(poses)
        reach = rises.square().sum(0).sqrt()
        lowest = centre - (arms * (rises / reach)[:, :, None]).sum(0)
        yield self.under(lowest, self.height(centre) - reach)

    def half_axes(self, poses: Poses) -> tuple[Tensor, Tensor, Tensor]:
        """Centres, half axes ``(3, k, 3, batch)``, and how far these rise ``(3, k, batch)``."""
        arms = torch.stack([self.two.arm(poses, i, i) for i in range(3)])
        centre = self.two.centre(poses)
        return centre, arms, (self.normal(centre) * arms).sum(2)


class BoxOnPlane(EllipsoidOnPlane):
    """Four contacts: of each two opposite corners the lower one."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        centre, (a, b, c), (up_a, up_b, up_c) = self.half_axes(poses)
        height = self.height(centre)
        for i, j, k in _CORNERS:
            arm, rise = i * a + j * b + k * c, i * up_a + j * up_b + k * up_c
            down = torch.where(rise.detach() > 0, -1.0, 1.0).to(rise.dtype)
            yield self.under(centre + arm * down[:, None], height + rise * down)


class CylinderOnPlane(_OnPlane):
    """Four contacts: the lowest point of each disk, and two more of the lower disk's rim."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        centre, up = self.two.centre(poses), self.two.axis(poses, 2)
        normal, radius = self.normal(centre), self.two.size(centre, 0)[:, None]
        # The axis that points at the plane, and the way from it to a disk's lowest point.
        axis = up * torch.where(dot(normal, up).detach() > 0, -1.0, 1.0).to(up.dtype)[:, None]
        across = axis * dot(normal, axis)[:, None] - normal
        out = unit(across, self.two.axis(poses, 0))[0] * radius
        arm = axis * self.two.size(centre, 1)[:, None]
        aside = unit(cross(out, arm), torch.zeros_like(out))[0] * (0.75**0.5 * radius)
        rims = (out + arm, out - arm, aside + arm - 0.5 * out, -aside + arm - 0.5 * out)
        for rim in rims:
            yield self.under(centre + rim, self.height(centre) + dot(normal, rim))


class SphereOnSphere(Family):
    """One contact."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        yield self.balls(poses, self.one.centre(poses), self.two.centre(poses))

    def balls(self, poses: Poses, first: Tensor, second: Tensor) -> Touch:
        """Of balls with the geoms' first sizes about two points ``(k, 3, batch)``."""
        # Where the centres are one, the normal is across both axes.
        axes = cross(self.one.axis(poses, 2), self.two.axis(poses, 2)).detach()
        ahead = torch.zeros_like(axes[:, 1:])
        across, _ = unit(axes, torch.cat([torch.ones_like(axes[:, :1]), ahead], 1))
        normal, length = unit(second - first, across)
        radius = self.one.size(first, 0)
        distance = length - radius - self.two.size(first, 0)
        position = first + normal * (radius + 0.5 * distance)[:, None]
        return Touch(distance, position, normal, torch.zeros_like(normal))


class SphereOnCapsule(SphereOnSphere):
    """One contact."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        point, centre = self.one.centre(poses), self.two.centre(poses)
        axis, half = self.two.axis(poses, 2), self.two.size(centre, 1)
        yield self.balls(poses, point, nearest_to_point(point, centre, axis, half))


class CapsuleOnCapsule(SphereOnSphere):
    """One contact, also of parallel ones."""

    def __call__(self, poses: Poses) -> Iterator[Touch]:
        """See the base class."""
        one, two = self.one, self.two
        near = nearest_of_two(
            one.centre(poses), one.arm(poses, 2, 1), two.centre(poses), two.arm(poses, 2, 1)
        )
        yield self.balls(poses, *near)


def _carried(poses: Poses, bodies: Tensor, vectors: Tensor) -> Tensor:
    """Vectors ``(3, k, 1, 1)`` of body frames in the world, ``(k, 3, batch)``."""
    columns = poses.rotation.permute(1, 3, 2, 0).index_select(0, bodies)
    x, y, z = vectors
    turned = torch.addcmul(columns[:, 0] * x, columns[:, 1], y)
    return torch.addcmul(turned, columns[:, 2], z)
