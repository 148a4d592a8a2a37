"""Actuators as they are told: what each acts on, its own dynamics, its limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mosim_gym.robots.tree import IntArray
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco


class Activation(StrEnum):
    """Actuators' own dynamics (documentation: Computation, Actuation model)."""

    NONE = "none"
    INTEGRATOR = "integrator"
    FILTER = "filter"
    FILTEREXACT = "filterexact"


@dataclass(frozen=True, slots=True, eq=False)
class Actuators:
    """What actuators act on, and how.

    Attributes:
        names: as in the MJCF, or ``actuator<i>``.
        joints: the length of each per unit of gear is this combination of the positions of hinges
            and slides, ``(nu, njnt)``: one joint, or those of a fixed tendon.
        activation: dynamics of each.
        act_index: where its activation is in act, -1 without one, ``(nu,)``.
        affine_gain: whether the gain depends on length and speed, ``(nu,)`` bool.
        affine_bias: whether there is a bias, ``(nu,)`` bool.
        ctrl_limited: whether controls are clamped, ``(nu,)`` bool.
        ctrl_range: ``(nu, 2)``.
        force_limited: ``(nu,)`` bool.
        force_range: ``(nu, 2)``.
        act_limited: ``(nu,)`` bool.
        act_range: ``(nu, 2)``.
        servo_gear: of position servos, whose force falls with the length, their gear; 0 for all
            others, ``(nu,)``. Where it is not told, what has a bias is a position servo of gear 1.
    """

    names: tuple[str, ...]
    joints: Float64Array
    activation: tuple[Activation, ...]
    act_index: IntArray
    affine_gain: NDArray[np.bool_]
    affine_bias: NDArray[np.bool_]
    ctrl_limited: NDArray[np.bool_]
    ctrl_range: Float64Array
    force_limited: NDArray[np.bool_]
    force_range: Float64Array
    act_limited: NDArray[np.bool_]
    act_range: Float64Array
    servo_gear: Float64Array | None = None

    @property
    def position_gear(self) -> Float64Array:
        """`servo_gear`, or what it is taken for where it is not told, ``(nu,)``."""
        if self.servo_gear is not None:
            return self.servo_gear
        return (self.affine_bias & ~self.affine_gain).astype(np.float64)


def idle_actuators(model: mujoco.MjModel) -> Actuators:
    """Those of a compiled model by name alone, of whatever kind they are."""
    n = int(model.nu)
    none, no_range = np.zeros(n, dtype=np.bool_), np.zeros((n, 2))
    return Actuators(
        names=_names(model),
        joints=np.zeros((n, model.njnt)),
        activation=(Activation.NONE,) * n,
        act_index=np.full(n, -1),
        affine_gain=none,
        affine_bias=none,
        ctrl_limited=none,
        ctrl_range=no_range,
        force_limited=none,
        force_range=no_range,
        act_limited=none,
        act_range=no_range,
    )


def actuators_of(model: mujoco.MjModel) -> Actuators:
    """Read the actuators of a compiled model, which are covered."""
    activations = tuple(Activation)
    servo = (model.actuator_gaintype == 0) & (model.actuator_biastype == 1)
    servo &= model.actuator_biasprm[:, 1] < 0
    return Actuators(
        names=_names(model),
        joints=_transmission(model),
        activation=tuple(activations[int(kind)] for kind in model.actuator_dyntype),
        act_index=np.array(model.actuator_actadr, dtype=np.int64),
        affine_gain=np.array(model.actuator_gaintype == 1),
        affine_bias=np.array(model.actuator_biastype == 1),
        ctrl_limited=np.array(model.actuator_ctrllimited, dtype=np.bool_),
        ctrl_range=np.array(model.actuator_ctrlrange, dtype=np.float64),
        force_limited=np.array(model.actuator_forcelimited, dtype=np.bool_),
        force_range=np.array(model.actuator_forcerange, dtype=np.float64),
        act_limited=np.array(model.actuator_actlimited, dtype=np.bool_),
        act_range=np.array(model.actuator_actrange, dtype=np.float64),
        servo_gear=np.where(servo, model.actuator_gear[:, 0], 0.0),
    )


def _names(model: mujoco.MjModel) -> tuple[str, ...]:
    return tuple(model.actuator(i).name or f"actuator{i}" for i in range(model.nu))


def _transmission(model: mujoco.MjModel) -> Float64Array:
    joints = np.zeros((model.nu, model.njnt))
    for i, target in enumerate(model.actuator_trnid[:, 0]):
        if model.actuator_trntype[i] != _TENDON:
            joints[i, target] = 1.0
            continue
        first = model.tendon_adr[target]
        for wrap in range(first, first + model.tendon_num[target]):
            joints[i, model.wrap_objid[wrap]] += model.wrap_prm[wrap]
    return joints


_TENDON = 3  # mjTRN_TENDON
