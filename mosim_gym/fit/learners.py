"""How weights are changed to make a loss small: along gradients, or by solving for them.

A learner takes one step on one batch at a time; what it must remember is its state, so that a fit
can stop at any step and go on to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.levenberg import LevenbergMarquardt
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT, OPTIMIZERS
from mosim_gym.fit.pairs import Rows
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Stage

# Its matrix is solved in well under a second, its derivatives fit into the cache.
_MOST_WEIGHTS = 2000

R = TypeVar("R", bound=Rows)
R_contra = TypeVar("R_contra", bound=Rows, contravariant=True)


class Learner(Protocol[R_contra]):
    """Changes the weights of a stage."""

    def step(self, batch: R_contra, factor: float) -> float:
        """Take a step; the loss before it. Where that is not finite, no step is taken."""
        ...

    def state(self) -> dict[str, Any]:
        """What must be remembered, for `load_state`."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        ...


class GradientDescent(Generic[R]):
    """An optimiser of torch, with the gradient's norm clipped."""

    def __init__(
        self,
        simulator: Simulator,
        lesson: Lesson[R],
        parameters: Sequence[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        clip: float,
    ) -> None:
        """The learning rate of `optimizer` is that of factor 1."""
        self._simulator, self._lesson = simulator, lesson
        self._parameters, self._optimizer, self._clip = parameters, optimizer, clip
        self._peaks = [group["lr"] for group in optimizer.param_groups]

    def step(self, batch: R, factor: float) -> float:
        """Take a step at `factor` times the learning rate."""
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        self._optimizer.zero_grad()
        loss = self._lesson.loss(self._simulator, batch)
        value = loss.item()
        if not math.isfinite(value):
            return value
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._optimizer.step()
        _settle(self._optimizer)
        return value

    def state(self) -> dict[str, Any]:
        """The optimiser's own."""
        return self._optimizer.state_dict()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._optimizer.load_state_dict(dict(state))


class Idle(Generic[R]):
    """For a part of which nothing is left to learn: all is told."""

    def step(self, batch: R, factor: float) -> float:
        """Do nothing."""
        return 0.0

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to do."""


def make_learner(
    simulator: Simulator, lesson: Lesson[R], preset: Preset, stage: Stage
) -> Learner[R]:
    """The learner that `preset` names for this stage.

    Raises:
        MosimError: if the loss is not one that can be solved for.
    """
    parameters = stage.parameters(simulator)
    if not parameters:
        return Idle()
    name = stage.optimizer or preset.optimizer
    if name == LEVENBERG_MARQUARDT:
        if lesson.residuals is None:
            raise MosimError(
                f'The optimizer "{name}" needs a loss that is a mean of squares of residuals; '
                f'"{preset.loss}" is not known to be. Use "whitened_increment" or "soap".'
            )
        count = sum(parameter.numel() for parameter in parameters)
        if count > _MOST_WEIGHTS:
            raise MosimError(
                f'The optimizer "{name}" solves for all weights at once, at most {_MOST_WEIGHTS}; '
                f"this model of {simulator.spec.name} has {count}. Use preset="
                '"lagrangian_network", or an optimizer that follows gradients ("soap").'
            )
        return LevenbergMarquardt(
            simulator, lesson.residuals, parameters, len(lesson.train), stage.tame
        )
    if stage.tame < 1:
        raise MosimError(
            f'Stage.tame is {stage.tame}, which is for "{LEVENBERG_MARQUARDT}"; the optimizer is '
            f'"{name}". Leave it out.'
        )
    peak = preset.learning_rate * stage.learning_rate
    optimizer = OPTIMIZERS[name](parameters, peak)
    return GradientDescent(simulator, lesson, parameters, optimizer, preset.clip)


def _settle(optimizer: torch.optim.Optimizer) -> None:
    """Lay the optimizer's matrices out row by row, as they will be after a save and a load.

    A product with a transposed layout may round differently; resumed fits must not differ.
    """
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, list):
                value[:] = [v.contiguous() if isinstance(v, Tensor) else v for v in value]
