"""Networks of contacts, each with one thing changed: what `contact_features.py` compares."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mosim_gym.articulated.description import Description
from mosim_gym.dynamics.approaches import approaches_of
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.networks import ResidualMLP
from mosim_gym.dynamics.predictors import Inputs, Residual, RigidBody, register_predictor
from mosim_gym.fit.presets import CONTACT, DEFAULT
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Part, Stage
from mosim_gym.robots.spec import RobotSpec


class Masked(nn.Module):
    """`Residual`, blind to some of what is told of contacts."""

    seen: Tensor

    def __init__(
        self, speeds: bool, gates: int, spec: RobotSpec, features: FeatureMap, config: ModelConfig
    ) -> None:
        """Build the network.

        Args:
            speeds: whether it sees velocities of points.
            gates: how many of the kinds of gates it sees, the last ones (nearness last of all).
            spec: the body.
            features: those of contacts among them.
            config: the shape.
        """
        super().__init__()
        self.network = Residual(spec, features, config)
        contact = features.contact
        assert contact is not None
        points, seen = contact.n_points, torch.ones(features.n_features)
        # Kinds: distance, depth, three gates; then velocities behind each of the gates.
        hidden = 3 - gates
        end = features.n_position
        seen[end - 3 * points : end - gates * points] = 0.0
        per_gate = contact.n_velocity // 3
        end += features.n_velocity
        begin = end - contact.n_velocity
        seen[begin : begin + (hidden * per_gate if speeds else contact.n_velocity)] = 0.0
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)``."""
        out: Tensor = self.network(inputs._replace(features=inputs.features * self.seen))
        return out


class ContactForces(nn.Module):
    """``Minv(q) [b(q, v) + tau(u) + J^T f]``, forces f of points from a network of all it sees."""

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Build the parts."""
        super().__init__()
        assert config.geometry is not None
        self.smooth = RigidBody(spec, features, config)
        self._approaches = approaches_of(Description.from_json(config.geometry))
        self.n_forces = self._approaches.n_points * self._approaches.n_speeds
        self.forces = ResidualMLP(
            features.n_features, self.n_forces, width=config.width, blocks=config.blocks
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)``."""
        x, smooth = inputs.features, self.smooth
        force = smooth.bias(x[:, : smooth.n_state]) + smooth.torque(x[:, smooth.n_state :])
        jacobian = self.jacobian(inputs.qpos, inputs.scale)
        pushed = torch.einsum("bkv,bk->bv", jacobian, self.forces(x))
        return (smooth.inverse_mass(x) @ (force + pushed).unsqueeze(2)).squeeze(2)

    @torch.no_grad()
    def jacobian(self, qpos: Tensor, scale: Tensor) -> Tensor:
        """``(batch, n_forces, nv)``: velocities of points by velocities of joints, whitened."""
        batch, nv = len(qpos), len(scale)
        unit = torch.diag(scale / scale.norm())
        each = unit.repeat(batch, 1)
        _, speeds = self._approaches(qpos.repeat_interleave(nv, 0), each)
        return speeds.reshape(batch, nv, -1).transpose(1, 2)


register_predictor("residual_no_speeds")(partial(Masked, False, 3))
register_predictor("residual_nearness")(partial(Masked, True, 1))
register_predictor("residual_distances")(partial(Masked, False, 0))
register_predictor("contact_forces")(ContactForces)


def _shaped(preset: Preset = CONTACT, **changes: Any) -> Preset:
    return dataclasses.replace(preset, model=dataclasses.replace(preset.model, **changes))


def _hard(share: float) -> Preset:
    return dataclasses.replace(CONTACT, stages=(Stage(Part.PREDICTOR, hard=share),))


#: In the order in which they are run. (All write "contact" as their preset's name.)
VARIANTS: dict[str, Preset] = {
    "contact": CONTACT,
    "told joint types only": _shaped(DEFAULT, width=192),
    "no velocities of points": _shaped(predictor="residual_no_speeds"),
    "no gates but nearness": _shaped(predictor="residual_nearness"),
    "distances alone": _shaped(predictor="residual_distances"),
    "forces through J^T": _shaped(predictor="contact_forces", width=128),
    "96 units": _shaped(width=96),
    "320 units": _shaped(width=320),
    "a quarter from hard rows": _hard(0.25),
    "control steps": dataclasses.replace(CONTACT, own_integrator=False),
}
ONLY_WITH_SUBSTEPS = ("control steps",)
