"""A quadratic's least within bounds."""

from __future__ import annotations

import torch
from torch import Tensor

_PIVOTS = 30


def solve_within(matrix: Tensor, gradient: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The s of least ``s^T matrix s / 2 - gradient^T s`` with ``low <= s <= high``.

    By block principal pivoting (Judice and Pires, Computers & Operations Research 1994): what would
    go beyond is held at its end, what would come back is let go, all at once. Should that go in
    circles, what it is then is cut to its bounds. NaN where there is no solution.
    """
    side = torch.zeros_like(low)
    step = low
    for _ in range(_PIVOTS):
        free = side == 0
        step = torch.where(side > 0, high, low)
        rest = gradient[free] - matrix[free][:, ~free] @ step[~free]
        step[free] = torch.linalg.solve_ex(matrix[free][:, free], rest).result
        pull = gradient - matrix @ step
        beyond = (step > high).to(low) - (step < low).to(low)
        wanted = torch.where(free, beyond, side * (side * pull > 0))
        if torch.equal(wanted, side):
            return step
        side = wanted
    return step.clamp(low, high)
