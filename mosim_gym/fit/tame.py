"""Residuals beyond what is usual count by their logarithm, so that a few do not lead a fit astray.

Far from the truth a model gets some rows wrong altogether: a servo that is at its limit where it
should not be, a foot that touches where it should not. By their squares these few outweigh all
others, whose small errors tell the way. Cauchy's loss ``s^2 log(1 + (r / s)^2)`` (Barron, A general
and adaptive robust loss function, 2019) is r^2 where r is small against s, and hardly grows beyond.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL, _LARGE = 1e-4, 1e8


def usual(residuals: Tensor, share: float) -> float:
    """The size that this share of the finite residuals stays below; 1 if there are none."""
    sizes = residuals[residuals.isfinite()].abs()
    return float(sizes.quantile(share)) if len(sizes) else 1.0


def tamed(residuals: Tensor, size: float) -> Tensor:
    """Residuals whose squares are Cauchy's loss of the given ones, differentiable.

    A size of 0 tames none: most residuals are exactly zero then.
    """
    if size < torch.finfo(residuals.dtype).tiny:
        return residuals
    ratio = (residuals / size).abs().clamp_max(torch.finfo(residuals.dtype).max)
    # Where the square of the ratio is no number: log(1 + x^2) is 2 log x there.
    large, small = ratio > _LARGE, ratio < _SMALL
    square = torch.where(large | small, 1.0, ratio).square()
    loss = torch.where(large, 2 * ratio.clamp_min(1.0).log(), torch.log1p(square))
    bent = loss.sqrt() / torch.where(small, 1.0, ratio)
    # At 0, the square root and its derivative have limits.
    return residuals * torch.where(small, 1 - torch.where(small, ratio, 0.0).square() / 4, bent)


def trimmed_mean(residuals: Tensor, share: float) -> Tensor:
    """Of this share of their squares, the least: how far a fit is, whatever the others do.

    What is no number is larger than any.
    """
    squares = residuals.square().flatten().nan_to_num(torch.inf, torch.inf).sort().values
    return squares[: max(1, int(share * len(squares)))].mean()
