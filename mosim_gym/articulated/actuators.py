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


def actuators_of(model: mujoco.MjModel) -> Actuators:
    """Read the actuators of a compiled model."""
    nu = int(model.nu)
    activations = tuple(Activation)
    return Actuators(
        names=tuple(model.actuator(i).name or f"actuator{i}" for i in range(nu)),
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
    )


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
