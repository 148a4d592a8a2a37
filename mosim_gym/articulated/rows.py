"""Constraints as blocks of rows: what they ask of an acceleration, and how they push back.

The acceleration a of a constrained body minimises (MuJoCo documentation, Computation, Constraint
model: Primal problem)

    1/2 (a - a0)^T M (a - a0) + s(J a - aref),

M being its mass matrix and a0 its acceleration without constraints. s is a sum over blocks of
rows, quadratic where a constraint acts, and D = 1/R as stiff. The force is minus its gradient.

The batch is the last axis. A row that is not there has D = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

#: First and second derivative of s, ``(batch,)`` each, at lengths ``(batch,)`` of a step.
Slopes = Callable[[Tensor], tuple[Tensor, Tensor]]


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

    def each(self, change: Callable[[Tensor], Tensor]) -> Block:
        """The same of changed tensors."""


class Pressing(Block, Protocol):
    """Contacts of one dimension."""

    def normal(self, rows: Tensor) -> Tensor:
        """Of forces along the rows, that along the normals, ``(k, batch)``."""


class Springs(NamedTuple):
    """Rows that push each by itself: by -D x, within bounds.

    Attributes:
        firmness: D, ``(m, batch)``.
        least: minus the largest force, ``(m, 1)``.
        most: minus the smallest, ``(m, 1)``.
    """

    firmness: Tensor
    least: Tensor
    most: Tensor

    @classmethod
    def pushing(cls, firmness: Tensor) -> Springs:
        """Rows of D ``(..., batch)`` that do not pull."""
        rows = firmness.flatten(0, -2)
        most = torch.zeros_like(rows[:, :1])
        return cls(rows, torch.full_like(most, -torch.inf), most)

    def probe(self, miss: Tensor, step: Tensor) -> Slopes:
        """Derivatives of s along a step of x, both ``(m, batch)``."""
        force, slope = self.firmness * miss, self.firmness * step
        bend = slope * step

        def at(length: Tensor) -> tuple[Tensor, Tensor]:
            free = torch.addcmul(force, slope, length)
            held = torch.clamp(free, self.least, self.most)
            acting = torch.where(held == free, bend, 0.0)
            return (held * step).sum(0), acting.sum(0)

        return at

    @classmethod
    def joined(cls, springs: Sequence[Springs]) -> Springs:
        """All rows in one."""
        return cls(*(torch.cat(values) for values in zip(*springs, strict=True)))


@runtime_checkable
class Separate(Protocol):
    """A block whose rows push each by itself."""

    def springs(self) -> Springs:
        """They, in the order of x."""
        ...


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

    def springs(self) -> Springs:
        """See `Separate`."""
        return Springs(self.firmness, self.least, self.most)

    def each(self, change: Callable[[Tensor], Tensor]) -> OnDofs:
        """See `Block`."""
        return OnDofs(*(change(value) for value in self))


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

    def normal(self, rows: Tensor) -> Tensor:
        """See `Pressing`."""
        return rows

    def gradient(self, miss: Tensor) -> Tensor:
        """See `Block`."""
        return self.firmness * miss.clamp_max(0.0)

    def stiffen(self, miss: Tensor, matrix: Tensor) -> Tensor:
        """See `Block`."""
        acting = torch.where(miss < 0, self.firmness, 0.0)
        return matrix + weigh(self.jacobian, self.jacobian * acting[:, None])

    def springs(self) -> Springs:
        """See `Separate`."""
        return Springs.pushing(self.firmness)

    def each(self, change: Callable[[Tensor], Tensor]) -> Dense:
        """See `Block`."""
        return Dense(*(change(value) for value in self))


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
