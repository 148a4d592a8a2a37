"""Mass, centre and inertia of solid shapes of one density: what a body weighs if nobody says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mosim_gym.robots.frames import rotation_of
from mosim_gym.robots.tree import Geoms, Tree
from mosim_gym.types import Float64Array

#: Water's, as MuJoCo's default for geoms, kg / m^3.
DENSITY = 1000.0
# A moving body without a shape, or with none that has a volume, counts as this sphere.
_SPECK = 0.02
_SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX = 2, 3, 4, 5, 6


class Solid(NamedTuple):
    """A solid.

    Attributes:
        mass: in kg.
        centre: of mass, ``(3,)``.
        second: second moments of mass about the centre, ``(3, 3)``.
    """

    mass: float
    centre: Float64Array
    second: Float64Array


def solids_of(tree: Tree) -> list[Solid]:
    """Each body as the sum of its shapes, in its own frame; the world weighs nothing."""
    solids = [Solid(0.0, np.zeros(3), np.zeros((3, 3)))]
    for body in range(1, len(tree.bodies.names)):
        parts = [_placed(tree.geoms, int(g)) for g in np.flatnonzero(tree.geoms.body == body)]
        solids.append(_joined([part for part in parts if part.mass > 0] or [_speck()]))
    return solids


def _joined(parts: list[Solid]) -> Solid:
    mass = sum(part.mass for part in parts)
    centre = sum((part.mass * part.centre for part in parts), np.zeros(3)) / mass
    second = np.zeros((3, 3))
    for part in parts:
        arm = part.centre - centre
        second += part.second + part.mass * np.outer(arm, arm)
    return Solid(mass, centre, second)


def _placed(geoms: Geoms, geom: int) -> Solid:
    volume, squares = _shape(int(geoms.shape[geom]), *geoms.size[geom])
    turn = rotation_of(geoms.quaternion[geom])
    mass = DENSITY * volume
    return Solid(mass, geoms.position[geom], turn @ np.diag(mass * squares) @ turn.T)


def _speck() -> Solid:
    volume, squares = _shape(_SPHERE, _SPECK, 0.0, 0.0)
    mass = DENSITY * volume
    return Solid(mass, np.zeros(3), np.diag(mass * squares))


def _shape(kind: int, a: float, b: float, c: float) -> tuple[float, Float64Array]:
    """Volume, and means of the squared coordinates, of a shape by MuJoCo's sizes."""
    if kind == _SPHERE:
        return 4 / 3 * math.pi * a**3, np.full(3, a * a / 5)
    if kind == _ELLIPSOID:
        return 4 / 3 * math.pi * a * b * c, np.array([a, b, c]) ** 2 / 5
    if kind == _BOX:
        return 8 * a * b * c, np.array([a, b, c]) ** 2 / 3
    if kind == _CYLINDER:
        return 2 * math.pi * a * a * b, np.array([a * a / 4, a * a / 4, b * b / 3])
    if kind == _CAPSULE:
        return _capsule(a, b)
    return 0.0, np.zeros(3)


def _capsule(radius: float, half: float) -> tuple[float, Float64Array]:
    tube, ball = 2 * math.pi * radius**2 * half, 4 / 3 * math.pi * radius**3
    volume = tube + ball
    side = (tube * radius**2 / 4 + ball * radius**2 / 5) / volume
    # Half a ball beyond each end: its centre 3/8 r out.
    ends = radius**2 / 5 + 2 * half * 3 / 8 * radius + half**2
    along = (tube * half**2 / 3 + ball * ends) / volume
    return volume, np.array([side, side, along])
