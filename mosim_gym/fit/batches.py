"""The rows that one step of a fit learns from: how many, and how many of them are hard ones."""

from __future__ import annotations

import math
from typing import TypeVar

import torch

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.pairs import Rows
from mosim_gym.fit.stages import Stage

R = TypeVar("R", bound=Rows)


def draw(
    simulator: Simulator, lesson: Lesson[R], stage: Stage, size: int, generator: torch.Generator
) -> R:
    """A batch of `size` rows: from all rows alike, or a set share of them from the hard ones.

    That is the rebalancing of MoSim (arXiv 2504.07095): rows are easy or hard by the error that
    the model makes on them, and either kind has its rate in a batch. Here they are told apart for
    each batch anew, among as few random rows as hold enough of both.

    Raises:
        MosimError: if the loss of the lesson does not tell the error of a row.
    """
    train = lesson.train
    if not stage.hard:
        return train.rows(torch.randint(len(train), (size,), generator=generator))
    if lesson.residuals is None:
        raise MosimError(
            f"The stage {stage.name} asks for hard rows (hard={stage.hard:g}), but its loss does "
            "not tell the error of a row. Enter its residuals in mosim_gym.fit.losses.RESIDUALS, "
            "or use hard=0."
        )
    n_hard = round(stage.hard * size)
    n_easy = size - n_hard
    count = math.ceil(max(n_easy / stage.easy_share, n_hard / (1 - stage.easy_share)))
    pool = torch.randint(len(train), (count,), generator=generator)
    with torch.no_grad():
        errors = lesson.residuals(simulator, train.rows(pool)).square().mean(1)
    easy, hard = errors.argsort().tensor_split([round(stage.easy_share * count)])
    # In the order they were drawn in, the first of either kind are random ones of it.
    chosen = torch.cat([easy.sort().values[:n_easy], hard.sort().values[:n_hard]])
    return train.rows(pool[chosen])
