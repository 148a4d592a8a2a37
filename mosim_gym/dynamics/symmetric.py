"""Small symmetric matrices in batches, kept as the entries of their lower triangles."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Symmetric(nn.Module):
    """Symmetric n x n matrices as ``(batch, n_entries)``.

    Attributes:
        n: rows of a matrix.
        n_entries: ``n (n + 1) / 2``, the diagonal first.
        christoffel: from derivatives of a mass matrix to what multiplies products of velocities:
            row i of the force is ``sum_jk (dM_ij/dq_k - 1/2 dM_jk/dq_i) v_j v_k``. From
            (coordinate of the derivative, entry of M) to (row of the force, product), so
            ``(n * n_entries, n * n_entries)``.
    """

    christoffel: Tensor
    rows: Tensor
    columns: Tensor
    order: Tensor
    triangle: Tensor

    def __init__(self, n: int) -> None:
        """Number the entries."""
        super().__init__()
        self.n = n
        pairs = [(i, i) for i in range(n)] + [(i, j) for i in range(n) for j in range(i)]
        self.n_entries = len(pairs)
        self._number = {pair: e for e, pair in enumerate(pairs)}
        self.register_buffer("rows", torch.tensor([i for i, _ in pairs]), persistent=False)
        self.register_buffer("columns", torch.tensor([j for _, j in pairs]), persistent=False)
        order = [self._entry(i, j) for i in range(n) for j in range(n)]
        self.register_buffer("order", torch.tensor(order), persistent=False)
        triangle = torch.ones(n, n, dtype=torch.float64).tril()
        self.register_buffer("triangle", triangle, persistent=False)
        self.register_buffer("christoffel", self._christoffel(), persistent=False)

    def entries_of(self, matrix: Tensor) -> Tensor:
        """Entries ``(..., n_entries)`` of matrices ``(..., n, n)``."""
        return matrix[..., self.rows, self.columns]

    def matrix_of(self, entries: Tensor) -> Tensor:
        """Matrices ``(..., n, n)``."""
        return entries[..., self.order].unflatten(-1, (self.n, self.n))

    def lower_of(self, entries: Tensor) -> Tensor:
        """Lower triangular matrices ``(..., n, n)`` with these entries."""
        return self.matrix_of(entries) * self.triangle

    def products(self, vectors: Tensor) -> Tensor:
        """``v_i v_j`` of vectors ``(batch, n)``, once per entry."""
        parts = [vectors * vectors]
        parts += [vectors[:, i : i + 1] * vectors[:, :i] for i in range(1, self.n)]
        return torch.cat(parts, 1)

    def add_diagonal(self, entries: Tensor, values: Tensor) -> Tensor:
        """Matrices with `values` ``(n,)`` or ``(batch, n)`` added on the diagonal."""
        n = self.n
        if n == self.n_entries:
            return entries + values
        return torch.cat([entries[:, :n] + values, entries[:, n:]], 1)

    def solve(self, entries: Tensor, vectors: Tensor) -> Tensor:
        """``A^-1 b`` for b ``(batch, n)``; in closed form up to 2, and by Cholesky beyond.

        Rows of matrices that are not positive come out meaningless there, perhaps not finite.
        """
        if self.n == 1:
            return vectors / entries
        if self.n == 2:
            diagonal, off = entries[:, :2], entries[:, 2:]
            solution = diagonal.flip(1) * vectors - off * vectors.flip(1)
            return solution / self._determinant(diagonal, off)
        factor = torch.linalg.cholesky_ex(self.matrix_of(entries)).L
        return torch.cholesky_solve(vectors.unsqueeze(2), factor).squeeze(2)

    def column_of_inverse(self, entries: Tensor, j: int) -> Tensor:
        """Column j of ``A^-1``, ``(batch, n)``."""
        if self.n == 2:
            diagonal, off = entries[:, :2], entries[:, 2:]
            other = diagonal[:, 1 - j : 2 - j]
            column = [other, -off] if j == 0 else [-off, other]
            return torch.cat(column, 1) / self._determinant(diagonal, off)
        unit = torch.zeros_like(entries[:, : self.n])
        unit[:, j] = 1.0
        return self.solve(entries, unit)

    @staticmethod
    def _determinant(diagonal: Tensor, off: Tensor) -> Tensor:
        return torch.addcmul(diagonal[:, :1] * diagonal[:, 1:], off, off, value=-1.0)

    def _christoffel(self) -> Tensor:
        n = self.n
        table = torch.zeros(n, self.n_entries, n, self.n_entries, dtype=torch.float64)
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    product = self._entry(j, k)
                    table[k, self._entry(i, j), i, product] += 1.0
                    table[i, self._entry(j, k), i, product] -= 0.5
        return table.view(n * self.n_entries, n * self.n_entries)

    def _entry(self, i: int, j: int) -> int:
        return self._number[max(i, j), min(i, j)]
