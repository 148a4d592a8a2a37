"""Contacts with pyramidal friction cones, as blocks of rows (`mosim_gym.articulated.rows`).

A pyramid has two edges for each direction of friction, ``normal +- friction * tangent``, each a
row that only pushes (documentation: Computation, Friction cones). Their Jacobians are not written
out: all edges of a contact are combinations of its few axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.rows import Springs, weigh


class Edges(NamedTuple):
    """Contacts of one dimension, of d axes; the e = 2 (d - 1) edges with a plus come first.

    Attributes:
        jacobian: of the axes, the normal first, ``(k, d, nv, batch)``.
        friction: coefficients of the other axes, ``(k, d - 1, batch or 1)``.
        reference: aref, ``(k, e, batch)``.
        firmness: D, ``(k, batch)``.
    """

    jacobian: Tensor
    friction: Tensor
    reference: Tensor
    firmness: Tensor

    def along(self, vector: Tensor) -> Tensor:
        """J times vectors ``(nv, batch)``, ``(k, e, batch)``."""
        return along_edges(self.jacobian, self.friction, vector)

    def miss(self, acceleration: Tensor) -> Tensor:
        """J a - aref, ``(k, e, batch)``."""
        return self.along(acceleration) - self.reference

    def pull(self, rows: Tensor) -> Tensor:
        """J^T times ``(k, e, batch)``, ``(nv, batch)``."""
        plus, minus = rows.chunk(2, 1)
        normal = (plus + minus).sum(1, keepdim=True)
        axes = torch.cat([normal, self.friction * (plus - minus)], 1)
        return (self.jacobian * axes[:, :, None]).sum((0, 1))

    def normal(self, rows: Tensor) -> Tensor:
        """Of forces along the edges, that along the normals, ``(k, batch)``."""
        return rows.sum(1)

    def gradient(self, miss: Tensor) -> Tensor:
        """Of s, ``(k, e, batch)``."""
        return self.firmness[:, None] * miss.clamp_max(0.0)

    def stiffen(self, miss: Tensor, matrix: Tensor) -> Tensor:
        """`matrix` ``(nv, nv, batch)`` plus J^T H J."""
        plus, minus = self._acting(miss).chunk(2, 1)
        mixed = (self.friction * (plus - minus))[:, :, None]
        own = (self.friction.square() * (plus + minus))[:, :, None]
        normal, tangents = self.jacobian[:, :1], self.jacobian[:, 1:]
        first = (plus + minus).sum(1)[:, None, None] * normal
        first = first + (mixed * tangents).sum(1, keepdim=True)
        columns = torch.cat([first, mixed * normal + own * tangents], 1)
        return matrix + weigh(self.jacobian.flatten(0, 1), columns.flatten(0, 1))

    def springs(self) -> Springs:
        """See `mosim_gym.articulated.rows.Separate`."""
        return Springs.pushing(self.firmness[:, None].expand_as(self.reference))

    def each(self, change: Callable[[Tensor], Tensor]) -> Edges:
        """The same of changed tensors."""
        return Edges(*(change(value) for value in self))

    def _acting(self, miss: Tensor) -> Tensor:
        return torch.where(miss < 0, self.firmness[:, None], 0.0)


def along_edges(jacobian: Tensor, friction: Tensor, vector: Tensor) -> Tensor:
    """Values ``(k, e, batch)`` of vectors ``(nv, batch)`` along the edges; see `Edges`."""
    axes = (jacobian * vector).sum(2)
    normal, slanted = axes[:, :1], friction * axes[:, 1:]
    return torch.cat([normal + slanted, normal - slanted], 1)
