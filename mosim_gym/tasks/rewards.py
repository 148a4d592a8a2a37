"""Soft indicators: how far a quantity is from where a task wants it, as a number from 0 to 1.

The tensor twin of ``dm_control/utils/rewards.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum

import torch
from torch import Tensor

from mosim_gym.errors import MosimError, unknown_name


class Sigmoid(StrEnum):
    """How a soft indicator falls off outside its bounds.

    LINEAR, COSINE and QUADRATIC reach 0 at a finite distance, the others only in the limit.
    """

    GAUSSIAN = "gaussian"
    HYPERBOLIC = "hyperbolic"
    LONG_TAIL = "long_tail"
    RECIPROCAL = "reciprocal"
    COSINE = "cosine"
    LINEAR = "linear"
    QUADRATIC = "quadratic"
    TANH_SQUARED = "tanh_squared"


def tolerance(
    x: Tensor,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: Sigmoid = Sigmoid.GAUSSIAN,
    value_at_margin: float = 0.1,
) -> Tensor:
    """1 where `x` is within the bounds, less the further away it is.

    Args:
        x: any shape, any float dtype.
        bounds: lowest and highest value, both included; may be infinite, may be equal.
        margin: distance from the nearer bound, in the unit of `x`, at which the value has fallen to
            `value_at_margin`; with 0 it is 0 everywhere outside the bounds.
        sigmoid: how it falls off.
        value_at_margin: from 0 to below 1; above 0 for those that reach 0 only in the limit.

    Returns:
        Values from 0 to 1, in the shape and dtype of `x`.

    Raises:
        MosimError: if the bounds are not in order, or a number is out of its range.
        UnknownNameError: for a sigmoid there is not.
    """
    lower, upper = bounds
    if not lower <= upper:
        raise MosimError(f"bounds={bounds}: expected the lower one first.")
    if not margin >= 0:
        raise MosimError(f"margin={margin}: expected 0 or more.")
    if margin == 0:
        return ((x >= lower) & (x <= upper)).to(x.dtype)
    # Every sigmoid is 1 at distance 0, so what is inside needs no case of its own.
    return _curve(sigmoid, value_at_margin)(_distance(x, lower, upper), margin, value_at_margin)


def _distance(x: Tensor, lower: float, upper: float) -> Tensor:
    """How far `x` is outside the bounds; 0 inside. Few operations: they are the cost of a step."""
    if lower == upper:
        return (x - lower).abs()
    if upper == math.inf:
        return (lower - x).clamp(min=0)
    if lower == -math.inf:
        return (x - upper).clamp(min=0)
    return torch.maximum(lower - x, x - upper).clamp(min=0)


# Curves of (distance, margin, value at the margin). Those of numbers alone are folded into one
# factor before a tensor is touched.
_Curve = Callable[[Tensor, float, float], Tensor]


def _gaussian(distance: Tensor, margin: float, value: float) -> Tensor:
    return (distance.square() * (math.log(value) / margin**2)).exp()


def _hyperbolic(distance: Tensor, margin: float, value: float) -> Tensor:
    # 1 / cosh, in a form whose gradient does not overflow.
    decay = (distance * (-math.acosh(1 / value) / margin)).exp()
    return 2 * decay / (1 + decay.square())


def _long_tail(distance: Tensor, margin: float, value: float) -> Tensor:
    return (distance.square() * ((1 / value - 1) / margin**2) + 1).reciprocal()


def _reciprocal(distance: Tensor, margin: float, value: float) -> Tensor:
    return (distance * ((1 / value - 1) / margin) + 1).reciprocal()


def _cosine(distance: Tensor, margin: float, value: float) -> Tensor:
    angle = (distance * (math.acos(2 * value - 1) / margin)).clamp(max=math.pi)
    return (1 + angle.cos()) / 2


def _linear(distance: Tensor, margin: float, value: float) -> Tensor:
    return (1 - distance * ((1 - value) / margin)).clamp(min=0)


def _quadratic(distance: Tensor, margin: float, value: float) -> Tensor:
    return (1 - distance.square() * ((1 - value) / margin**2)).clamp(min=0)


def _tanh_squared(distance: Tensor, margin: float, value: float) -> Tensor:
    return 1 - (distance * (math.atanh(math.sqrt(1 - value)) / margin)).tanh().square()


_CURVES: Mapping[Sigmoid, _Curve] = {
    Sigmoid.GAUSSIAN: _gaussian,
    Sigmoid.HYPERBOLIC: _hyperbolic,
    Sigmoid.LONG_TAIL: _long_tail,
    Sigmoid.RECIPROCAL: _reciprocal,
    Sigmoid.COSINE: _cosine,
    Sigmoid.LINEAR: _linear,
    Sigmoid.QUADRATIC: _quadratic,
    Sigmoid.TANH_SQUARED: _tanh_squared,
}
_MAY_REACH_ZERO = frozenset({Sigmoid.COSINE, Sigmoid.LINEAR, Sigmoid.QUADRATIC})


def _curve(sigmoid: Sigmoid, value: float) -> _Curve:
    if sigmoid not in _CURVES:
        raise unknown_name("sigmoid", str(sigmoid), map(str, Sigmoid))
    if not (0 < value < 1 or (value == 0 and sigmoid in _MAY_REACH_ZERO)):
        least = "0 or more" if sigmoid in _MAY_REACH_ZERO else "more than 0"
        raise MosimError(
            f"value_at_margin={value}: expected {least} and less than 1 with "
            f"Sigmoid.{Sigmoid(sigmoid).name}."
        )
    return _CURVES[sigmoid]
