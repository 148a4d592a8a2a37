"""What training makes small. A registry, to which others can add."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import unknown_name
from mosim_gym.fit.pairs import Pairs
from mosim_gym.fit.unrolls import Unrolls
from mosim_gym.types import State

#: (model, pairs) -> a scalar, for the motion.
Loss = Callable[[Simulator, Pairs], Tensor]
#: (model, pairs) -> ``(N, k)``, whose mean square is the loss of the same name.
Residuals = Callable[[Simulator, Pairs], Tensor]


def whitened_increment(simulator: Simulator, pairs: Pairs) -> Tensor:
    """Mean squared error of the velocity increment, in units of its std in training.

    Positions follow from the integrator, so that velocities are all there is to learn. With
    activations, the error of their rates is added in the same way.
    """
    _, rates = simulator.advance(pairs.state, pairs.action, pairs.n_steps)
    predicted = simulator.features.to_local(pairs.state.qpos, rates.acceleration)
    error = (predicted - pairs.acceleration) / simulator.acceleration_scale
    loss = error.square().mean()
    if pairs.activation_rate is not None and rates.activation is not None:
        variance = pairs.activation_rate.square().mean().clamp(min=1e-12)
        loss = loss + (rates.activation - pairs.activation_rate).square().mean() / variance
    return loss


def state_mse(simulator: Simulator, pairs: Pairs) -> Tensor:
    """Unweighted mean squared error of the next (qpos, qvel), as in the paper."""
    following, _ = simulator.advance(pairs.state, pairs.action, pairs.n_steps)
    loss = _state_errors(following, pairs.following).square().mean()
    if following.act is not None and pairs.following.act is not None:
        loss = loss + (following.act - pairs.following.act).square().mean()
    return loss


def whitened_residuals(simulator: Simulator, pairs: Pairs) -> Tensor:
    """Errors ``(N, nv)`` of the velocity increment, in units of its std in training.

    The rates of activations are left out: they are linear, and solved for beforehand.
    """
    _, rates = simulator.advance(pairs.state, pairs.action, pairs.n_steps)
    predicted = simulator.features.to_local(pairs.state.qpos, rates.acceleration)
    return (predicted - pairs.acceleration) / simulator.acceleration_scale


def state_residuals(simulator: Simulator, pairs: Pairs) -> Tensor:
    """Errors ``(N, nq + nv)`` of the next (qpos, qvel); activations are left out, as above."""
    following, _ = simulator.advance(pairs.state, pairs.action, pairs.n_steps)
    return _state_errors(following, pairs.following)


def unrolled_residuals(simulator: Simulator, unrolls: Unrolls) -> Tensor:
    """Errors ``(N, h (nq + nv))`` of the states passed, in units of their std in training."""
    state, errors = unrolls.start, []
    for t in range(unrolls.actions.shape[1]):
        for _ in range(simulator.config.integrator_steps):
            state = simulator.apply_rates(state, simulator.rates(state, unrolls.actions[:, t]))
        errors += [state.qpos - unrolls.qpos[:, t], state.qvel - unrolls.qvel[:, t]]
    return torch.cat(errors, 1) / unrolls.spread.repeat(len(errors) // 2)


def unrolled_error(simulator: Simulator, unrolls: Unrolls) -> Tensor:
    """Mean square of the `unrolled_residuals`."""
    return unrolled_residuals(simulator, unrolls).square().mean()


RESIDUALS: dict[str, Residuals] = {
    "whitened_increment": whitened_residuals,
    "state_mse": state_residuals,
}
LOSSES: dict[str, Loss] = {"whitened_increment": whitened_increment, "state_mse": state_mse}


def get_loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        UnknownNameError: listing the names there are.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]


def _state_errors(state: State, true: State) -> Tensor:
    return torch.cat([state.qpos - true.qpos, state.qvel - true.qvel], 1)
