"""Pairs of states a model learns from, with their targets, as tensors in its precision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from mosim_gym.data.batches import Transitions
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.predictors import Observant
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.types import State

# A state this many times faster than any in training is a model gone astray, not a fast robot.
_SPEED_MARGIN = 100.0
# Pairs that tell the scales of contact features.
_MOST_ROWS = 500_000
_LEARNED_FROM = (
    "qpos", "qvel", "act", "action", "substep_qpos", "substep_qvel", "substep_act", "touch"
)  # fmt: skip


class Rows(Protocol):
    """Something to learn from, row by row."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def rows(self, index: Tensor) -> Self:
        """The rows at `index`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """States, the action applied, the states after, and the mean acceleration in between.

    Attributes:
        state: N rows; with the context only where it changes the dynamics.
        action: ``(N, nu)``.
        following: the states after `n_steps` integrator steps.
        acceleration: ``(qvel' - qvel) / time``, ``(N, nv)``, in the frame of the networks.
        activation_rate: ``(act' - act) / time``, ``(N, na)``; ``None`` without activations.
        n_steps: integrator steps from one state to the other.
    """

    state: State
    action: Tensor
    following: State
    acceleration: Tensor
    activation_rate: Tensor | None
    n_steps: int

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.state)

    def rows(self, index: Tensor) -> Pairs:
        """The pairs at `index`."""
        rate = self.activation_rate
        return Pairs(
            self.state[index],
            self.action[index],
            self.following[index],
            self.acceleration[index],
            None if rate is None else rate[index],
            self.n_steps,
        )


def make_pairs(simulator: Simulator, dataset: Dataset) -> Pairs:
    """Pairs of a dataset for this model.

    A model of the physics step is shown physics steps where they were recorded; otherwise it
    takes all its steps of a control step before it is compared.
    """
    every_step = dataset.metadata.substeps or dataset.spec.n_substeps == 1
    if every_step and simulator.config.integrator_steps == dataset.spec.n_substeps:
        return _pairs(simulator, dataset.substep_transitions(), 1)
    return _pairs(simulator, dataset.transitions(), simulator.config.integrator_steps)


def _pairs(simulator: Simulator, data: Transitions, n_steps: int) -> Pairs:
    before, after = data.state, data.next_state
    context = simulator.moving_context(before)
    seconds = n_steps * simulator.step_dt
    # Differences are taken in float64: in float32 they would lose half their digits.
    acceleration = (after.qvel - before.qvel) / seconds
    acceleration = simulator.features.to_local(before.qpos, acceleration)
    rate = None
    if before.act is not None and after.act is not None:
        rate = ((after.act - before.act) / seconds).to(simulator.dtype)
    return Pairs(
        State(before.qpos, before.qvel, before.act, context).to(simulator.dtype),
        data.action.to(simulator.dtype),
        State(after.qpos, after.qvel, after.act).to(simulator.dtype),
        acceleration.to(simulator.dtype),
        rate,
        n_steps,
    )


@torch.no_grad()
def learn_scales(simulator: Simulator, pairs: Pairs) -> None:
    """Set a model's whitening, speed bound and activation rates from its training pairs."""
    features = simulator.features
    features.learn_scales(_unwhitened(simulator, pairs))
    if features.whitened:
        scale = pairs.acceleration.std(0)
        simulator.acceleration_scale.copy_(torch.where(scale > 0, scale, 1.0))
    fastest = torch.maximum(pairs.state.qvel.abs().max(), pairs.following.qvel.abs().max())
    simulator.bound_speed(_SPEED_MARGIN * max(float(fastest), 1e-3))
    if simulator.activation is not None and pairs.activation_rate is not None:
        _solve_activation(simulator.activation, pairs)


@torch.no_grad()
def choose_start(simulator: Simulator, pairs: Pairs) -> None:
    """Let a predictor that can look for where to start in its training pairs."""
    if isinstance(simulator.predictor, Observant):
        simulator.predictor.look_at(pairs.state, pairs.action, pairs.acceleration, pairs.n_steps)


@torch.no_grad()
def learn_range(simulator: Simulator, pairs: Pairs) -> None:
    """Widen or narrow what contact features are kept within to what these pairs show."""
    if simulator.features.contact is not None:
        simulator.features.learn_range(_unwhitened(simulator, pairs))


def _unwhitened(simulator: Simulator, pairs: Pairs) -> Tensor:
    if simulator.features.contact is not None:
        # They are many: all of a large dataset's would not fit into memory.
        pairs = pairs.rows(torch.arange(0, len(pairs), 1 + len(pairs) // _MOST_ROWS))
    state = pairs.state
    return simulator.features.unwhitened(
        state.qpos, state.qvel, state.act, pairs.action, state.context
    )


def _solve_activation(layer: torch.nn.Linear, pairs: Pairs) -> None:
    """Start at the least-squares solution: exact for MuJoCo's filters and integrators."""
    assert pairs.state.act is not None and pairs.activation_rate is not None
    ones = torch.ones(len(pairs), 1)
    inputs = torch.cat([pairs.state.act, pairs.action, ones], 1).double()
    solution = torch.linalg.lstsq(inputs, pairs.activation_rate.double(), driver="gelsd").solution
    layer.weight.copy_(solution[:-1].T)
    layer.bias.copy_(solution[-1])


def data_fingerprint(dataset: Dataset) -> str:
    """16 hexadecimal digits that change with any number a model can learn from.

    These are, episode by episode, the states, the actions, the states after physics steps, touch
    readings, and the context where it changes the dynamics. Rewards, ends, seeds and the metadata
    are left out.
    """
    digest = hashlib.sha256()
    names = (*_LEARNED_FROM, "context") if dataset.spec.context_inputs else _LEARNED_FROM
    for episode in dataset.episodes:
        for name in names:
            array = getattr(episode, name)
            if array is not None:
                digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()[:16]
