"""All candidate contacts of a body: distances, positions and frames in fixed places.

The batch is the last axis: k vectors are ``(k, 3, batch)``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.segments import dot, unit
from mosim_gym.articulated.shapes import (
    BoxOnPlane,
    CapsuleOnCapsule,
    CapsuleOnPlane,
    CylinderOnPlane,
    EllipsoidOnPlane,
    Family,
    Shape,
    SphereOnCapsule,
    SphereOnPlane,
    SphereOnSphere,
    Touch,
)
from mosim_gym.robots.poses import Poses, cross
from mosim_gym.robots.tree import IntArray, Tree

_Shapes = tuple[int, int]
_FAMILIES: dict[_Shapes, tuple[type[Family], int]] = {
    (Shape.PLANE, Shape.SPHERE): (SphereOnPlane, 1),
    (Shape.PLANE, Shape.CAPSULE): (CapsuleOnPlane, 2),
    (Shape.PLANE, Shape.ELLIPSOID): (EllipsoidOnPlane, 1),
    (Shape.PLANE, Shape.CYLINDER): (CylinderOnPlane, 4),
    (Shape.PLANE, Shape.BOX): (BoxOnPlane, 4),
    (Shape.SPHERE, Shape.SPHERE): (SphereOnSphere, 1),
    (Shape.SPHERE, Shape.CAPSULE): (SphereOnCapsule, 1),
    (Shape.CAPSULE, Shape.CAPSULE): (CapsuleOnCapsule, 1),
}
#: Pairs of shapes that are covered, the lower in mjtGeom first, and how many contacts each makes.
CONTACTS: dict[_Shapes, int] = {shapes: count for shapes, (_, count) in _FAMILIES.items()}


class Geometry:
    """The candidate contacts of pairs of geoms.

    Attributes:
        pair: which of the pairs each candidate belongs to, ``(k,)``.
    """

    def __init__(self, tree: Tree, geom1: IntArray, geom2: IntArray) -> None:
        """Sort the pairs by shape.

        Args:
            tree: with all geoms; planes do not move.
            geom1: first geom of each pair, the lower of the two in mjtGeom, ``(npair,)``.
            geom2: second geom, ``(npair,)``.

        Raises:
            KeyError: if two shapes are not in `CONTACTS`.
        """
        shape = tree.geoms.shape
        shapes = list(zip(shape[geom1].tolist(), shape[geom2].tolist(), strict=True))
        pairs = [np.zeros(0, np.int64)]
        self._families: list[Family] = []
        for two in dict.fromkeys(shapes):
            rows = np.array([i for i, other in enumerate(shapes) if other == two], np.int64)
            family, contacts = _FAMILIES[two]
            self._families.append(family(tree, geom1[rows], geom2[rows]))
            pairs += [rows] * contacts
        self.pair: IntArray = np.concatenate(pairs)

    def __call__(self, poses: Poses) -> Touch:
        """The candidates where the bodies are at these poses; differentiable."""
        parts = [touch for family in self._families for touch in family(poses)]
        if not parts:
            nothing = poses.position.permute(1, 2, 0)[:0]
            return Touch(nothing[:, 0], nothing, nothing, nothing)
        return Touch(*(torch.cat(column) for column in zip(*parts, strict=True)))


def contact_frames(normal: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three axes of contact frames, each ``(k, 3, batch)``, the normal first.

    Args:
        normal: of length one.
        tangent: what the second axis follows; where it is zero that is the world's y, or z where
            the normal is along y (`mju_makeFrame`).
    """
    given = (dot(tangent, tangent).detach() >= 0.25).to(normal.dtype)[:, None]
    level = (normal[:, 1:2].detach().abs() < 0.5).to(normal.dtype)
    world = torch.cat([torch.zeros_like(level), level, 1 - level], 1)
    raw = given * tangent + (1 - given) * world
    ahead = torch.zeros_like(world[:, :2])
    x_axis = torch.cat([torch.ones_like(level), ahead], 1)
    second, _ = unit(raw - normal * dot(normal, raw)[:, None], x_axis)
    return normal, second, cross(normal, second)
