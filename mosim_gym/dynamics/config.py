"""ModelConfig: everything that shapes a model besides its body and its weights, as plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch

from mosim_gym.errors import MosimError


class Flavour(StrEnum):
    """How a state is shown to the networks; see `mosim_gym.dynamics.features`."""

    STANDARD = "standard"
    RAW = "raw"
    #: The standard ones, and those of contacts: the geometry is told.
    CONTACT = "contact"


class Precision(StrEnum):
    """The float type a model computes in."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> torch.dtype:
        """The torch type."""
        return torch.float64 if self is Precision.FLOAT64 else torch.float32


class Torque(StrEnum):
    """How a rigid-body predictor turns controls into generalised forces."""

    LINEAR = "linear"
    MLP = "mlp"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a model.

    Attributes:
        predictor: a name in `mosim_gym.dynamics.predictors`.
        width: units of every hidden layer of the predictor.
        blocks: residual blocks of the predictor; each holds two layers.
        torque: how `rigid_body` turns controls into forces; `residual` does not use it.
        correctors: number of correctors added to the predictor.
        corrector_width: units of their hidden layers.
        corrector_blocks: their residual blocks.
        features: how states are shown to the networks.
        integrator: a name in `mosim_gym.dynamics.integrators`.
        integrator_steps: integrator steps a control step: the body's `n_substeps` for a model of
            the physics step, 1 for a model of the whole control step.
        precision: the float type of weights and states.
        touch: whether it also tells what the body's touch sensors read: from the forces of
            contacts, where the predictor knows them, else by a head of its width and blocks.
        geometry: what `articulated` and contact features are told of the body: its `Description`
            as JSON.
        numbers: where its numbers start: `Physics` as JSON; guessed from shapes if ``None``.
        widths: how far they may be from there, see `mosim_gym.articulated.priors`.
    """

    predictor: str = "residual"
    width: int = 64
    blocks: int = 2
    torque: Torque = Torque.LINEAR
    correctors: int = 0
    corrector_width: int = 64
    corrector_blocks: int = 1
    features: Flavour = Flavour.STANDARD
    integrator: str = "semi_implicit_euler"
    integrator_steps: int = 1
    precision: Precision = Precision.FLOAT32
    touch: bool = False
    geometry: dict[str, Any] | None = None
    numbers: dict[str, Any] | None = None
    widths: dict[str, float] | None = None

    def __post_init__(self) -> None:
        """Check that the counts are counts."""
        for name in ("width", "blocks", "corrector_width", "corrector_blocks", "integrator_steps"):
            if getattr(self, name) < 1:
                raise MosimError(
                    f"ModelConfig.{name} is {getattr(self, name)}; expected 1 or more."
                )
        if self.correctors < 0:
            raise MosimError(f"ModelConfig.correctors is {self.correctors}; expected 0 or more.")

    @property
    def needs_geometry(self) -> bool:
        """Whether it has to be told the body's geometry."""
        return self.predictor == "articulated" or self.features is Flavour.CONTACT

    def without_body(self) -> ModelConfig:
        """The shape of the model alone, without what is told of the body."""
        return dataclasses.replace(self, geometry=None, numbers=None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives the config back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ModelConfig:
        """A config from what `to_json` gave.

        Raises:
            MosimError: naming what is missing, unknown or wrong.
        """
        try:
            return cls(
                **{
                    **fields,
                    "torque": Torque(fields["torque"]),
                    "features": Flavour(fields["features"]),
                    "precision": Precision(fields["precision"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise MosimError(
                f"Not a model config: {error!r}. It is written by mosim_gym; "
                "was it made by a newer version?"
            ) from error
