"""Stages of a fit: which part of the model learns, and for what share of the steps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from torch import nn

from mosim_gym.dynamics.predictors import Detailed
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError


class Part(StrEnum):
    """The part of a model that a stage trains."""

    PREDICTOR = "predictor"
    #: The predictor without what it names as its details, which would go astray before the rest
    #: is about right.
    OUTLINE = "outline"
    CORRECTOR = "corrector"
    JOINT = "joint"
    #: The head for touch sensors; `fit` trains it by itself, after the stages of a preset.
    TOUCH = "touch"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        part: what learns; the rest is frozen.
        share: of all steps, relative to the shares of the other stages.
        index: which corrector, for `Part.CORRECTOR`.
        learning_rate: factor on the preset's.
        optimizer: instead of the preset's.
        batch_size: instead of the preset's; of several, such as (512, 2048, 8192), each holds for
            an equal stretch of the stage. Small batches get far quickly, large ones get exact.
        hard: share of a batch that is drawn from hard rows; 0 draws from all rows alike.
        easy_share: of all rows, by the model's errors as it is: these are easy, the rest is hard.
        averaging: decay, a step, of an exponential moving average of the weights, which is judged
            on held-out data beside the weights themselves; 0 keeps none.
        tame: residuals larger than this share of a batch count by their logarithm, see
            `mosim_gym.fit.tame`, and the others pick the best weights; 1 tames none. For
            "levenberg_marquardt". The largest errors have most to tell where the model can follow
            them (of limits far softer than they start): it is for rows that it gets all wrong.
        unroll: control steps that the model is unrolled over; 1 learns from single steps, by the
            preset's loss.
    """

    part: Part
    share: float = 1.0
    index: int = 0
    learning_rate: float = 1.0
    optimizer: str | None = None
    batch_size: int | tuple[int, ...] | None = None
    hard: float = 0.0
    easy_share: float = 15 / 16
    averaging: float = 0.0
    tame: float = 1.0
    unroll: int = 1

    def __post_init__(self) -> None:
        """Check shares and sizes.

        Raises:
            MosimError: naming what is out of its range.
        """
        checks = (
            ("batch_size", self.batch_size != (), "one size or more"),
            ("hard", 0 <= self.hard <= 1, "0 to 1"),
            ("easy_share", 0 < self.easy_share < 1, "more than 0 and less than 1"),
            ("tame", 0 < self.tame <= 1, "more than 0 and at most 1"),
            ("averaging", 0 <= self.averaging < 1, "0 or more and less than 1"),
        )
        for name, fits, expected in checks:
            if not fits:
                raise MosimError(f"Stage.{name} is {getattr(self, name)}; expected {expected}.")

    def batch_sizes(self, default: int) -> tuple[int, ...]:
        """Rows of a batch, for each of equal stretches of the stage; `default` is the preset's."""
        sizes = default if self.batch_size is None else self.batch_size
        return (sizes,) if isinstance(sizes, int) else sizes

    @property
    def name(self) -> str:
        """``predictor``, ``corrector 1``, ``joint``."""
        return f"corrector {self.index + 1}" if self.part is Part.CORRECTOR else self.part.value

    def parameters(self, simulator: Simulator) -> list[nn.Parameter]:
        """The parameters that learn in this stage."""
        head = simulator.touch_head
        if self.part is Part.TOUCH:
            return [] if head is None else list(head.parameters())
        if self.part is Part.JOINT:
            others = set() if head is None else set(head.parameters())
            return [parameter for parameter in simulator.parameters() if parameter not in others]
        if self.part is Part.CORRECTOR:
            return list(simulator.correctors[self.index].parameters())
        parameters = list(simulator.predictor.parameters())
        if self.part is Part.OUTLINE and isinstance(simulator.predictor, Detailed):
            details = set(simulator.predictor.details())
            return [parameter for parameter in parameters if parameter not in details]
        if simulator.activation is not None:
            parameters += list(simulator.activation.parameters())
        return parameters


def stage_ends(stages: tuple[Stage, ...], steps: int) -> list[int]:
    """The step at which each stage ends; the last is `steps`."""
    total = sum(stage.share for stage in stages)
    ends, done = [], 0.0
    for stage in stages:
        done += stage.share
        ends.append(round(steps * done / total))
    return ends
