"""How well data tells the numbers of a model: their uncertainty, and what it leaves open.

At the end of a fit the loss is taken as quadratic (Laplace's approximation): the weights are
Gaussian about their values, with the covariance ``(J^T J / s^2 + W)^-1``, J being the derivatives
of the residuals over all training rows, s^2 the mean square that is left, and W the priors. Where
motion says nothing, the prior remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.predictors import Informed
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.lessons import Lesson, thinned
from mosim_gym.fit.levenberg import LevenbergMarquardt
from mosim_gym.fit.pairs import Pairs

#: Rows that stand for all.
_ROWS = 2048
#: A number or combination is known where data leaves this much of its prior's width at most: of one
#: learned from scratch some 10 %.
KNOWN = 0.03
# Relative to the largest, eigenvalues below this are rounding.
_ROUNDING = 1e-12
_TINY = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Identified:
    """What data told of the numbers of a model.

    Attributes:
        names: kind of each, and what it belongs to.
        start: where they started, ``(k,)``.
        found: ``(k,)``.
        spread: standard deviation of each, given the scale, ``(k,)``.
        known: whether data and not the prior tells it, ``(k,)`` bool.
        determined: how many combinations of the weights data tells.
        weights: how many weights there are.
        scale: kind and owner of the number that is taken as exact, so that others are known
            relative to it.
    """

    names: list[tuple[str, str]]
    start: Tensor
    found: Tensor
    spread: Tensor
    known: Tensor
    determined: int
    weights: int
    scale: tuple[str, str] | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        fields = ("kind", "of", "start", "found", "spread", "known")
        kinds, owners = zip(*self.names, strict=True)
        columns = (x.tolist() for x in (self.start, self.found, self.spread, self.known))
        rows = [
            dict(zip(fields, row, strict=True)) for row in zip(kinds, owners, *columns, strict=True)
        ]
        return {
            "numbers": rows,
            "determined": self.determined,
            "weights": self.weights,
            "scale": None if self.scale is None else list(self.scale),
        }


def confidence(simulator: Simulator, lesson: Lesson[Pairs]) -> Identified | None:
    """How well the rows of a lesson tell the numbers of a fitted model.

    ``None`` for models without numbers that mean something, where all were told, and where the
    model cannot tell most of the rows.
    """
    predictor = simulator.predictor
    if not isinstance(predictor, Informed) or lesson.residuals is None:
        return None
    parameters = list(predictor.priors())
    if not parameters:
        return None
    rows = len(lesson.train)
    learner = LevenbergMarquardt(simulator, lesson.residuals, parameters, rows)
    normal = learner.normal_equations(thinned(lesson.train, _ROWS))
    if not normal.enough:
        return None
    # In units of the prior: 1 where data says as much as the prior does.
    prior = learner.precision.rsqrt()
    told = normal.curvature * (rows * normal.width / normal.loss.clamp(min=_TINY))
    value, vector = torch.linalg.eigh(prior[:, None] * told * prior)
    value = (value - _ROUNDING * value[-1]).clamp(min=0.0)
    root = prior[:, None] * vector / (1 + value).sqrt()
    for parameter in parameters:
        parameter.requires_grad_(True)
    numbers = predictor.numbers()
    slope = _derivatives(numbers.values, parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    spread, before = slope @ root, (slope * prior).norm(dim=1)
    if numbers.scale is not None:
        spread = _given(spread, numbers.scale)
    after = spread.norm(dim=1)
    return Identified(
        names=numbers.names,
        start=numbers.start.detach(),
        found=numbers.values.detach(),
        spread=after,
        known=after < KNOWN * before,
        determined=int((value > KNOWN**-2).sum()),
        weights=len(prior),
        scale=None if numbers.scale is None else numbers.names[numbers.scale],
    )


def _derivatives(values: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """Of values ``(k,)`` by all weights, ``(k, weights)``."""
    parts = torch.autograd.grad(
        values, parameters, torch.eye(len(values)).to(values), is_grads_batched=True
    )
    return torch.cat([part.flatten(1) for part in parts], 1)


def _given(spread: Tensor, index: int) -> Tensor:
    """Spreads ``(k, n)``, whose products are covariances, where that number is exact."""
    known = spread[index] / spread[index].norm().clamp(min=_TINY)
    return spread - (spread @ known)[:, None] * known
