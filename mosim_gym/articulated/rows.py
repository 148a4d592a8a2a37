"""Constraints as blocks of rows: what they ask of an acceleration, and how they push back.

The acceleration a of a constrained body minimises (MuJoCo documentation, Computation, Constraint
model: Primal problem)

    1/2 (a - a0)^T M (a - a0) + s(J a - aref),

M being its mass matrix and a0 its acceleration without constraints. s is a sum over blocks of
rows, quadratic where a constraint acts, and D = 1/R as stiff. The force is minus its gradient.

The batch is the last axis. A row that is not there has D = 0.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Block(Protocol):
    """Constraints of one kind; x = J a - aref is by how much an acceleration misses the asked."""

    def along(self, vector: Tensor) -> Tensor:
        """J times vectors ``(nv, batch)``."""

    def miss(self, acceleration: Tensor) -> Tensor:
        """Of accelerations ``(nv, batch)``, x = J a - aref."""

    def pull(self, rows: Tensor) -> Tensor:
        """J^T times values of the rows, ``(nv, batch)``."""

    def gradient(self, miss: Tensor) -> Tensor:
        """Of s by x."""

    def stiffen(self, miss: Tensor, matrix: Tensor) -> Tensor:
        """`matrix` ``(nv, nv, batch)`` plus J^T H J, H being the second derivative of s."""

    def probe(self, miss: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of s along a step of x, ``(batch,)`` each."""

    def detach(self) -> Block:
        """The same, cut off from the autograd graph."""


class OnDofs(NamedTuple):
    """One row for each degree of freedom: limits, dry friction.

    Attributes:
        sign: the only entry of its row of J, ``(nv, batch or 1)``.
        reference: aref, ``(nv, batch)``.
        firmness: D, ``(nv, batch)``.
        least: minus the largest force, ``(nv, 1)``.
        most: minus the smallest, ``(nv, 1)``.
    """

    sign: Tensor
    reference: Tensor
    firmness: Tensor
    least: Tensor
    most: Tensor

    def along(self, vector: Tensor) -> Tensor:
        """See `Block`."""
        return self.sign * vector

    def miss(self, acceleration: Tensor) -> Tensor:
        """See `Block`."""
        return self.sign * acceleration - self.reference

    def pull(self, rows: Tensor) -> Tensor:
        """See `Block`."""
        return self.sign * rows

    def gradient(self, miss: Tensor) -> Tensor:
        """See `Block`."""
        return torch.clamp(self.firmness * miss, self.least, self.most)

    def stiffen(self, miss: Tensor, matrix: Tensor) -> Tensor:
        """See `Block`."""
        added = self.sign.square() * _acting(miss, self.firmness, self.least, self.most)
        return matrix + torch.eye(len(added)).to(added)[:, :, None] * added

    def probe(self, miss: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """See `Block`."""
        return _probe(miss, step, self.firmness, self.least, self.most)

    def detach(self) -> OnDofs:
        """See `Block`."""
        return OnDofs(*(value.detach() for value in self))


class Dense(NamedTuple):
    """Rows that push only: frictionless contacts, edges of pyramidal cones.

    Attributes:
        jacobian: ``(m, nv, batch)``.
        reference: aref, ``(m, batch)``.
        firmness: D, ``(m, batch)``.
    """

    jacobian: Tensor
    reference: Tensor
    firmness: Tensor

    def along(self, vector: Tensor) -> Tensor:
        """See `Block`."""
        return (self.jacobian * vector).sum(1)

    def miss(self, acceleration: Tensor) -> Tensor:
        """See `Block`."""
        return self.along(acceleration) - self.reference

    def pull(self, rows: Tensor) -> Tensor:
        """See `Block`."""
        return (self.jacobian * rows[:, None]).sum(0)

    def gradient(self, miss: Tensor) -> Tensor:
        """See `Block`."""
        return self.firmness * miss.clamp_max(0.0)

    def stiffen(self, miss: Tensor, matrix: Tensor) -> Tensor:
        """See `Block`."""
        acting = torch.where(miss < 0, self.firmness, 0.0)
        return matrix + weigh(self.jacobian, self.jacobian * acting[:, None])

    def probe(self, miss: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """See `Block`."""
        pressed = torch.where(miss < 0, self.firmness, 0.0) * step
        return (pressed * miss).sum(0), (pressed * step).sum(0)

    def detach(self) -> Dense:
        """See `Block`."""
        return Dense(*(value.detach() for value in self))


def weigh(left: Tensor, right: Tensor) -> Tensor:
    """Sums of outer products of ``(m, nv, batch)``, ``(nv, nv, batch)``, which are symmetric."""
    if torch.compiler.is_compiling():
        return (left[:, :, None] * right[:, None]).sum(0)
    # Products go through memory here: half of them, and not more at a time than a cache holds.
    # (Products of matrices do not, but copying to where the batch is ahead takes longer.)
    n = left.shape[1]
    entries = torch.cat([(left[:, i : i + 1] * right[:, i:]).sum(0) for i in range(n)])
    start = [i * n - i * (i + 1) // 2 for i in range(n)]
    order = [start[min(i, j)] + max(i, j) for i in range(n) for j in range(n)]
    index = torch.tensor(order, device=left.device)
    return entries.index_select(0, index).view(n, n, left.shape[2])


def _acting(miss: Tensor, firmness: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """D where s is quadratic, 0 where it is linear."""
    pressure = firmness * miss
    return torch.where((pressure > least) & (pressure < most), firmness, 0.0)


def _probe(
    miss: Tensor, step: Tensor, firmness: Tensor, least: Tensor, most: Tensor
) -> tuple[Tensor, Tensor]:
    slope = torch.clamp(firmness * miss, least, most) * step
    curve = _acting(miss, firmness, least, most) * step.square()
    return slope.sum(0), curve.sum(0)
