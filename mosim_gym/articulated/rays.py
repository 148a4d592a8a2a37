"""Whether rays meet solid shapes, as `mju_rayGeom` has it: from the inside they always do.

Shapes are centred on the origin, along its axes. Points and directions are ``(..., 3, batch)``,
sizes, in MuJoCo's meaning, ``(..., 3, 1)``. A line is inside a convex shape between two places on
it, which are +-inf where it never leaves; where it never enters, the second comes first.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mosim_gym.articulated.shapes import Shape

_Between = tuple[Tensor, Tensor]
_Meets = Callable[[Tensor, Tensor, Tensor], Tensor]
#: Directions have a part across an axis or a face if it is more than this (mjMINVAL).
_TINY = 1e-15


def _sphere(point: Tensor, along: Tensor, size: Tensor) -> Tensor:
    return _ahead(_in_round(point, along, size[..., 0, :]))


def _ellipsoid(point: Tensor, along: Tensor, size: Tensor) -> Tensor:
    return _ahead(_in_round(point / size, along / size, torch.ones_like(size[..., 0, :])))


def _cylinder(point: Tensor, along: Tensor, size: Tensor) -> Tensor:
    side = _in_round(point[..., :2, :], along[..., :2, :], size[..., 0, :])
    ends = _in_slab(point[..., 2, :], along[..., 2, :], size[..., 1, :])
    return _ahead(_both(side, ends))


def _capsule(point: Tensor, along: Tensor, size: Tensor) -> Tensor:
    up = torch.cat([torch.zeros_like(size[..., :2, :]), size[..., 1:2, :]], -2)
    caps = _sphere(point - up, along, size) | _sphere(point + up, along, size)
    return caps | _cylinder(point, along, size)


def _box(point: Tensor, along: Tensor, size: Tensor) -> Tensor:
    x, y, z = (_in_slab(point[..., i, :], along[..., i, :], size[..., i, :]) for i in range(3))
    return _ahead(_both(_both(x, y), z))


#: (starts, directions, size) -> which rays meet the shape, ``(..., batch)`` bool.
RAYS: dict[Shape, _Meets] = {
    Shape.SPHERE: _sphere,
    Shape.CAPSULE: _capsule,
    Shape.ELLIPSOID: _ellipsoid,
    Shape.CYLINDER: _cylinder,
    Shape.BOX: _box,
}


def _ahead(between: _Between) -> Tensor:
    enters, leaves = between
    return (enters <= leaves) & (leaves >= 0)


def _both(first: _Between, second: _Between) -> _Between:
    return torch.maximum(first[0], second[0]), torch.minimum(first[1], second[1])


def _in_round(point: Tensor, along: Tensor, radius: Tensor) -> _Between:
    """Where a x^2 + 2 b x + c <= 0: in a ball, or in a round bar of two coordinates."""
    a, b = along.square().sum(-2), (along * point).sum(-2)
    c = point.square().sum(-2) - radius.square()
    square = b.square() - a * c
    crosses = a > _TINY
    width, start = square.clamp_min(0.0).sqrt(), torch.where(crosses, a, 1.0)
    reached = torch.where(crosses, square > 0, c <= 0)
    return _where(reached, crosses, (-b - width) / start, (-b + width) / start)


def _in_slab(point: Tensor, along: Tensor, half: Tensor) -> _Between:
    crosses = along.abs() > _TINY
    start = torch.where(crosses, along, 1.0)
    one, other = (-half - point) / start, (half - point) / start
    reached = crosses | (point.abs() <= half)
    return _where(reached, crosses, torch.minimum(one, other), torch.maximum(one, other))


def _where(reached: Tensor, crosses: Tensor, enters: Tensor, leaves: Tensor) -> _Between:
    first = torch.where(crosses, enters, -torch.inf)
    last = torch.where(crosses, leaves, torch.inf)
    return torch.where(reached, first, torch.inf), torch.where(reached, last, -torch.inf)
