"""A recipe: everything a fit does besides its data, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT
from mosim_gym.fit.stages import Part, Stage
from mosim_gym.robots.spec import Integrator, RobotSpec

#: Of a batch, residuals that count as they are while others are all wrong.
TAME = 0.9
#: Then of those that are left: contacts of a few rows, such as two fingers on a table.
TAME_LAST = 0.99


@dataclass(frozen=True, slots=True)
class Preset:
    """A recipe.

    Attributes:
        name: what it is called.
        model: the shape of the model; integrator and steps are the body's own if `own_integrator`.
        own_integrator: step as MuJoCo steps this body: its integrator, at its physics step.
        loss: a name in `mosim_gym.fit.losses`.
        optimizer: a name in `mosim_gym.fit.optimizers`.
        learning_rate: at the start of a stage; falls to 0 along a cosine.
        batch_size: pairs a step.
        clip: largest norm of the gradient.
        steps: optimiser steps by default, over all stages.
        patience: a stage ends early after this share of its steps without a better held-out error.
        stages: in order.
        estimate: learn from smoothed positions where the data was recorded with noise, see
            `mosim_gym.data.estimate`.
    """

    name: str
    model: ModelConfig
    own_integrator: bool
    loss: str
    optimizer: str
    learning_rate: float
    batch_size: int
    clip: float
    steps: int
    patience: float
    stages: tuple[Stage, ...]
    estimate: bool = True

    def model_config(self, spec: RobotSpec, *, touch: bool = False) -> ModelConfig:
        """The shape of the model for this body, `touch` if it is to tell touch readings too."""
        model = dataclasses.replace(self.model, touch=touch)
        if not self.own_integrator:
            return model
        # MuJoCo's implicit methods differ from Euler in the velocity only, which is learned.
        name = "rk4" if spec.integrator is Integrator.RK4 else "semi_implicit_euler"
        return dataclasses.replace(model, integrator=name, integrator_steps=spec.n_substeps)

    @property
    def needs_geometry(self) -> bool:
        """Whether its model has to be told a body's geometry, see `told`."""
        return self.model.needs_geometry

    @property
    def needs_ground_only(self) -> bool:
        """Whether of the geometry it only uses where the body can touch what never moves."""
        return self.model.predictor != "articulated"

    def told(
        self,
        geometry: Mapping[str, Any],
        numbers: Mapping[str, Any] | None = None,
        widths: Mapping[str, float] | None = None,
    ) -> Preset:
        """The same recipe for a model that is told a body's geometry.

        Args:
            geometry: a `mosim_gym.articulated.description.Description` as JSON.
            numbers: where masses, damping and all others start: a
                `mosim_gym.articulated.physics.Physics` as JSON; guessed from shapes by default.
            widths: how far they may be from there, by kind, such as ``{"mass": 0.2, "damping":
                0.0}``; see `mosim_gym.articulated.priors`.
        """
        model = dataclasses.replace(
            self.model,
            geometry=dict(geometry),
            numbers=None if numbers is None else dict(numbers),
            widths=None if widths is None else dict(widths),
        )
        return dataclasses.replace(self, model=model)

    def around_details(self) -> Preset:
        """The same where motion has told a predictor its details: first the rest, then all.

        The details would be dragged along by what is far off yet, and rows that are all wrong (a
        servo is at its limit where it should not be) would lead everything astray. A recipe that is
        tamed from the start is left as it is.
        """
        first, *others = self.stages
        solved = (first.optimizer or self.optimizer) == LEVENBERG_MARQUARDT and first.unroll == 1
        if not solved or first.part is not Part.PREDICTOR or first.tame < 1:
            return self
        whole = first.share
        stages = (
            dataclasses.replace(first, part=Part.OUTLINE, share=whole / 4, tame=TAME),
            dataclasses.replace(first, share=whole / 2, tame=TAME),
            # What few rows tell (docs/status.md has how else it was tried).
            dataclasses.replace(first, share=whole / 4, tame=TAME_LAST),
            *others,
        )
        return dataclasses.replace(self, stages=stages, patience=2 * self.patience)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; without what is told of the body, which is not the recipe's."""
        fields = dataclasses.asdict(dataclasses.replace(self, model=self.model.without_body()))
        del fields["model"]["geometry"], fields["model"]["numbers"]
        return fields
