"""What training makes small. A registry, to which others can add."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import unknown_name
from mosim_gym.fit.pairs import Pairs

#: (model, pairs) -> a scalar, for the motion.
Loss = Callable[[Simulator, Pairs], Tensor]


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
    predicted = torch.cat([following.qpos, following.qvel], 1)
    target = torch.cat([pairs.following.qpos, pairs.following.qvel], 1)
    loss = (predicted - target).square().mean()
    if following.act is not None and pairs.following.act is not None:
        loss = loss + (following.act - pairs.following.act).square().mean()
    return loss


LOSSES: dict[str, Loss] = {"whitened_increment": whitened_increment, "state_mse": state_mse}


def get_loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        UnknownNameError: listing the names there are.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]
