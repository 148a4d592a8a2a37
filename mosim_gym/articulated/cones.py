"""Contacts with elliptic friction cones, as blocks of rows (`mosim_gym.articulated.rows`).

With the miss scaled to N = mu x_0 and T_j = f_j x_j, s is zero where N >= mu |T|, quadratic in
every row where mu N + |T| <= 0, and in between D_0 / (2 mu^2 (1 + mu^2)) (N - mu |T|)^2: the
distance from the dual cone. Source: MuJoCo documentation, Computation, Friction cones and Primal
problem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.rows import Slopes, weigh

_TINY = 1e-30


class _Zones(NamedTuple):
    """Where contacts are in their cones; all ``(k, batch)`` but for `outward`."""

    sticks: Tensor
    slides: Tensor
    gap: Tensor  # N - mu |T|
    tangent: Tensor  # |T|
    outward: Tensor  # T / |T|, (k, dim - 1, batch)
    stiffness: Tensor  # D_0 / (mu^2 (1 + mu^2))


class Cones(NamedTuple):
    """Contacts of one dimension, the normal's row first.

    Attributes:
        jacobian: ``(k, dim, nv, batch)``.
        reference: aref, ``(k, dim, batch)``.
        firmness: D, ``(k, dim, batch)``.
        friction: coefficients of the other rows, ``(k, dim - 1, batch or 1)``.
        mu: of the regularized cone, ``(k, batch or 1)``.
    """

    jacobian: Tensor
    reference: Tensor
    firmness: Tensor
    friction: Tensor
    mu: Tensor

    def along(self, vector: Tensor) -> Tensor:
        """J times vectors ``(nv, batch)``, ``(k, dim, batch)``."""
        return (self.jacobian * vector).sum(2)

    def miss(self, acceleration: Tensor) -> Tensor:
        """J a - aref, ``(k, dim, batch)``."""
        return self.along(acceleration) - self.reference

    def pull(self, rows: Tensor) -> Tensor:
        """J^T times ``(k, dim, batch)``, ``(nv, batch)``."""
        return (self.jacobian * rows[:, :, None]).sum((0, 1))

    def normal(self, rows: Tensor) -> Tensor:
        """Of forces along the axes, that along the normals, ``(k, batch)``."""
        return rows[:, 0]

    def gradient(self, miss: Tensor) -> Tensor:
        """Of s, ``(k, dim, batch)``."""
        zones = self._zones(miss)
        normal = zones.stiffness * zones.gap * self.mu
        tangent = -normal[:, None] * zones.outward * self.friction
        sliding = torch.cat([normal[:, None], tangent], 1)
        sliding = torch.where(zones.slides[:, None], sliding, 0.0)
        return torch.where(zones.sticks[:, None], self.firmness * miss, sliding)

    def stiffen(self, miss: Tensor, matrix: Tensor) -> Tensor:
        """`matrix` ``(nv, nv, batch)`` plus J^T H J."""
        columns = self._curve(self._zones(miss), self.jacobian)
        return matrix + weigh(self.jacobian.flatten(0, 1), columns.flatten(0, 1))

    def probe(self, miss: Tensor, step: Tensor) -> Slopes:
        """Derivatives of s along a step of x."""

        def at(length: Tensor) -> tuple[Tensor, Tensor]:
            here = miss + length * step
            curve = self._curve(self._zones(here), step[:, :, None])[:, :, 0]
            return (self.gradient(here) * step).sum((0, 1)), (curve * step).sum((0, 1))

        return at

    def each(self, change: Callable[[Tensor], Tensor]) -> Cones:
        """The same of changed tensors."""
        return Cones(*(change(value) for value in self))

    def _zones(self, miss: Tensor) -> _Zones:
        mu = self.mu
        normal, raw = mu * miss[:, 0], self.friction * miss[:, 1:]
        square = raw.square().sum(1)
        tangent = square.clamp_min(_TINY).sqrt()
        sticks = mu * normal + tangent <= 0
        gap = normal - mu * tangent
        stiffness = self.firmness[:, 0] / (mu.square() * (1 + mu.square()))
        outward = raw / tangent[:, None]
        return _Zones(sticks, ~sticks & (gap < 0), gap, tangent, outward, stiffness)

    def _curve(self, zones: _Zones, vectors: Tensor) -> Tensor:
        """The second derivative of s times vectors ``(k, dim, n, batch)``."""
        mu, friction = self.mu[:, None], self.friction[:, :, None]
        outward = zones.outward[:, :, None]
        scaled = friction * vectors[:, 1:]
        radial = (outward * scaled).sum(1)
        # Across the boundary of the cone, and around it.
        across = mu * (vectors[:, 0] - radial)
        around = (-self.mu * zones.gap / zones.tangent)[:, None, None] * (
            scaled - outward * radial[:, None]
        )
        tangent = friction * (around - outward * (mu * across)[:, None])
        sliding = torch.cat([(mu * across)[:, None], tangent], 1)
        sliding = zones.stiffness[:, None, None] * sliding
        sliding = torch.where(zones.slides[:, None, None], sliding, 0.0)
        sticking = self.firmness[:, :, None] * vectors
        return torch.where(zones.sticks[:, None, None], sticking, sliding)
