"""Linear systems with small symmetric positive definite matrices, the batch last.

Compiled, the factorisation is written out entry by entry: each entry is a vector over the batch,
and the whole of it one loop over the batch without calls. Otherwise LAPACK does it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Written out, larger ones take long to compile.
_WRITTEN_OUT = 12

Solve = Callable[[Tensor], Tensor]


def factorised(matrix: Tensor) -> Solve:
    """What solves ``matrix x = b`` for any b ``(n, batch)``.

    Args:
        matrix: symmetric, ``(n, n, batch)``; where it is not positive definite the solutions are
            meaningless, perhaps not finite, in that row of the batch alone.
    """
    if torch.compiler.is_compiling() and len(matrix) <= _WRITTEN_OUT:
        return _written_out(matrix)
    factor = torch.linalg.cholesky_ex(matrix.permute(2, 0, 1)).L

    def solve(b: Tensor) -> Tensor:
        return torch.cholesky_solve(b.t()[:, :, None], factor)[:, :, 0].t()

    return solve


def _written_out(matrix: Tensor) -> Solve:
    """By ``L D L^T``; rows of L and inverses of D as vectors over the batch."""
    n = len(matrix)
    entries = [row.unbind(0) for row in matrix.unbind(0)]
    lower: list[list[Tensor]] = []
    inverse: list[Tensor] = []
    for i in range(n):
        row: list[Tensor] = []
        # Entries of L D, then of L.
        for j in range(i):
            value = entries[i][j]
            for k in range(j):
                value = value - row[k] * lower[j][k]
            row.append(value)
        pivot = entries[i][i]
        scaled = [value * d for value, d in zip(row, inverse, strict=True)]
        for value, other in zip(row, scaled, strict=True):
            pivot = pivot - value * other
        lower.append(scaled)
        inverse.append(pivot.reciprocal())

    def solve(b: Tensor) -> Tensor:
        x = list(b.unbind(0))
        for i in range(n):
            for k in range(i):
                x[i] = x[i] - lower[i][k] * x[k]
        x = [value * d for value, d in zip(x, inverse, strict=True)]
        for i in reversed(range(n)):
            for k in range(i + 1, n):
                x[i] = x[i] - lower[k][i] * x[k]
        return torch.stack(x)

    return solve
