"""Energy along free motion: whether a model makes or loses what true physics does not.

Without controls and contacts a body's energy changes only by damping and springs at limits. From
the same starts, the energy of the model's motion minus that of the true motion is the drift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mosim_gym.evaluate.baselines import Model
from mosim_gym.evaluate.horizon import finite
from mosim_gym.evaluate.jacobian import Step
from mosim_gym.tasks.energy import Energies
from mosim_gym.types import State, Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class EnergyDrift:
    """Energy of a model's free motion minus that of the true one.

    Attributes:
        steps: control steps after which it is told, K of them.
        joules: ``(N, K)``; NaN where the model had diverged.
        scale: standard deviation of the energies at the start in joules.
        control_dt: seconds a step.
    """

    steps: tuple[int, ...]
    joules: Tensor
    scale: float
    control_dt: float

    def summary(self) -> dict[str, Any]:
        """Plain JSON values; `None` for what diverged."""
        return {
            "rollouts": len(self.joules),
            "scale_joules": self.scale,
            "by_horizon": {
                str(step): {
                    "seconds": round(step * self.control_dt, 9),
                    "mean_joules": finite(drift.mean()),
                    "median_of_size_joules": finite(drift.abs().median()),
                    "median_of_size_relative": finite(drift.abs().median() / self.scale),
                }
                for step, drift in zip(self.steps, self.joules.unbind(1), strict=True)
            },
        }


@torch.inference_mode()
def energy_drift(
    model: Model,
    true_step: Step,
    energy: Callable[[State], Energies],
    starts: State,
    steps: tuple[int, ...],
) -> EnergyDrift | None:
    """Let a model and true physics move freely from the same starts.

    Args:
        model: of the body.
        true_step: one control step of true physics.
        energy: of states of the body.
        starts: N states.
        steps: control steps after which to compare, ascending.

    Returns:
        The drift; ``None`` for a body that touches something on the way (contacts take energy that
        this figure would not tell apart), or that true physics fails in.
    """
    actions = torch.zeros(len(starts), steps[-1], model.spec.nu, dtype=torch.float64)
    moved = model.rollout(starts, actions)
    state, differences = starts, []
    for step in range(1, steps[-1] + 1):
        state = true_step(state, actions[:, 0])
        if step not in steps:
            continue
        true = energy(state)
        if true.touching or not state.isfinite().all():
            return None
        drift = torch.from_numpy(energy(_at(moved, step, starts)).joules - true.joules)
        lost = moved.valid_steps.cpu() < step
        differences.append(drift.masked_fill(lost, torch.nan))
    scale = float(energy(starts).joules.std())
    return EnergyDrift(steps, torch.stack(differences, 1), scale, model.control_dt)


def _at(trajectory: Trajectory, step: int, starts: State) -> State:
    act = None if trajectory.act is None else trajectory.act[:, step]
    return State(trajectory.qpos[:, step], trajectory.qvel[:, step], act, starts.context)
