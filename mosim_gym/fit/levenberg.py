"""Levenberg-Marquardt: solves for few weights at once, where a model can be exact.

A step minimises the squared residuals of the model linearised in its weights, within a distance
that grows with success (Levenberg 1944, Marquardt 1963). Where a model has priors, they count too.
It needs the derivative of every residual by every weight, so it is for tens to hundreds of weights;
near an exact model it converges quadratically, to the last bits of float64.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vmap

from mosim_gym.dynamics.predictors import Informed, Prior
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.bounded import solve_within
from mosim_gym.fit.pairs import Rows
from mosim_gym.fit.tame import tamed, usual

R = TypeVar("R", bound=Rows)

_FIRST_DAMPING, _LEAST_DAMPING = 1e-3, 1e-14
_EASE, _HARDEN, _TRIES = 1 / 5, 4.0, 12
#: Of the largest curvature: what is below has no unit of its own.
_FLAT = 1e-16
#: A step that leaves more than this of the loss did not help much.
_HARDLY = 0.7
_NOTHING_KNOWN = Prior(math.inf, -math.inf)
#: Rows that count against a prior, at most.
_INDEPENDENT = 100
#: Longest step of a weight, in widths of its prior: what motion hardly tells yet is not thrown to
#: the edge of what can be, from where the way back is long.
_STRIDE = 0.5
#: Share of a batch that must be finite.
_ENOUGH = 0.5
# Rows, times weights, whose derivatives are worked out at a time, and most rows: bounds memory,
# and stays in the cache.
_DERIVATIVES, _ROWS = 2**15, 1024


class Normal(NamedTuple):
    """The normal equations of a batch.

    Attributes:
        loss: mean square of the residuals.
        gradient: half its gradient.
        curvature: the Gauss-Newton half of its second derivative.
        width: residuals a row.
        told: rows that the model can tell, ``(n,)`` bool; all else is of these.
    """

    loss: Tensor
    gradient: Tensor
    curvature: Tensor
    width: int
    told: Tensor

    @property
    def enough(self) -> bool:
        """Whether the rows that the model can tell are not few."""
        return self.told.double().mean().item() >= _ENOUGH


class LevenbergMarquardt(Generic[R]):
    """A learner (`mosim_gym.fit.learners`) that takes a damped Gauss-Newton step a batch."""

    def __init__(
        self,
        simulator: Simulator,
        residuals: Callable[[Simulator, R], Tensor],
        parameters: Sequence[nn.Parameter],
        rows: int,
        tame: float = 1.0,
    ) -> None:
        """Start with a moderate damping.

        Args:
            simulator: the model.
            residuals: whose mean square is to become small.
            parameters: of the model, that learn.
            rows: there are to learn from in all: the more, the less a prior weighs.
            tame: share of a batch's residuals beyond which they count by their logarithm.
        """
        self._call = _Call(simulator, residuals)
        chosen = {id(p) for p in parameters}
        named = [(n, p) for n, p in self._call.named_parameters() if id(p) in chosen]
        self._names = [name for name, _ in named]
        self._parameters = [parameter for _, parameter in named]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        # Backwards row by row, where a model says that this is cheaper than weight by weight.
        self._by_row = bool(getattr(simulator.predictor, "cheap_by_row", False))
        #: By metric.
        self.dampings = [_FIRST_DAMPING, _FIRST_DAMPING]
        self._rows, self._tame = rows, tame
        #: Residuals beyond this size count by their logarithm.
        self._usual = math.inf
        predictor = simulator.predictor
        known = predictor.priors() if isinstance(predictor, Informed) else {}
        priors = [known.get(p, _NOTHING_KNOWN) for p in self._parameters]
        #: Inverse squares of the widths of priors.
        self.precision = self._each([prior.width**-2 for prior in priors])
        self._least = self._each([prior.least for prior in priors])

    @torch.no_grad()
    def step(self, batch: R, factor: float) -> float:
        """Take the step that makes the loss on `batch` smaller, if one does; `factor` is unused."""
        weights = self.weights
        self._find_usual(batch)
        normal = self.normal_equations(batch)
        # A row that the model cannot tell must not end a fit, unless such rows are many.
        if not normal.enough:
            return math.nan
        loss, gradient, curvature, width, told = normal
        # A step that loses any of the others has a loss that is not finite, and is not taken.
        batch = batch.rows(torch.nonzero(told)[:, 0])
        before = loss.item()
        # The more is left unexplained, and the fewer rows there are, the more a prior counts. What
        # is left while a model is wrong is no noise, so that many rows tell no more than some.
        prior = loss * self.precision / (min(self._rows, _INDEPENDENT) * width)
        gradient = gradient + prior * weights
        curvature = curvature + torch.diag(prior)

        # Models may do without what only derivatives need.
        @torch.inference_mode()
        def left(tried: Tensor) -> float:
            return float(self._loss(tried, batch) + (prior * tried.square()).sum())

        stride = _STRIDE * self.precision.rsqrt()
        room = torch.minimum(weights - self._least, stride)
        best = weights
        least = objective = before + float((prior * weights.square()).sum())
        for k, metric in enumerate(_metrics(curvature)):
            at_first = self.dampings[k]
            for _ in range(_TRIES):
                matrix = curvature + self.dampings[k] * metric
                tried = weights - solve_within(matrix, gradient, -stride, room)
                after = left(tried)
                if after < objective:
                    break
                self.dampings[k] *= _HARDEN
            else:
                # Nothing is left to gain on this batch, which says nothing of the next.
                self.dampings[k] = at_first
                continue
            self.dampings[k] = max(self.dampings[k] * _EASE, _LEAST_DAMPING)
            if after < least:
                best, least = tried, after
            if least < _HARDLY * objective:
                break
        self._put(best)
        return before

    @property
    def weights(self) -> Tensor:
        """All that learn, in one."""
        return torch.cat([p.detach().flatten() for p in self._parameters])

    def state(self) -> dict[str, Any]:
        """The dampings."""
        return {"dampings": list(self.dampings)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.dampings = [float(damping) for damping in state["dampings"]]

    @torch.no_grad()
    def normal_equations(self, batch: R) -> Normal:
        """Of a batch, at the weights as they are."""
        weights = self.weights
        square = weights.new_zeros(())
        gradient = torch.zeros_like(weights)
        curvature = weights.new_zeros(len(weights), len(weights))
        told, width = list[Tensor](), 0
        for part in _parts(batch, max(1, min(_ROWS, _DERIVATIVES // len(weights)))):
            value = self._residuals(weights, part)
            width = len(value) // len(part)
            jacobian = self._jacobian(weights, part, width)
            finite = value.isfinite() & jacobian.isfinite().all(1)
            told.append(finite.view(len(part), width).all(1))
            counts = told[-1].repeat_interleave(width)
            # In place of rows that are not told, which are few, nothing.
            value = torch.where(counts, value, 0.0)
            jacobian = torch.where(counts[:, None], jacobian, 0.0)
            square += value.square().sum()
            gradient += jacobian.T @ value
            curvature += jacobian.T @ jacobian
        rows = torch.cat(told)
        count = max(1, int(rows.sum())) * width
        return Normal(square / count, gradient / count, curvature / count, width, rows)

    def _jacobian(self, weights: Tensor, part: R, width: int) -> Tensor:
        """Derivatives ``(residuals, weights)`` of `width` residuals a row."""
        if self._by_row and width < len(weights):

            def of_row(at: Tensor, row: Tensor) -> Tensor:
                return self._residuals(at, part.rows(row.view(1)))

            rows = torch.arange(len(part))
            return vmap(jacrev(of_row), in_dims=(None, 0))(weights, rows).flatten(0, 1)

        def along(direction: Tensor) -> Tensor:
            return jvp(lambda at: self._residuals(at, part), (weights,), (direction,))[1]

        with warnings.catch_warnings():
            # Loading its own rules for derivatives, torch uses what it deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            return vmap(along)(torch.eye(len(weights)).to(weights)).T

    def _loss(self, weights: Tensor, batch: R) -> Tensor:
        return self._residuals(weights, batch).square().mean()

    def _residuals(self, weights: Tensor, batch: R) -> Tensor:
        pieces = zip(self._names, self._parameters, weights.split(self._sizes), strict=True)
        values = {name: piece.view(p.shape) for name, p, piece in pieces}
        residuals = functional_call(self._call, values, (batch,)).flatten()
        return residuals if self._usual == math.inf else tamed(residuals, self._usual)

    def _find_usual(self, batch: R) -> None:
        if self._tame < 1:
            self._usual = math.inf
            self._usual = usual(self._residuals(self.weights, batch), self._tame)

    def _each(self, values: Sequence[float]) -> Tensor:
        """A value a parameter as one a weight."""
        parts = zip(self._parameters, values, strict=True)
        return torch.cat([torch.full_like(p, value).flatten() for p, value in parts])

    def _put(self, weights: Tensor) -> None:
        for parameter, piece in zip(self._parameters, weights.split(self._sizes), strict=True):
            parameter.copy_(piece.view(parameter.shape))


class _Call(nn.Module, Generic[R]):
    """The residuals of a model as a module's call, which `functional_call` wants."""

    def __init__(self, simulator: Simulator, residuals: Callable[[Simulator, R], Tensor]) -> None:
        super().__init__()
        self.simulator = simulator
        self._of = residuals

    def forward(self, batch: R) -> Tensor:
        return self._of(self.simulator, batch)


def _metrics(curvature: Tensor) -> tuple[Tensor, Tensor]:
    """What a distance between weights is, in the order they are tried.

    First one unit for all: weights that hardly matter yet stay where they are. Where that hardly
    helps any more, each in its own (Marquardt's): along those the way left is long and shallow, as
    towards a number that is 0 in truth and learned by its logarithm.
    """
    diagonal = curvature.diagonal()
    one = torch.eye(len(curvature)).to(curvature) * diagonal.max()
    return one, torch.diag(diagonal.clamp(min=_FLAT * diagonal.max()))


def _parts(batch: R, size: int) -> list[R]:
    return [batch.rows(index) for index in torch.arange(len(batch)).split(size)]
