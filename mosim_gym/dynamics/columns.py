"""Chosen columns of a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Columns:
    """Chosen columns of a matrix, as few slices as it takes: no gather, which costs more."""

    def __init__(self, indices: Sequence[int], width: int) -> None:
        """Columns `indices`, ascending, of matrices that have `width` of them."""
        self.n = len(indices)
        self._all = self.n == width
        self._runs: list[slice] = []
        for index in indices:
            if self._runs and self._runs[-1].stop == index:
                self._runs[-1] = slice(self._runs[-1].start, index + 1)
            else:
                self._runs.append(slice(index, index + 1))

    def of(self, matrix: Tensor) -> Tensor:
        """The columns, ``(batch, n)``."""
        if self._all:
            return matrix
        if len(self._runs) == 1:
            return matrix[:, self._runs[0]]
        return torch.cat([matrix[:, run] for run in self._runs], 1)
