"""Physics to start from where only the geometry is told: one density, one damping, one friction."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.smooth import Smooth
from mosim_gym.articulated.volumes import solids_of
from mosim_gym.types import Float64Array

#: MuJoCo's defaults for constraints.
SOLREF = (0.02, 1.0)
SOLIMP = (0.9, 0.95, 0.001, 0.5, 2.0)
FRICTION = (1.0, 1.0, 0.005, 0.0001, 0.0001)
# Of the inertia that a joint moves: its armature; what damps it, per second; what pulls it back,
# per second squared; how fast its motor accelerates it, per second squared.
_ARMATURE, _DAMPING, _SPRING, _MOTOR = 0.01, 0.1, 0.1, 10.0
_TIME_CONSTANT = 0.1


def guess(description: Description, dtype: torch.dtype = torch.float64) -> Physics:
    """Physics guessed from shapes alone.

    Masses and inertias of solids of water; damping, armature, motors and, at limited joints,
    springs in proportion to the inertia that each joint moves; no dry friction; MuJoCo's defaults
    for constraints.
    """
    start = _solid(description)
    mass, _ = Smooth(description).mass_matrix(start, torch.tensor(description.tree.qpos0[None]))
    moved = mass[0].diagonal().numpy()
    joints, actuators = description.tree.joints, description.actuators
    by_joint = moved[joints.dof_index]
    strength = _MOTOR * np.abs(actuators.joints) @ by_joint
    servo = actuators.affine_bias | actuators.affine_gain
    told = actuators.position_gear
    changed = {
        "armature": _ARMATURE * moved * ~description.free_dofs,
        "damping": _DAMPING * moved * ~description.free_dofs,
        "stiffness": _SPRING * by_joint * description.may_be_sprung,
        "gear": _first(np.where(servo, np.where(told == 0, 1.0, told), strength), 6),
        "gain": _first(np.where(servo, strength, 1.0), 3),
        # A servo holds still where it is asked to be.
        "bias": np.roll(_first(np.where(servo, -strength, 0.0), 3), 1, axis=1),
    }
    full = start._replace(**{name: torch.tensor(value) for name, value in changed.items()})
    return Physics(*(value.to(dtype) for value in full))


def _solid(description: Description) -> Physics:
    """Masses and inertias of the shapes; nothing that damps, pulls or drives."""
    tree = description.tree
    solids = solids_of(tree)
    nv, njnt, nu = tree.nv, len(tree.joints.names), len(description.actuators.names)
    npair = len(description.pairs)
    inertias = [np.eye(3) * np.trace(solid.second) - solid.second for solid in solids]
    return Physics(
        mass=_tensor([solid.mass for solid in solids]),
        centre=_tensor([solid.centre for solid in solids]),
        inertia=_tensor(inertias),
        armature=_tensor(np.zeros(nv)),
        damping=_tensor(np.zeros(nv)),
        stiffness=_tensor(np.zeros(njnt)),
        spring_reference=_tensor(tree.qpos0),
        friction_loss=_tensor(np.zeros(nv)),
        gear=_tensor(np.zeros((nu, 6))),
        gain=_tensor(np.zeros((nu, 3))),
        bias=_tensor(np.zeros((nu, 3))),
        time_constant=_tensor(np.full(nu, _TIME_CONSTANT)),
        limit_solref=_rows(SOLREF, njnt),
        limit_solimp=_rows(SOLIMP, njnt),
        limit_margin=_tensor(np.zeros(njnt)),
        friction_solref=_rows(SOLREF, nv),
        friction_solimp=_rows(SOLIMP, nv),
        pair_friction=_rows(FRICTION, npair),
        pair_solref=_rows(SOLREF, npair),
        pair_solimp=_rows(SOLIMP, npair),
        pair_margin=_tensor(np.zeros(npair)),
        pair_gap=_tensor(np.zeros(npair)),
    )


def _first(values: Float64Array, width: int) -> Float64Array:
    """Values ``(n,)`` as the first column of ``(n, width)``."""
    table = np.zeros((len(values), width))
    table[:, 0] = values
    return table


def _rows(row: ArrayLike, n: int) -> Tensor:
    return _tensor(np.tile(row, (n, 1)))


def _tensor(values: ArrayLike) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.float64))
