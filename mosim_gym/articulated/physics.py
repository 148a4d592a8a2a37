"""Physics: every number the motion of a body depends on that can be learned, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mosim_gym.articulated.pairs import Contacts, contacts_of
from mosim_gym.articulated.plain import from_plain_array, to_plain
from mosim_gym.errors import MosimError
from mosim_gym.robots.frames import rotation_of
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco

    from mosim_gym.articulated.description import Description


class Physics(NamedTuple):
    """Numbers in MuJoCo's order and units (``mjmodel.h``); no batch axis.

    Attributes:
        mass: of the bodies, the world (0) first, ``(nbody,)`` kg.
        centre: of mass in the body frame, ``(nbody, 3)``.
        inertia: about the centre, along the axes of the body frame, ``(nbody, 3, 3)``.
        armature: ``(nv,)``.
        damping: ``(nv,)``.
        stiffness: of joint springs, ``(njnt,)``.
        spring_reference: where springs are at rest, ``(nq,)`` (qpos_spring).
        friction_loss: ``(nv,)``.
        gear: ``(nu, 6)``.
        gain: gainprm, ``(nu, 3)``.
        bias: biasprm, ``(nu, 3)``.
        time_constant: of filters, in seconds, ``(nu,)`` (dynprm[0]).
        limit_solref: of joint limits, ``(njnt, 2)``.
        limit_solimp: of joint limits, ``(njnt, 5)``.
        limit_margin: of joint limits, ``(njnt,)``.
        friction_solref: of dry friction, ``(nv, 2)``.
        friction_solimp: of dry friction, ``(nv, 5)``.
        pair_friction: of candidate contact pairs, after MuJoCo's rules of combination,
            ``(npair, 5)``.
        pair_solref: ``(npair, 2)``.
        pair_solimp: ``(npair, 5)``.
        pair_margin: ``(npair,)``.
        pair_gap: ``(npair,)``.
    """

    mass: Tensor
    centre: Tensor
    inertia: Tensor
    armature: Tensor
    damping: Tensor
    stiffness: Tensor
    spring_reference: Tensor
    friction_loss: Tensor
    gear: Tensor
    gain: Tensor
    bias: Tensor
    time_constant: Tensor
    limit_solref: Tensor
    limit_solimp: Tensor
    limit_margin: Tensor
    friction_solref: Tensor
    friction_solimp: Tensor
    pair_friction: Tensor
    pair_solref: Tensor
    pair_solimp: Tensor
    pair_margin: Tensor
    pair_gap: Tensor

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives the physics back."""
        return {name: to_plain(value.double().numpy()) for name, value in self._asdict().items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Physics:
        """Physics in float64 from what `to_json` gave.

        Raises:
            MosimError: naming what is missing or wrong.
        """
        try:
            return cls(**{name: torch.tensor(from_plain_array(v)) for name, v in fields.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise MosimError(
                f"Not the numbers of a body: {error!r}. They are written by mosim_gym."
            ) from error


def physics_of(
    model: mujoco.MjModel, description: Description, dtype: torch.dtype = torch.float64
) -> Physics:
    """The numbers of a compiled model.

    Args:
        model: that `description` was made from.
        description: says which pairs of geoms are candidates for contact.
        dtype: of the tensors.
    """
    pairs = contacts_of(model, description.pairs)
    values: dict[str, ArrayLike] = {
        "mass": model.body_mass,
        "centre": model.body_ipos,
        "inertia": inertia_matrices(model.body_inertia, model.body_iquat),
        "armature": model.dof_armature,
        "damping": model.dof_damping,
        "stiffness": model.jnt_stiffness,
        "spring_reference": model.qpos_spring,
        "friction_loss": model.dof_frictionloss,
        "gear": model.actuator_gear,
        "gain": model.actuator_gainprm[:, :3],
        "bias": model.actuator_biasprm[:, :3],
        "time_constant": model.actuator_dynprm[:, 0],
        "limit_solref": model.jnt_solref,
        "limit_solimp": model.jnt_solimp,
        "limit_margin": model.jnt_margin,
        "friction_solref": model.dof_solref,
        "friction_solimp": model.dof_solimp,
        **_pair_values(pairs),
    }
    return Physics(**{name: _tensor(value, dtype) for name, value in values.items()})


def inertia_matrices(moments: ArrayLike, quaternions: ArrayLike) -> Float64Array:
    """Inertias ``(nbody, 3, 3)`` from principal moments and the orientation of their axes."""
    pairs = zip(np.asarray(moments), np.asarray(quaternions), strict=True)
    turned = [(np.array(m, dtype=np.float64), rotation_of(np.array(q))) for m, q in pairs]
    return np.array([turn @ np.diag(moment) @ turn.T for moment, turn in turned])


def _pair_values(pairs: Contacts) -> dict[str, ArrayLike]:
    return {
        "pair_friction": pairs.friction,
        "pair_solref": pairs.solref,
        "pair_solimp": pairs.solimp,
        "pair_margin": pairs.margin,
        "pair_gap": pairs.gap,
    }


def _tensor(values: ArrayLike, dtype: torch.dtype) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.float64), dtype=dtype)
