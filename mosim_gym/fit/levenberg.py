"""Levenberg-Marquardt: solves for few weights at once, where a model can be exact.

A step minimises the squared residuals of the model linearised in its weights, within a distance
that grows with success (Levenberg 1944, Marquardt 1963). It needs the derivative of every residual
by every weight, so it is for tens to hundreds of weights; near an exact model it converges
quadratically, to the last bits of float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vmap

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.pairs import Rows

R = TypeVar("R", bound=Rows)

_FIRST_DAMPING, _LEAST_DAMPING = 1e-3, 1e-14
_EASE, _HARDEN, _TRIES = 1 / 5, 4.0, 8
# Rows whose derivatives are worked out at a time: bounds memory, and stays in the cache.
_ROWS = 1024


class LevenbergMarquardt(Generic[R]):
    """A learner (`mosim_gym.fit.learners`) that takes a damped Gauss-Newton step a batch."""

    def __init__(
        self,
        simulator: Simulator,
        residuals: Callable[[Simulator, R], Tensor],
        parameters: Sequence[nn.Parameter],
    ) -> None:
        """Start with a moderate damping."""
        self._call = _Call(simulator, residuals)
        chosen = {id(p) for p in parameters}
        named = [(n, p) for n, p in self._call.named_parameters() if id(p) in chosen]
        self._names = [name for name, _ in named]
        self._parameters = [parameter for _, parameter in named]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        self.damping = _FIRST_DAMPING

    @torch.no_grad()
    def step(self, batch: R, factor: float) -> float:
        """Take the step that makes the loss on `batch` smaller, if one does; `factor` is unused."""
        weights = torch.cat([p.flatten() for p in self._parameters])
        loss, gradient, curvature = self._normal_equations(weights, batch)
        before = loss.item()
        if not loss.isfinite():
            return before
        # One distance for all weights: those that hardly matter yet stay where they are.
        metric = torch.eye(len(weights)).to(curvature) * curvature.diagonal().max()
        for _ in range(_TRIES):
            matrix = curvature + self.damping * metric
            solution, failed = torch.linalg.solve_ex(matrix, gradient)
            after = self._loss(weights - solution, batch)
            if not failed and after < loss:
                self._put(weights - solution)
                self.damping = max(self.damping * _EASE, _LEAST_DAMPING)
                return before
            self.damping *= _HARDEN
        return before

    def state(self) -> dict[str, Any]:
        """The damping."""
        return {"damping": self.damping}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.damping = float(state["damping"])

    def _normal_equations(self, weights: Tensor, batch: R) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, half its gradient, and the Gauss-Newton half of its second derivative."""
        directions = torch.eye(len(weights)).to(weights)
        square = weights.new_zeros(())
        gradient, curvature = torch.zeros_like(weights), torch.zeros_like(directions)
        count = 0
        for part in _parts(batch):

            def residuals(at: Tensor, part: R = part) -> Tensor:
                return self._residuals(at, part)

            def along(direction: Tensor, of: Callable[[Tensor], Tensor] = residuals) -> Tensor:
                return jvp(of, (weights,), (direction,))[1]

            value = residuals(weights)
            with warnings.catch_warnings():
                # Loading its own rules for derivatives, torch uses what it deprecates.
                warnings.simplefilter("ignore", DeprecationWarning)
                jacobian = vmap(along)(directions)
            square += value.square().sum()
            gradient += jacobian @ value
            curvature += jacobian @ jacobian.T
            count += len(value)
        return square / count, gradient / count, curvature / count

    def _loss(self, weights: Tensor, batch: R) -> Tensor:
        return self._residuals(weights, batch).square().mean()

    def _residuals(self, weights: Tensor, batch: R) -> Tensor:
        pieces = zip(self._names, self._parameters, weights.split(self._sizes), strict=True)
        values = {name: piece.view(p.shape) for name, p, piece in pieces}
        return functional_call(self._call, values, (batch,)).flatten()

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


def _parts(batch: R) -> list[R]:
    return [batch.rows(index) for index in torch.arange(len(batch)).split(_ROWS)]
