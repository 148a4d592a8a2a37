"""Directions and nearest points of line segments; ``(k, 3, batch)``, the batch last."""

from __future__ import annotations

import torch
from torch import Tensor

from mosim_gym.robots.poses import cross


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products ``(k, batch)``."""
    return (a * b).sum(1)


def unit(vector: Tensor, otherwise: Tensor) -> tuple[Tensor, Tensor]:
    """Directions, `otherwise` where there is none, and lengths ``(k, batch)``.

    Derivatives are finite also at a length of zero.
    """
    square = dot(vector, vector)
    there = square > _least(vector) ** 2
    length = torch.where(there, square, 1.0).sqrt()
    direction = torch.where(there[:, None], vector / length[:, None], otherwise)
    return direction, torch.where(there, length, 0.0)


def nearest_to_point(point: Tensor, centre: Tensor, axis: Tensor, half: Tensor) -> Tensor:
    """The point of a segment that is nearest to another point.

    Args:
        point: the other, ``(k, 3, batch)``.
        centre: of the segment, ``(k, 3, batch)``.
        axis: its direction, of length one, ``(k, 3, batch)``.
        half: half its length, ``(k, 1)``.
    """
    along = torch.clamp(dot(axis, point - centre), -half, half)
    return centre + axis * along[:, None]


def nearest_of_two(
    centre1: Tensor, arm1: Tensor, centre2: Tensor, arm2: Tensor
) -> tuple[Tensor, Tensor]:
    """The points of two segments that are nearest to each other.

    Segments that are parallel to the last bits have many such points: the middle of where they
    overlap is taken. (MuJoCo then makes two contacts.)

    Args:
        centre1: of the first segment, ``(k, 3, batch)``.
        arm1: from there to its end, ``(k, 3, batch)``.
        centre2: of the second.
        arm2: of the second.
    """
    away = centre2 - centre1
    normal = cross(arm1, arm2)
    square = dot(normal, normal)
    length1, length2, both = dot(arm1, arm1), dot(arm2, arm2), dot(arm1, arm2)
    ahead1, ahead2 = dot(arm1, away), -dot(arm2, away)
    slanted = square > _least(square)
    area = torch.where(slanted, square, 1.0)
    # As determinants: differences of products would lose the digits of nearly parallel ones.
    x1 = dot(cross(away, arm2), normal) / area
    reach = both.abs()
    shared = ((ahead1 - reach) / length1).clamp(-1, 1) + ((ahead1 + reach) / length1).clamp(-1, 1)
    x1 = torch.where(slanted, x1, 0.5 * shared)
    end1 = x1.clamp(-1, 1)
    x2 = dot(cross(away, arm1), normal) / area
    x2 = torch.where(slanted & (x1 == end1), x2, (ahead2 + both * end1) / length2)
    end2 = x2.clamp(-1, 1)
    end1 = torch.where(x2 == end2, end1, ((ahead1 + both * end2) / length1).clamp(-1, 1))
    return centre1 + arm1 * end1[:, None], centre2 + arm2 * end2[:, None]


def _least(like: Tensor) -> float:
    """Nothing below this is told from zero: mjMINVAL where there are enough digits for it."""
    return 1e-15 if like.dtype == torch.float64 else 1e-6
