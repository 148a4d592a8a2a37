"""Trainer: the optimiser loop of a fit, which can stop at any step and go on to the same bits."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit.batches import draw
from mosim_gym.fit.interrupts import stop_between_steps
from mosim_gym.fit.learners import make_learner
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.pairs import Rows
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Stage, stage_ends

#: Of a stage.
_EVALUATIONS = 40
_MOST_STEPS_BETWEEN = 500
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
                self._step((progress.step - start) / (end - start))
                progress.step += 1
                every = max(1, min(_MOST_STEPS_BETWEEN, (end - start) // _EVALUATIONS))
                if (progress.step - start) % every == 0 or progress.step == end:
                    report(self, self._evaluate())
                stop_if_asked()
        self.restore_best()

    def timed(self) -> tuple[float, float]:
        """Seconds a step and an evaluation take; timed on copies of model and state."""
        probe = copy.copy(self)
        probe.simulator = copy.deepcopy(self.simulator)
        seconds, stages = 0.0, self.preset.stages
        for index, stage in enumerate(stages):
            probe.progress = Progress(stage=index)
            probe._start_stage()
            sizes = len(stage.batch_sizes(self.preset.batch_size))
            each = [probe._seconds_a_step((k + 0.5) / sizes) for k in range(sizes)]
            seconds += stage.share * sum(each) / sizes
        start = time.perf_counter()
        probe._evaluate()
        evaluation = time.perf_counter() - start
        return seconds / sum(stage.share for stage in stages), evaluation

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
            "average": None if self._average is None else dict(self._average.state_dict()),
            "learner": self._learner.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        names = ("step", "stage", "best_error", "best_step", "best")
        self.progress = Progress(**{name: state[name] for name in names})
        self.simulator.load_state_dict(state["model"])
        self._start_stage()
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._learner.load_state(state["learner"])

    def _start_stage(self) -> None:
        self._learning = self.stage.parameters(self.simulator)
        self._set_free()
        self.lesson = self._lessons(self.stage)
        self._learner = make_learner(self.simulator, self.lesson, self.preset, self.stage)
        self._average: AveragedModel | None = None
        if self.stage.averaging:
            mean = get_ema_multi_avg_fn(self.stage.averaging)
            self._average = AveragedModel(self.simulator, multi_avg_fn=mean)

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

    def _step(self, done: float) -> None:
        """One step, when that share of the stage's steps is done."""
        step = self.progress.step
        self.last_loss = self._learner.step(self._batch(step, done), _cosine(done))
        if not math.isfinite(self.last_loss):
            self.restore_best()
            raise LossNotFiniteError(
                f"The training loss became {self.last_loss} at step {step}. The best weights so "
                f"far (held-out error {self.progress.best_error:.3g}, step "
                f"{self.progress.best_step}) are kept. Look for outliers in the data, or use a "
                "lower learning rate."
            )
        if self._average is not None:
            self._average.update_parameters(self.simulator)

    def _seconds_a_step(self, done: float) -> float:
        for _ in range(_WARM_UP_STEPS):
            self._step(done)
        start = time.perf_counter()
        for _ in range(_TIMED_STEPS):
            self._step(done)
        return (time.perf_counter() - start) / _TIMED_STEPS

    def _batch(self, step: int, done: float) -> R:
        sizes = self.stage.batch_sizes(self.preset.batch_size)
        size = sizes[min(int(done * len(sizes)), len(sizes) - 1)]
        generator = torch.Generator().manual_seed(self.seed * _SEED_STRIDE + step)
        return draw(self.simulator, self.lesson, self.stage, size, generator)

    def _evaluate(self) -> float:
        """Held-out error of the model as it is, or of its average where that is lower."""
        error = self._judge(self.simulator)
        if self._average is not None and self._average.n_averaged > 0:
            error = min(error, self._judge(cast(Simulator, self._average.module)))
        return error

    @torch.no_grad()
    def _judge(self, simulator: Simulator) -> float:
        """Held-out error of a model; keeps its weights if they are the best."""
        # Models may then do without what only derivatives need.
        with torch.inference_mode():
            error = float(self.lesson.loss(simulator, self.lesson.held_out))
        progress = self.progress
        if error < progress.best_error or not progress.best:
            progress.best_error, progress.best_step = error, progress.step
            state = simulator.state_dict()
            progress.best = {name: value.clone() for name, value in state.items()}
        return error


def steps_within(trainers: Sequence[Trainer[Any]], seconds: float) -> int:
    """Steps of the first trainer that fit into that time with those of the others, at least 1.

    The others take as large a part of their recipes' steps as it does of its own.
    """
    step = evaluation = 0.0
    for trainer in trainers:
        seconds_a_step, seconds_an_evaluation = trainer.timed()
        step += seconds_a_step * trainer.preset.steps / trainers[0].preset.steps
        evaluation += seconds_an_evaluation
    # Few steps are evaluated after each; many, every so often.
    most = _EVALUATIONS * max(len(trainer.preset.stages) for trainer in trainers)
    few = seconds / (step + evaluation)
    many = (seconds - most * evaluation) / step
    return max(1, round(max(few, many) if few > most else few))


def _cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))
