"""What a stage of a fit learns from: rows to train on, rows to judge by, and the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.losses import RESIDUALS, get_loss, unrolled_error, unrolled_residuals
from mosim_gym.fit.pairs import Pairs, Rows, make_pairs
from mosim_gym.fit.stages import Stage
from mosim_gym.fit.tame import trimmed_mean
from mosim_gym.fit.unrolls import Unrolls, make_unrolls

_HELD_OUT_PAIRS = 10_000

R = TypeVar("R", bound=Rows)


@dataclass(frozen=True, slots=True)
class Lesson(Generic[R]):
    """One kind of rows and its loss.

    Attributes:
        train: what is learned from.
        held_out: what picks the best weights.
        loss: (model, rows) -> a scalar that is to become small.
        residuals: (model, rows) -> ``(rows, k)`` whose mean square is the loss, where it is one.
    """

    train: R
    held_out: R
    loss: Callable[[Simulator, R], Tensor]
    residuals: Callable[[Simulator, R], Tensor] | None = None


class Lessons:
    """The lessons of a dataset in motion: one-step pairs, and unrolled stretches of episodes.

    Attributes:
        one_step: the former.
    """

    def __init__(
        self, simulator: Simulator, loss: str, train: Dataset, held_out: Dataset, pairs: Pairs
    ) -> None:
        """`pairs` are those of `train`, made already to learn the scales from."""
        self._simulator, self._train, self._held_out = simulator, train, held_out
        others = thinned(make_pairs(simulator, held_out), _HELD_OUT_PAIRS)
        self.one_step = Lesson(pairs, others, get_loss(loss), RESIDUALS.get(loss))
        self._by_tame = {1.0: self.one_step}

    def __call__(self, stage: Stage) -> Lesson[Pairs] | Lesson[Unrolls]:
        """What that stage learns from."""
        if stage.unroll == 1:
            return self._tamed(stage.tame)
        train = make_unrolls(self._simulator, self._train, stage.unroll)
        others = make_unrolls(self._simulator, self._held_out, stage.unroll)
        most = max(1, _HELD_OUT_PAIRS // stage.unroll)
        return Lesson(train, thinned(others, most), unrolled_error, unrolled_residuals)

    def _tamed(self, share: float) -> Lesson[Pairs]:
        """Single steps, judged by this share of the squared residuals; always the same object."""
        residuals = self.one_step.residuals
        if share not in self._by_tame and residuals is not None:

            def left(simulator: Simulator, rows: Pairs) -> Tensor:
                return trimmed_mean(residuals(simulator, rows), share)

            self._by_tame[share] = replace(self.one_step, loss=left)
        return self._by_tame.get(share, self.one_step)


def thinned(rows: R, most: int = _HELD_OUT_PAIRS) -> R:
    """Every so many rows, at most `most`."""
    every = max(1, math.ceil(len(rows) / most))
    return rows.rows(torch.arange(0, len(rows), every))
