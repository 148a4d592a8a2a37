"""A hash of everything in a MuJoCo model that shapes how its body moves.

Two tasks of one domain share a learned model exactly when their fingerprints agree: reacher-easy
and -hard do (the target's size moves nothing), finger-spin and -turn do not (other damping).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

_BODY = ("mass", "inertia", "ipos", "iquat", "pos", "quat", "parentid", "gravcomp")
_PREFIXES = {
    "jnt": ("type", "bodyid", "axis", "pos", "limited", "range", "stiffness", "margin", "solref",
            "solimp", "actfrclimited", "actfrcrange"),
    "dof": ("damping", "armature", "frictionloss", "solref", "solimp"),
    "actuator": ("trntype", "trnid", "dyntype", "gaintype", "biastype", "dynprm", "gainprm",
                 "biasprm", "gear", "ctrllimited", "ctrlrange", "forcelimited", "forcerange"),
    "geom": ("type", "contype", "conaffinity", "condim", "bodyid", "size", "pos", "quat",
             "friction", "solref", "solimp", "solmix", "margin", "gap", "priority"),
    "tendon": ("range", "limited", "stiffness", "damping", "frictionloss", "lengthspring"),
    "wrap": ("type", "objid", "prm"),
    "eq": ("type", "obj1id", "obj2id", "data", "active0", "solref", "solimp"),
    "pair": ("geom1", "geom2", "friction", "solref", "solimp", "margin", "gap"),
}  # fmt: skip
_OPTIONS = ("timestep", "gravity", "wind", "magnetic", "density", "viscosity", "integrator",
            "cone", "solver", "iterations", "tolerance", "impratio", "disableflags",
            "enableflags")  # fmt: skip
#: mjDSBL_CONTACT: with contacts disabled no geom touches anything.
_CONTACT_DISABLED = 1 << 4


def fingerprint(model: mujoco.MjModel) -> str:
    """16 hexadecimal digits that change when the body's physics does.

    Geoms that can touch nothing, the world body's own inertia, colours, cameras, lights, sensors
    and names are left out. Values are rounded to 9 significant digits, so that the hash does not
    depend on the last bits of a compiler.
    """
    digest = hashlib.sha256()
    _update(digest, "qpos0", model.qpos0)
    _update(digest, "qpos_spring", model.qpos_spring)
    for name in _OPTIONS:
        _update(digest, f"opt_{name}", getattr(model.opt, name))
    for name in _BODY:
        _update(digest, f"body_{name}", getattr(model, f"body_{name}")[1:])
    for prefix, names in _PREFIXES.items():
        keep = _touching_geoms(model) if prefix == "geom" else slice(None)
        for name in names:
            _update(digest, f"{prefix}_{name}", getattr(model, f"{prefix}_{name}")[keep])
    return digest.hexdigest()[:16]


def _touching_geoms(model: mujoco.MjModel) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if model.opt.disableflags & _CONTACT_DISABLED:
        return np.zeros(model.ngeom, dtype=bool)
    touching = (model.geom_contype > 0) | (model.geom_conaffinity > 0)
    for pair in (model.pair_geom1, model.pair_geom2):
        touching[pair] = True
    return touching


def _update(digest: hashlib._Hash, name: str, value: object) -> None:
    numbers = np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
    text = ",".join(f"{number:.9g}" for number in numbers)
    digest.update(f"{name}:{text};".encode())
