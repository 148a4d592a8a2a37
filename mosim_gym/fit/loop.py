"""Trainer: the optimiser loop of a fit, which can stop at any step and go on to the same bits."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.interrupts import stop_between_steps
from mosim_gym.fit.pairs import Rows
from mosim_gym.fit.presets import OPTIMIZERS, Preset
from mosim_gym.fit.stages import Stage, stage_ends

_EVALUATIONS = 40
_MOST_STEPS_BETWEEN = 500
_HELD_OUT_PAIRS = 10_000
_TIMED_STEPS = 10
_WARM_UP_STEPS = 2
#: Two multipliers that keep the batches of different seeds and steps apart.
_SEED_STRIDE = 1_000_003


#: What a trainer learns from.
R = TypeVar("R", bound=Rows)


class LossNotFiniteError(MosimError):
    """Training broke down; the best weights so far are kept."""


@dataclass
class Progress:
    """Where a fit stands.

    Attributes:
        step: optimiser steps done.
        stage: index of the stage under way.
        best_error: lowest held-out error so far; starts at that of the untrained model.
        best_step: the step at which it was reached.
        best: the weights that reached it.
    """

    step: int = 0
    stage: int = 0
    best_error: float = math.inf
    best_step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


class Trainer(Generic[R]):
    """Trains a model stage by stage.

    Batches depend on (seed, step) alone and the learning rate on the step alone, so that a fit
    that was stopped and resumed takes exactly the steps of one that was not.
    """

    def __init__(
        self,
        simulator: Simulator,
        preset: Preset,
        train: R,
        held_out: R,
        seed: int,
        loss: Callable[[Simulator, R], Tensor],
    ) -> None:
        """Prepare the first stage.

        Args:
            simulator: the model, its scales already learned.
            preset: the recipe.
            train: what it learns from.
            held_out: what picks the best weights.
            seed: of the batches.
            loss: what is to become small.
        """
        self.simulator = simulator
        self.preset = preset
        self.train = train
        self.held_out = _thinned(held_out, _HELD_OUT_PAIRS)
        self.seed = seed
        self.progress = Progress()
        self.last_loss = math.nan
        self._loss = loss
        self._start_stage()

    @property
    def stage(self) -> Stage:
        """The stage under way."""
        return self.preset.stages[self.progress.stage]

    def run(self, steps: int, report: Callable[[Trainer[R], float], None]) -> None:
        """Train up to `steps` in all, then put the best weights into the model.

        Args:
            steps: optimiser steps over all stages, those already done included.
            report: called with the held-out error after each evaluation.

        Raises:
            LossNotFiniteError: if the loss is not finite; the model then has its best weights.
            StoppedBetweenStepsError: on Ctrl-C, between two steps, so that the state is whole.
            KeyboardInterrupt: on a second Ctrl-C, at once: half a step may have been taken.
        """
        ends = stage_ends(self.preset.stages, steps)
        every = max(1, min(_MOST_STEPS_BETWEEN, steps // _EVALUATIONS))
        progress = self.progress
        self._set_free()
        if progress.step == 0 and not progress.best:
            self._evaluate()
        with stop_between_steps() as stop_if_asked:
            while progress.step < steps:
                start = ends[progress.stage - 1] if progress.stage else 0
                end = ends[progress.stage]
                stale = progress.step - max(progress.best_step, start)
                if progress.step >= end or stale > self.preset.patience * (end - start):
                    self._end_stage(end)
                    continue
                self._step(_cosine(progress.step - start, end - start))
                progress.step += 1
                if progress.step % every == 0 or progress.step == end:
                    report(self, self._evaluate())
                stop_if_asked()
        self.restore_best()

    def timed(self) -> tuple[float, float]:
        """Seconds a step and an evaluation take; timed on copies of model and state."""
        probe = copy.copy(self)
        probe.simulator = copy.deepcopy(self.simulator)
        probe.progress = Progress(stage=len(self.preset.stages) - 1)
        probe._start_stage()
        for _ in range(_WARM_UP_STEPS):
            probe._step(1.0)
        start = time.perf_counter()
        for _ in range(_TIMED_STEPS):
            probe._step(1.0)
        step = (time.perf_counter() - start) / _TIMED_STEPS
        start = time.perf_counter()
        probe._evaluate()
        return step, time.perf_counter() - start

    def restore_best(self) -> None:
        """Put the best weights so far into the model."""
        if self.progress.best:
            self.simulator.load_state_dict(self.progress.best)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, for `load_state`."""
        progress = self.progress
        return {
            "step": progress.step,
            "stage": progress.stage,
            "best_error": progress.best_error,
            "best_step": progress.best_step,
            "best": dict(progress.best),
            "model": dict(self.simulator.state_dict()),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        names = ("step", "stage", "best_error", "best_step", "best")
        self.progress = Progress(**{name: state[name] for name in names})
        self.simulator.load_state_dict(state["model"])
        self._start_stage()
        self._optimizer.load_state_dict(state["optimizer"])

    def _start_stage(self) -> None:
        self._learning = self.stage.parameters(self.simulator)
        self._set_free()
        self._peak = self.preset.learning_rate * self.stage.learning_rate
        self._optimizer = OPTIMIZERS[self.preset.optimizer](self._learning, self._peak)

    def _set_free(self) -> None:
        """Let what learns learn, and nothing else: several trainers may share a model."""
        self.simulator.requires_grad_(False)
        for parameter in self._learning:
            parameter.requires_grad_(True)

    def _end_stage(self, end: int) -> None:
        """Go to the next stage from the best weights; early ends skip to where this one ends."""
        self.progress.step = end
        self.restore_best()
        if self.progress.stage + 1 < len(self.preset.stages):
            self.progress.stage += 1
            self._start_stage()

    def _step(self, factor: float) -> None:
        step = self.progress.step
        generator = torch.Generator().manual_seed(self.seed * _SEED_STRIDE + step)
        rows = torch.randint(len(self.train), (self.preset.batch_size,), generator=generator)
        for group in self._optimizer.param_groups:
            group["lr"] = self._peak * factor
        self._optimizer.zero_grad()
        loss = self._loss(self.simulator, self.train.rows(rows))
        self.last_loss = loss.item()
        if not math.isfinite(self.last_loss):
            self.restore_best()
            raise LossNotFiniteError(
                f"The training loss became {self.last_loss} at step {step}. The best weights so "
                f"far (held-out error {self.progress.best_error:.3g}, step "
                f"{self.progress.best_step}) are kept. Look for outliers in the data, or use a "
                "lower learning rate."
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self._learning, self.preset.clip)
        self._optimizer.step()
        _settle(self._optimizer)

    @torch.no_grad()
    def _evaluate(self) -> float:
        """Held-out error of the model as it is; keeps the weights if they are the best."""
        error = float(self._loss(self.simulator, self.held_out))
        progress = self.progress
        if error < progress.best_error or not progress.best:
            progress.best_error, progress.best_step = error, progress.step
            state = self.simulator.state_dict()
            progress.best = {name: value.clone() for name, value in state.items()}
        return error


def steps_within(trainers: Sequence[Trainer[Any]], seconds: float) -> int:
    """Steps of each of the trainers that fit into that time together, at least 1."""
    times = [trainer.timed() for trainer in trainers]
    step, evaluation = (sum(of) for of in zip(*times, strict=True))
    # Few steps are evaluated after each; many, every so often.
    few = seconds / (step + evaluation)
    many = (seconds - _EVALUATIONS * evaluation) / step
    return max(1, round(max(few, many) if few > _EVALUATIONS else few))


def _cosine(step: int, steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))


def _thinned(pairs: R, most: int) -> R:
    every = max(1, math.ceil(len(pairs) / most))
    return pairs.rows(torch.arange(0, len(pairs), every))


def _settle(optimizer: torch.optim.Optimizer) -> None:
    """Lay the optimizer's matrices out row by row, as they will be after a save and a load.

    A product with a transposed layout may round differently; resumed fits must not differ.
    """
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, list):
                value[:] = [v.contiguous() if isinstance(v, Tensor) else v for v in value]
