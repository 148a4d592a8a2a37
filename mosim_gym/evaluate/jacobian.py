"""The derivative of one step: whether a model answers small changes as true physics does.

A planner or a gradient through the model relies on it, and so does the growth of errors along a
rollout. Both sides are differentiated in the same way, by central differences in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mosim_gym.data.batches import Transitions
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.evaluate.baselines import Model
from mosim_gym.evaluate.horizon import measured_positions, quantile
from mosim_gym.types import State

#: One control step of a batch: of a model, or of true physics.
Step = Callable[[State, Tensor], State]

#: Change of an input; its error and float64's rounding are both near 1e-10 of the derivative.
_CHANGE = 1e-6
_SMALLEST_STD = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class JacobianError:
    """Relative errors of one-step Jacobians.

    Attributes:
        relative: Frobenius norm of the error over that of the true Jacobian, ``(N,)``, inputs and
            outputs whitened; infinite where the model's is not finite.
    """

    relative: Tensor

    def summary(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = self.relative
        finite = bool(values.isfinite().all())
        return {
            "states": len(values),
            "mean": values.mean().item() if finite else None,
            "median": values.median().item() if values.median().isfinite() else None,
            "0.95": q.item() if (q := quantile(values, 0.95)).isfinite() else None,
        }


@torch.inference_mode()
def step_jacobian(step: Step, state: State, action: Tensor) -> Tensor:
    """Derivative of (qpos, qvel) after a step by (qpos, qvel, action) before it.

    By central differences, each coordinate for itself (quaternions too: both MuJoCo and our models
    bring them to length one).

    Args:
        step: in float64; see `in_float64`.
        state: ``(batch, n)`` fields.
        action: ``(batch, nu)``.

    Returns:
        ``(batch, nq + nv, nq + nv + nu)``, float64.
    """
    inputs = torch.cat([state.qpos, state.qvel, action], 1).double()
    (rows, n), nq, nv = inputs.shape, state.qpos.shape[1], state.qvel.shape[1]
    changes = _CHANGE * torch.eye(n, dtype=torch.float64)

    def outputs(moved: Tensor) -> Tensor:
        qpos, qvel, control = moved.flatten(0, 1).split([nq, nv, n - nq - nv], 1)
        rest = [None if x is None else x.repeat_interleave(n, 0).double()
                for x in (state.act, state.context)]  # fmt: skip
        after = step(State(qpos, qvel, *rest), control)
        return torch.cat([after.qpos, after.qvel], 1).double().reshape(rows, n, nq + nv)

    above, below = (outputs(inputs.unsqueeze(1) + sign * changes) for sign in (1, -1))
    return ((above - below) / (2 * _CHANGE)).transpose(1, 2)


def jacobian_error(
    model: Model, true_step: Step, transitions: Transitions, *, count: int = 256, seed: int = 0
) -> JacobianError:
    """Compare the one-step Jacobians of a model with those of true physics.

    Args:
        model: its step is computed in float64, whatever it was trained in.
        true_step: one control step of true physics, float64.
        transitions: where: `count` of their states and actions, drawn with `seed`.
        count: states at most.
        seed: of the draw.
    """
    order = torch.randperm(len(transitions), generator=torch.Generator().manual_seed(seed))
    rows = order[:count]
    state, action = transitions.state[rows], transitions.action[rows]
    true = step_jacobian(true_step, state, action)
    error = step_jacobian(in_float64(model).step, state, action) - true
    data = transitions.state
    everything = torch.cat([data.qpos, data.qvel, transitions.action], 1)
    std = everything.std(0).clamp(min=_SMALLEST_STD)
    nq, nv = data.qpos.shape[1], data.qvel.shape[1]
    moving = [*measured_positions(model.spec), *range(nq, nq + nv)]
    inputs = [*moving, *range(nq + nv, everything.shape[1])]

    def norm(jacobian: Tensor) -> Tensor:
        whitened = jacobian * std / std[: nq + nv].unsqueeze(1)
        return torch.linalg.matrix_norm(whitened[:, moving][:, :, inputs])

    return JacobianError((norm(error) / norm(true)).nan_to_num(nan=torch.inf))


def in_float64(model: Model) -> Model:
    """The same model computing in float64: differences as small as 1e-6 are lost in float32."""
    return copy.deepcopy(model).double() if isinstance(model, Simulator) else model
