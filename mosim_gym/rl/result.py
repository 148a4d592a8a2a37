"""What a training run led to."""

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
        returns_real: of the final judgement in true physics, ``(episodes,)``.
        returns_model: the same in the environment trained on, from the same starts.
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


def summary(result: TrainResult) -> dict[str, Any]:
    """Plain JSON values."""
    return {
        "steps": result.steps,
        "real_steps": result.real_steps,
        "updates": result.updates,
        "seconds": round(result.seconds, 1),
        "return_real_mean": float(result.returns_real.mean()),
        "return_model_mean": float(result.returns_model.mean()),
        "returns_real": result.returns_real.tolist(),
        "returns_model": result.returns_model.tolist(),
        "interrupted": result.interrupted,
    }
