"""Predictors: the main part of the acceleration. A registry, to which others can add."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.config import ModelConfig, Torque
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.networks import ResidualMLP
from mosim_gym.errors import unknown_name
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State


class Inputs(NamedTuple):
    """What a predictor or corrector may look at; all ``(batch, n)``.

    `features` are whitened: positions first, then velocities, then activations, the context that
    changes the dynamics, and controls; without columns for a predictor that has
    ``needs_features = False`` and no correctors. `scale` ``(nv,)`` is what a whitened acceleration
    of one is.
    """

    qpos: Tensor
    qvel: Tensor
    act: Tensor | None
    action: Tensor
    features: Tensor
    scale: Tensor


#: (spec, features, config) -> a module of `Inputs` that answers with whitened accelerations
#: ``(batch, nv)`` in the frame of the features.
PredictorMaker = Callable[[RobotSpec, FeatureMap, ModelConfig], nn.Module]
PREDICTORS: dict[str, PredictorMaker] = {}


@runtime_checkable
class Detailed(Protocol):
    """A predictor with parameters that are best learned when the others are about right."""

    def details(self) -> list[nn.Parameter]:
        """Those parameters."""
        ...


class Numbers(NamedTuple):
    """Learned numbers that mean something.

    Attributes:
        names: kind of each, and what it belongs to.
        values: ``(k,)``.
        start: where they started, ``(k,)``.
        scale: index of one by which the overall scale can be told, where motion alone does not tell
            it; ``None`` where there is no such number.
    """

    names: list[tuple[str, str]]
    values: Tensor
    start: Tensor
    scale: int | None


class Prior(NamedTuple):
    """What is expected of a parameter.

    Attributes:
        width: standard deviation about 0.
        least: it cannot be less.
    """

    width: float
    least: float


@runtime_checkable
class Informed(Protocol):
    """A predictor of numbers that mean something, each expected to be near where it starts."""

    def priors(self) -> dict[nn.Parameter, Prior]:
        """What is expected of each parameter."""
        ...

    def numbers(self) -> Numbers:
        """What was learned, differentiable by the parameters."""
        ...

    def told(self) -> list[str]:
        """What it was told besides the geometry that any body has, in words."""
        ...


@runtime_checkable
class Observant(Protocol):
    """A predictor that looks at the motion before it learns from it, for where to start."""

    def look_at(self, state: State, action: Tensor, acceleration: Tensor, n_steps: int) -> None:
        """Choose where to start.

        Args:
            state: rows of motion.
            action: ``(rows, nu)``.
            acceleration: ``(rows, nv)``, in the frame of the networks.
            n_steps: integrator steps that it is the mean over.
        """
        ...


@runtime_checkable
class Feeling(Protocol):
    """A predictor that knows the forces of contacts."""

    @property
    def felt(self) -> tuple[str, ...]:
        """Names of the touch sensors that it reads."""
        ...

    def touch(self, inputs: Inputs) -> Tensor:
        """What they read of the forces of the moment, ``(batch, len(felt))``.

        In newtons, if the scale of its forces is known; motion may tell them only relative to each
        other.
        """
        ...


def register_predictor(name: str) -> Callable[[PredictorMaker], PredictorMaker]:
    """Decorate a maker to offer it as ``ModelConfig(predictor=name)``."""

    def add(maker: PredictorMaker) -> PredictorMaker:
        PREDICTORS[name] = maker
        return maker

    return add


def make_predictor(spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> nn.Module:
    """The predictor `config` names.

    Raises:
        UnknownNameError: listing the names there are.
    """
    if config.predictor not in PREDICTORS:
        raise unknown_name("predictor", config.predictor, PREDICTORS)
    return PREDICTORS[config.predictor](spec, features, config)


def feels_touch(predictor: nn.Module, spec: RobotSpec, config: ModelConfig) -> bool:
    """Whether a predictor reads all touch sensors of a body, and at the right time."""
    if not config.touch or not isinstance(predictor, Feeling):
        return False
    if not spec.touch or predictor.felt != spec.touch:
        return False
    # What is observed is of the last physics step; longer steps start too early.
    return config.integrator_steps == spec.n_substeps


@register_predictor("residual")
class Residual(nn.Module):
    """A residual network of all features; told nothing of mechanics beyond them."""

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Build the network."""
        super().__init__()
        self.network = ResidualMLP(
            features.n_features, spec.nv, width=config.width, blocks=config.blocks
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)``."""
        out: Tensor = self.network(inputs.features)
        return out


@register_predictor("rigid_body")
class RigidBody(nn.Module):
    """``Minv(q) [b(q, v) + tau(u)]`` with ``Minv = L L^T`` (MoSim, arXiv 2504.07095).

    L is lower triangular and depends on positions only, so that the inverse mass matrix is
    symmetric, positive and blind to velocity; b holds Coriolis, gravity and passive forces; tau
    is linear in the controls (and activations), or a small network of them.
    """

    eye: Tensor

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Build the three parts."""
        super().__init__()
        nv, width, blocks = spec.nv, config.width, config.blocks
        self.n_position = features.n_position
        self.n_state = features.n_position + features.n_velocity
        self.cholesky = ResidualMLP(self.n_position, nv * nv, width=width, blocks=blocks)
        self.bias = ResidualMLP(self.n_state, nv, width=width, blocks=blocks)
        self.torque: nn.Module = nn.Linear(features.n_control, nv)
        if config.torque is Torque.MLP:
            self.torque = ResidualMLP(features.n_control, nv, width=32, blocks=1)
        self.register_buffer("eye", torch.eye(nv), persistent=False)

    def inverse_mass(self, features: Tensor) -> Tensor:
        """``Minv``, ``(batch, nv, nv)``, of whitened features."""
        entries = self.cholesky(features[:, : self.n_position])
        nv = self.eye.shape[0]
        # Centred on the identity: an untrained body answers forces with unit mass.
        lower = torch.tril(entries.view(-1, nv, nv)) + self.eye
        return lower @ lower.transpose(1, 2)

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)``."""
        x = inputs.features
        force = self.bias(x[:, : self.n_state]) + self.torque(x[:, self.n_state :])
        return (self.inverse_mass(x) @ force.unsqueeze(2)).squeeze(2)
