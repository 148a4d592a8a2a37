"""The numbers that are learned, each with a name: what was found of them can be looked up.

Values are those of `mosim_gym.articulated.physics.Physics`, in MuJoCo's units; of inertias the
diagonal in the body frame.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.learned import LearnedPhysics
from mosim_gym.articulated.physics import Physics


class Label(NamedTuple):
    """Names of a number.

    Attributes:
        kind: such as "damping".
        where: the body, joint, actuator or pair of shapes it belongs to.
    """

    kind: str
    where: str


class _Row(NamedTuple):
    """How the numbers of one parameter are found: a field of Physics, its columns, its rows."""

    parameter: str
    field: str
    columns: tuple[str, ...]
    of: str


_AXES = ("x", "y", "z")
_IMPEDANCE = ("impedance at first", "impedance further on", "width")
_REFERENCE = ("time constant", "damping ratio")
_ROWS = (
    _Row("mass", "mass", ("mass",), "body"),
    _Row("centre", "centre", tuple(f"centre {axis}" for axis in _AXES), "body"),
    _Row("width", "inertia", tuple(f"inertia {2 * axis}" for axis in _AXES), "body"),
    _Row("armature", "armature", ("armature",), "dof"),
    _Row("damping", "damping", ("damping",), "dof"),
    _Row("stiffness", "stiffness", ("stiffness",), "joint"),
    _Row("spring_reference", "spring_reference", ("spring at rest",), "qpos"),
    _Row("friction_loss", "friction_loss", ("dry friction",), "dof"),
    _Row("gear", "gear", ("gear",), "actuator"),
    _Row("gain", "gain", ("gain", "gain by length", "gain by speed"), "actuator"),
    _Row("bias", "bias", ("bias", "bias by length", "bias by speed"), "actuator"),
    _Row("limit_solref", "limit_solref", tuple(f"limit: {c}" for c in _REFERENCE), "joint"),
    _Row("limit_solimp", "limit_solimp", tuple(f"limit: {c}" for c in _IMPEDANCE), "joint"),
    _Row("pair_friction", "pair_friction", ("friction",), "pair"),
    _Row("pair_solref", "pair_solref", tuple(f"contact: {c}" for c in _REFERENCE), "every pair"),
    _Row("pair_solimp", "pair_solimp", tuple(f"contact: {c}" for c in _IMPEDANCE), "every pair"),
)


def labelled(
    description: Description, learned: LearnedPhysics, physics: Physics
) -> tuple[list[Label], Tensor]:
    """Names and values ``(k,)`` of all numbers with a parameter, differentiable by `physics`."""
    names = _names(description)
    labels: list[Label] = []
    values: list[Tensor] = []
    for row in _ROWS:
        if not hasattr(learned, row.parameter):
            continue
        index = getattr(learned, f"rows_{row.parameter}")
        where = [row.of] if row.of == "every pair" else [names[row.of][i] for i in index.tolist()]
        field = getattr(physics, row.field)
        table = field.diagonal(dim1=1, dim2=2) if field.ndim == 3 else field.reshape(len(field), -1)
        chosen = table[index[: len(where)], : len(row.columns)]
        labels += [Label(kind, place) for place in where for kind in row.columns]
        values.append(chosen.flatten())
    return labels, torch.cat(values) if values else physics.mass.new_zeros(0)


def _names(description: Description) -> dict[str, list[str]]:
    tree, pairs = description.tree, description.pairs
    joints, geoms = tree.joints, tree.geoms.names
    dofs, positions = [""] * tree.nv, [""] * tree.nq
    starts = zip(joints.names, joints.dof_index.tolist(), joints.qpos_index.tolist(), strict=True)
    for (name, dof, position), end in zip(
        starts, [*joints.dof_index.tolist()[1:], tree.nv], strict=True
    ):
        count = end - dof
        positions[position] = name
        for k in range(count):
            dofs[dof + k] = name if count == 1 else f"{name}[{k}]"
    couples = zip(pairs.geom1.tolist(), pairs.geom2.tolist(), strict=True)
    return {
        "body": list(tree.bodies.names),
        "joint": list(joints.names),
        "dof": dofs,
        "qpos": positions,
        "actuator": list(description.actuators.names),
        "pair": [f"{geoms[a]} and {geoms[b]}" for a, b in couples],
    }
