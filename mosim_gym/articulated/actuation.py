"""Actuators: from controls and activations to forces (documentation: Computation, Actuation).

``force = gain(length, speed) * input + bias(length, speed)``, where the input is the control or,
for actuators with dynamics of their own, the activation; gain and bias are constant or affine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.actuators import Activation, Actuators
from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.robots.poses import Constants

_TINY = 1e-15  # mjMINVAL
_INFINITE = 1e30


class _Told(NamedTuple):
    """What is told, as tensors: each ``(nu,)`` but the first two."""

    by_velocity: Tensor  # (nv, nu)
    by_position: Tensor  # (nq, nu)
    stateful: Tensor
    act_index: Tensor
    affine_gain: Tensor
    affine_bias: Tensor
    ctrl_low: Tensor
    ctrl_high: Tensor
    force_low: Tensor
    force_high: Tensor


class Actuation:
    """The actuators of a body."""

    def __init__(self, description: Description) -> None:
        """Turn what is told into constants."""
        self.actuators = description.actuators
        self.n = len(self.actuators.names) if description.options.actuation else 0
        self._activated = [kind for kind in self.actuators.activation if kind != Activation.NONE]
        self._affine = bool(self.actuators.affine_gain.any() or self.actuators.affine_bias.any())
        self._bounded = bool(self.actuators.force_limited.any())
        self._constants = Constants(*_constants(description))

    def __call__(
        self, physics: Physics, qpos: Tensor, qvel: Tensor, act: Tensor | None, ctrl: Tensor
    ) -> Tensor:
        """Generalised forces ``(batch, nv)`` (qfrc_actuator)."""
        if not self.n:
            return torch.zeros_like(qvel)
        force, _ = self._force(physics, qpos, qvel, act, ctrl)
        told = self._told(qpos)
        return (force * physics.gear[:, 0]) @ told.by_velocity.t()

    def damping(
        self, physics: Physics, qpos: Tensor, qvel: Tensor, act: Tensor | None, ctrl: Tensor
    ) -> Tensor | None:
        """Minus the derivative of the forces by qvel, ``(batch, nv, nv)``; ``None`` if zero."""
        if not self.n or not self._affine:
            return None
        _, slope = self._force(physics, qpos, qvel, act, ctrl)
        arms = self._told(qpos).by_velocity * physics.gear[:, 0]
        return torch.einsum("iu,bu,ju->bij", arms, -slope, arms)

    def rates(self, physics: Physics, act: Tensor, ctrl: Tensor) -> Tensor:
        """Rates of the activations, ``(batch, na)`` per second (act_dot)."""
        told = self._told(act)
        ctrl = torch.clamp(ctrl, told.ctrl_low, told.ctrl_high)
        columns = []
        for u, kind in enumerate(self.actuators.activation):
            if kind is Activation.INTEGRATOR:
                columns.append(ctrl[:, u])
            elif kind is not Activation.NONE:
                gap = ctrl[:, u] - act[:, int(self.actuators.act_index[u])]
                columns.append(gap / physics.time_constant[u].clamp(min=_TINY))
        return torch.stack(columns, 1)

    def _force(
        self, physics: Physics, qpos: Tensor, qvel: Tensor, act: Tensor | None, ctrl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Forces of the actuators and their derivatives by speed, ``(batch, nu)``."""
        told = self._told(qpos)
        given = torch.clamp(ctrl, told.ctrl_low, told.ctrl_high)
        if act is not None and self._activated:
            given = torch.where(told.stateful > 0, act.index_select(1, told.act_index), given)
        gear, slope = physics.gear[:, 0], torch.zeros_like(given)
        force = physics.gain[:, 0] * given
        if self._affine:
            length, speed = (qpos @ told.by_position) * gear, (qvel @ told.by_velocity) * gear
            gain, bias = physics.gain * told.affine_gain, physics.bias * told.affine_bias
            force = force + (gain[:, 1] * length + gain[:, 2] * speed) * given
            force = force + bias[:, 0] + bias[:, 1] * length + bias[:, 2] * speed
            slope = gain[:, 2] * given + bias[:, 2]
        if self._bounded:
            bounded = torch.clamp(force, told.force_low, told.force_high)
            return bounded, torch.where(bounded == force, slope, 0.0)
        return force, slope

    def _told(self, like: Tensor) -> _Told:
        return _Told(*self._constants.like(like))


def _constants(description: Description) -> list[np.ndarray]:
    tree, actuators = description.tree, description.actuators
    nu, joints = len(actuators.names), tree.joints
    by_velocity, by_position = np.zeros((tree.nv, nu)), np.zeros((tree.nq, nu))
    for u, j in zip(*np.nonzero(actuators.joints), strict=True):
        by_velocity[joints.dof_index[j], u] = actuators.joints[u, j]
        by_position[joints.qpos_index[j], u] = actuators.joints[u, j]
    clamped = actuators.ctrl_limited & description.options.clamp_ctrl
    return [
        by_velocity,
        by_position,
        np.array([kind is not Activation.NONE for kind in actuators.activation], np.float64),
        np.maximum(actuators.act_index, 0),
        actuators.affine_gain[:, None].astype(np.float64),
        actuators.affine_bias[:, None].astype(np.float64),
        *_bounds(clamped, actuators.ctrl_range),
        *_bounds(actuators.force_limited, actuators.force_range),
    ]


def _bounds(limited: np.ndarray, ranges: np.ndarray) -> list[np.ndarray]:
    low = np.where(limited, ranges[:, 0], -_INFINITE)
    return [low, np.where(limited, ranges[:, 1], _INFINITE)]


def has_activations(actuators: Actuators) -> bool:
    """Whether any actuator has dynamics of its own."""
    return any(kind is not Activation.NONE for kind in actuators.activation)
