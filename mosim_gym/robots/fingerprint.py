"""A hash of everything in a MuJoCo model that shapes how its body moves.

Two tasks of one domain share a learned model exactly when their fingerprints agree: reacher-easy
and -hard do (the target's size moves nothing), finger-spin and -turn do not (other damping).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

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
#: Hashed only where they hold something but zeros, so that what most bodies do not have (and
#: what a later MuJoCo may add) leaves their fingerprints as they are.
_SPECIAL = {
    "jnt": ("actgravcomp", "stiffnesspoly"),
    "dof": ("dampingpoly",),
    "actuator": ("actlimited", "actrange", "actearly", "cranklength", "damping", "dampingpoly",
                 "armature", "delay"),
    "tendon": ("adr", "num", "armature", "margin", "actfrclimited", "actfrcrange", "solref_lim",
               "solimp_lim", "solref_fri", "solimp_fri", "stiffnesspoly", "dampingpoly"),
    "pair": ("dim", "solreffriction", "adhesion"),
    "exclude": ("signature",),
    "geom": ("fluid",),
}  # fmt: skip
#: mjDSBL_CONSTRAINT, mjDSBL_CONTACT: with either set no geom touches anything.
_NO_CONTACT = 1 << 0 | 1 << 4
_PLANE = 0  # mjGEOM_PLANE
_SITE_TRANSMISSIONS = (2, 4)  # mjTRN_SLIDERCRANK, mjTRN_SITE
_WRAP_SITE, _WRAP_GEOMS = 3, (4, 5)  # mjWRAP_SITE; mjWRAP_SPHERE, mjWRAP_CYLINDER


def fingerprint(model: mujoco.MjModel) -> str:
    """16 hexadecimal digits that change when the body's physics does.

    Geoms that can touch nothing, sites nothing pulls at, the world body's own inertia, colours,
    cameras, lights, sensors and names are left out, and so are the shapes of meshes and terrain.
    Values are rounded to 9 significant digits, so that the hash does not depend on the last bits
    of a compiler.
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
            value = getattr(model, f"{prefix}_{name}")[keep]
            if (prefix, name) == ("geom", "size"):
                # A plane goes on for ever; its size is how much of it is drawn.
                value = np.where(model.geom_type[keep, None] == _PLANE, 0.0, value)
            _update(digest, f"{prefix}_{name}", value)
    for prefix, names in _SPECIAL.items():
        for name in names:
            _update_special(digest, f"{prefix}_{name}", getattr(model, f"{prefix}_{name}", 0))
    sites = _acting_sites(model)
    for name in ("bodyid", "pos", "quat"):
        _update_special(digest, f"site_{name}", getattr(model, f"site_{name}")[sites])
    return digest.hexdigest()[:16]


def _touching_geoms(model: mujoco.MjModel) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    touching = np.zeros(model.ngeom, dtype=bool)
    if not model.opt.disableflags & _NO_CONTACT:
        touching = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        for pair in (model.pair_geom1, model.pair_geom2):
            touching[pair] = True
    # A fluid pushes at their shape.
    touching |= model.geom_fluid.any(1)
    # Tendons slide around geoms, whether or not those collide.
    touching[model.wrap_objid[np.isin(model.wrap_type, _WRAP_GEOMS)]] = True
    return touching


def _acting_sites(model: mujoco.MjModel) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Sites that actuators or tendons act at."""
    by_actuators = model.actuator_trnid[np.isin(model.actuator_trntype, _SITE_TRANSMISSIONS)]
    by_tendons = model.wrap_objid[model.wrap_type == _WRAP_SITE]
    sites = np.concatenate([by_actuators.ravel(), by_tendons]).astype(np.int64)
    return np.unique(sites[sites >= 0])


def _update_special(digest: hashlib._Hash, name: str, value: ArrayLike) -> None:
    if np.any(value):
        _update(digest, name, value)


def _update(digest: hashlib._Hash, name: str, value: object) -> None:
    numbers = np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
    text = ",".join(f"{number:.9g}" for number in numbers)
    digest.update(f"{name}:{text};".encode())
