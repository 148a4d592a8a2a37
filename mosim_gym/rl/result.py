"""What a training run led to, and the rounds it took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosim_gym.rl.callbacks import CurvePoint
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run led to.

    Attributes:
        agent: the agent after the last update (not the best seen).
        folder: where everything was written.
        steps: environment steps trained on, in models and in reality.
        real_steps: how many of them were in reality; 0 for zero-shot.
        updates: gradient updates.
        seconds: wall time of training, the judgements of the curve included.
        returns_real: of the final judgement in true physics, ``(episodes,)``. Where Ctrl-C ended a
            run on a user's own reality, there is none: the last mean of the curve, if any.
        returns_model: the same in the environment trained on, from the same starts (where reality
            is a user's own, from those of true physics).
        curve: the judgements during training.
        interrupted: whether Ctrl-C ended it early.
    """

    agent: OffPolicyAlgorithm
    folder: Path
    steps: int
    real_steps: int
    updates: int
    seconds: float
    returns_real: Float64Array
    returns_model: Float64Array
    curve: tuple[CurvePoint, ...]
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Round:
    """One row of ``rounds.csv``.

    Attributes:
        real_steps: so far.
        model_steps: imagined so far.
        updates: of the agent so far.
        model_updates: optimiser steps of the model so far; 0 in true physics.
        seconds: wall time since training began.
        model_error: one-step loss on the newest real episode, before it was learned from; in units
            of the model's loss. NaN in true physics, and where no episode ended.
        return_train: of that episode, with the agent's noise.
    """

    real_steps: int
    model_steps: int
    updates: int
    model_updates: int
    seconds: float
    model_error: float
    return_train: float


def summary(result: TrainResult) -> dict[str, Any]:
    """Plain JSON values."""
    real, model = result.returns_real, result.returns_model
    return {
        "steps": result.steps,
        "real_steps": result.real_steps,
        "updates": result.updates,
        "seconds": round(result.seconds, 1),
        "return_real_mean": float(real.mean()) if len(real) else None,
        "return_model_mean": float(model.mean()) if len(model) else None,
        "returns_real": real.tolist(),
        "returns_model": model.tolist(),
        "interrupted": result.interrupted,
    }
