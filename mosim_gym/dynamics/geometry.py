"""The geometry a model is told, and whether it is that of its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mosim_gym.articulated.description import Description
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec


def told_geometry(spec: RobotSpec, geometry: Mapping[str, Any] | None, needs: str) -> Description:
    """The description that was told.

    Args:
        spec: the body.
        geometry: a `Description` as JSON.
        needs: the beginning of the error without it: who needs it.

    Raises:
        MosimError: without the geometry, or with that of another body.
    """
    if geometry is None:
        raise MosimError(
            f"{needs} the geometry of {spec.name}: "
            "ModelConfig(geometry=describe(model).to_json()) of its MuJoCo model."
        )
    description = Description.from_json(dict(geometry))
    _require_match(spec, description)
    return description


def _require_match(spec: RobotSpec, description: Description) -> None:
    tree = description.tree
    ours = (tree.nq, tree.nv, len(description.actuators.names))
    theirs = (spec.nq, spec.nv, spec.nu)
    if ours != theirs:
        raise MosimError(
            f"The geometry told has (nq, nv, nu) = {ours}, {spec.name} has {theirs}: it belongs to "
            "another body."
        )
    kinds = [joint.type for joint in spec.joints], list(tree.joints.types)
    if kinds[0] != kinds[1]:
        raise MosimError(
            f"The geometry told has joints of types {', '.join(kinds[1])}; {spec.name} has "
            f"{', '.join(kinds[0])}: another body, or its joints in another order."
        )
