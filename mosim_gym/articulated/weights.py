"""How light the parts of a body are to a push: the inverse inertias that firmness is scaled by.

MuJoCo takes a constraint to feel the inverse inertia of its bodies at qpos0, averaged over
directions, instead of its own (documentation: Computation, diagApprox; ``body_invweight0`` and
``dof_invweight0`` in ``mjmodel.h``). They follow from masses, so they are functions of the
physics, with derivatives, and not told.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.kinetics import jacobian_of_points, jacobian_of_turns
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.smooth import Smooth
from mosim_gym.articulated.strings import StringRows
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Joints

_TINY = 1e-15


class Weights(NamedTuple):
    """Inverse inertias.

    Attributes:
        dof: of the degrees of freedom, ``(nv,)``.
        body: of the bodies, to shifts of the centre of mass and to turns, ``(nbody, 2)``.
        string: of the strings, ``(n,)``.
    """

    dof: Tensor
    body: Tensor
    string: Tensor


class InverseWeights:
    """The inverse inertias of a body at qpos0."""

    def __init__(self, description: Description, smooth: Smooth) -> None:
        """Prepare; `smooth` has the mass matrix."""
        self._smooth = smooth
        tree = description.tree
        mean, carrier = _groups(tree.joints, tree.nv)
        self._strings = StringRows(description.strings) if description.strings else None
        slides = description.slides_only.astype(np.float64)
        self._constants = Constants(
            tree.qpos0[None],
            np.arange(len(slides)),
            (description.weld != 0).astype(np.float64)[:, None],
            slides,
            mean,
            carrier,
            slides[carrier],
        )

    def __call__(self, physics: Physics) -> Weights:
        """Compute them; no batch axis, differentiable."""
        constants = self._constants.like(physics.mass)
        qpos, bodies, moves, slides, mean, carrier, sliding = constants
        mass, kinetics = self._smooth.mass_matrix(physics, qpos)
        inverse = torch.linalg.inv(mass[0])
        arms = (kinetics.rotation * physics.centre[None, :, None]).sum(3)
        shifts = jacobian_of_points(kinetics, bodies, kinetics.position + arms)
        turns = jacobian_of_turns(kinetics, bodies)
        # What does nothing but slide counts in all directions as in those that it slides in.
        light = 1 / physics.mass.clamp_min(_TINY)
        shift = torch.where(slides > 0, light, _average(shifts, inverse))
        turn = torch.where(slides > 0, 0.0, _average(turns, inverse))
        dof = torch.where(sliding > 0, light.index_select(0, carrier), mean @ inverse.diagonal())
        string = mass.new_zeros(0)
        if self._strings:
            longer = self._strings.lengths(kinetics)[1][..., 0]
            string = ((longer @ inverse) * longer).sum(1)
        return Weights(dof, moves * torch.stack([shift, turn], 1), string)


def _groups(joints: Joints, nv: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over the axes that count as one ``(nv, nv)``, and the body of each dof ``(nv,)``."""
    mean, carrier = np.zeros((nv, nv)), np.zeros(nv, dtype=np.int64)
    sizes = {JointType.FREE: (3, 3), JointType.BALL: (3,)}
    for kind, body, dof in zip(joints.types, joints.body, joints.dof_index.tolist(), strict=True):
        for size in sizes.get(kind, (1,)):
            group = slice(dof, dof + size)
            mean[group, group], carrier[group] = 1 / size, body
            dof += size
    return mean, carrier


def _average(jacobian: Tensor, inverse: Tensor) -> Tensor:
    """Mean over directions of ``J M^-1 J^T``, ``(nbody,)``, of J ``(1, nbody, 3, nv)``."""
    rows = jacobian[0]
    return ((rows @ inverse) * rows).sum(2).mean(1)
