"""A model that goes on learning while data arrives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.predictors import Detailed, Observant
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.learners import Learner, make_learner
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.losses import RESIDUALS, get_loss
from mosim_gym.fit.pairs import Pairs, choose_start, learn_range, learn_scales, make_pairs
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Part, Stage, stage_ends
from mosim_gym.fit.touch import learn_newtons
from mosim_gym.robots.spec import RobotSpec

#: Scales follow the data whenever there is so many times more of it.
_MORE = 2.0
_SEED_STRIDE = 1_000_003


class Refit:
    """A model, what it has learned so far, and how it learns more.

    Unlike a fit it sets no episode apart and keeps the last weights: new data tells how good they
    are, before it is learned from.

    Attributes:
        simulator: the model, always the same object.
        steps: optimiser steps so far.
    """

    def __init__(self, spec: RobotSpec, preset: Preset, seed: int = 0) -> None:
        """Make an untrained model.

        Args:
            spec: the body.
            preset: the recipe; its stages take turns on the first data, the last of them goes on
                later, all by single steps. Where some learn correctors, all parts learn together.
            seed: of weights and batches.
        """
        self.preset, self.seed, self.steps = preset, seed, 0
        self.simulator = _untrained(spec, preset, seed, touch=bool(spec.touch))
        if self.simulator.touch_head is not None:
            # None is trained here: touch is told by forces, or not at all.
            self.simulator = _untrained(spec, preset, seed, touch=False)
        self._scaled_at = 0
        #: Whether motion has told the predictor its details.
        self._detailed = False
        self._learner_state: dict[str, Any] | None = None

    def learn(
        self, data: Dataset, steps: int, *, newest: int = 0, newest_share: float = 0.0
    ) -> float:
        """Take some steps on all data there is now, the learning rate falling to zero.

        Args:
            data: everything so far, the newest episodes last.
            steps: optimiser steps.
            newest: control steps that count as new.
            newest_share: of each batch that is drawn from those.

        Returns:
            The mean loss over the steps.
        """
        first = not self._scaled_at
        pairs = make_pairs(self.simulator, data)
        if len(pairs) >= _MORE * self._scaled_at:
            learn_scales(self.simulator, pairs)
            if first:
                choose_start(self.simulator, pairs)
                predictor = self.simulator.predictor
                if isinstance(predictor, Observant) and isinstance(predictor, Detailed):
                    self._detailed = bool(predictor.details())
            self._scaled_at = len(pairs)
        else:
            learn_range(self.simulator, pairs)
        loss = self.preset.loss
        lesson = Lesson(pairs, pairs, get_loss(loss), RESIDUALS.get(loss))
        recent = min(len(pairs), newest * len(pairs) // max(1, data.n_steps))
        stages, losses, begin = self._stages(first), list[float](), 0
        for stage, end in zip(stages, stage_ends(stages, steps), strict=True):
            size = stage.batch_sizes(self.preset.batch_size)[-1]
            learner = self._learner(lesson, stage)
            for k in range(begin, end):
                batch = self._batch(pairs, size, recent, round(newest_share * size))
                factor = 0.5 * (1 + math.cos(math.pi * (k - begin) / (end - begin)))
                losses.append(learner.step(batch, factor))
                self.steps += 1
            begin = end
        self._learner_state = learner.state()
        self.simulator.requires_grad_(False)
        if self.simulator.feels:
            learn_newtons(self.simulator, data)
        return sum(losses) / max(1, len(losses))

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs, nested tensors and numbers."""
        return {
            "weights": self.simulator.state_dict(),
            "learner": self._learner_state,
            "steps": self.steps,
            "scaled_at": self._scaled_at,
            "detailed": self._detailed,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.simulator.load_state_dict(state["weights"])
        self._learner_state = state["learner"]
        self.steps, self._scaled_at = state["steps"], state["scaled_at"]
        self._detailed = state["detailed"]

    @torch.inference_mode()
    def error(self, data: Dataset) -> float:
        """Loss on data, in units of the preset's loss."""
        return float(get_loss(self.preset.loss)(self.simulator, make_pairs(self.simulator, data)))

    def _stages(self, first: bool) -> tuple[Stage, ...]:
        """By single steps: all of them, or the last."""
        preset = self.preset.around_details() if self._detailed else self.preset
        if any(stage.part in (Part.CORRECTOR, Part.JOINT) for stage in preset.stages):
            return (Stage(Part.JOINT),)
        stages = tuple(replace(stage, unroll=1) for stage in preset.stages)
        return stages if first else stages[-1:]

    def _learner(self, lesson: Lesson[Pairs], stage: Stage) -> Learner[Pairs]:
        """One that goes on where the last one stopped, if it was of the same parameters."""
        self.simulator.requires_grad_(False)
        for parameter in stage.parameters(self.simulator):
            parameter.requires_grad_(True)
        learner = make_learner(self.simulator, lesson, self.preset, stage)
        if self._learner_state is not None:
            learner.load_state(self._learner_state)
        return learner

    def _batch(self, pairs: Pairs, size: int, recent: int, n_recent: int) -> Pairs:
        generator = torch.Generator().manual_seed(self.seed * _SEED_STRIDE + self.steps)
        index = torch.randint(len(pairs), (size,), generator=generator)
        if recent and n_recent:
            offset = torch.randint(recent, (n_recent,), generator=generator)
            index[:n_recent] = len(pairs) - recent + offset
        return pairs.rows(index)


def _untrained(spec: RobotSpec, preset: Preset, seed: int, *, touch: bool) -> Simulator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Simulator(spec, preset.model_config(spec, touch=touch))
