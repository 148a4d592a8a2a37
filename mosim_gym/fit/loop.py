"""Trainer: the optimiser loop of a fit, which can stop at any step and go on to the same bits."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.interrupts import stop_between_steps
from mosim_gym.fit.learners import make_learner
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.pairs import Rows
from mosim_gym.fit.presets import Preset
from mosim_gym.fit.stages import Stage, stage_ends

_EVALUATIONS = 40
_MOST_STEPS_BETWEEN = 500
_TIMED_STEPS = 10
#: Rows that hard ones are chosen among, for each row of a batch.
_POOL = 8
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
        lessons: Callable[[Stage], Lesson[R]],
        seed: int,
    ) -> None:
        """Prepare the first stage.

        Args:
            simulator: the model, its scales already learned.
            preset: the recipe.
            lessons: what each stage learns from.
            seed: of the batches.
        """
        self.simulator = simulator
        self.preset = preset
        self._lessons = lessons
        self.seed = seed
        self.progress = Progress()
        self.last_loss = math.nan
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
            "learner": self._learner.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        names = ("step", "stage", "best_error", "best_step", "best")
        self.progress = Progress(**{name: state[name] for name in names})
        self.simulator.load_state_dict(state["model"])
        self._start_stage()
        self._learner.load_state(state["learner"])

    def _start_stage(self) -> None:
        self._learning = self.stage.parameters(self.simulator)
        self._set_free()
        self.lesson = self._lessons(self.stage)
        self._learner = make_learner(self.simulator, self.lesson, self.preset, self.stage)

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
            before = self.lesson
            self.progress.stage += 1
            self._start_stage()
            if self.lesson is not before:
                # Errors of another kind: the best so far is what this stage starts from.
                self.progress.best_error = math.inf
                self._evaluate()

    def _step(self, factor: float) -> None:
        step = self.progress.step
        self.last_loss = self._learner.step(self._batch(step), factor)
        if not math.isfinite(self.last_loss):
            self.restore_best()
            raise LossNotFiniteError(
                f"The training loss became {self.last_loss} at step {step}. The best weights so "
                f"far (held-out error {self.progress.best_error:.3g}, step "
                f"{self.progress.best_step}) are kept. Look for outliers in the data, or use a "
                "lower learning rate."
            )

    def _batch(self, step: int) -> R:
        train, size = self.lesson.train, self.stage.batch_size or self.preset.batch_size
        generator = torch.Generator().manual_seed(self.seed * _SEED_STRIDE + step)
        if not self.stage.hard or self.lesson.residuals is None:
            return train.rows(torch.randint(len(train), (size,), generator=generator))
        pool = torch.randint(len(train), (_POOL * size,), generator=generator)
        with torch.no_grad():
            errors = self.lesson.residuals(self.simulator, train.rows(pool)).square().mean(1)
        n_hard = round(self.stage.hard * size)
        hard = pool[errors.topk(n_hard).indices]
        return train.rows(torch.cat([pool[: size - n_hard], hard]))

    @torch.no_grad()
    def _evaluate(self) -> float:
        """Held-out error of the model as it is; keeps the weights if they are the best."""
        error = float(self.lesson.loss(self.simulator, self.lesson.held_out))
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
