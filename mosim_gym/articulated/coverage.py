"""What the forward dynamics do not cover, found and listed before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mosim_gym.articulated.fluid import uncovered_fluid
from mosim_gym.articulated.pairs import Pairs
from mosim_gym.articulated.strings import is_string
from mosim_gym.errors import MosimError
from mosim_gym.robots.tree import IntArray
from mosim_gym.types import Array

if TYPE_CHECKING:
    import mujoco

_SHAPES = ("plane", "height field", "sphere", "capsule", "ellipsoid", "cylinder", "box", "mesh",
           "signed distance field")  # fmt: skip
_PLANE, _SPHERE, _CAPSULE = 0, 2, 3
#: Pairs of shapes (mjtGeom) whose contacts are covered.
COVERED = frozenset(
    {(_PLANE, shape) for shape in (2, 3, 4, 5, 6)}
    | {(_SPHERE, _SPHERE), (_SPHERE, _CAPSULE), (_CAPSULE, _CAPSULE)}
)
_TRANSMISSIONS = ("joint", "joint in parent", "slider-crank", "tendon", "site", "body", "so3")
_DYNAMICS = ("none", "integrator", "filter", "filterexact", "muscle", "dcmotor", "pid", "user")
_GAINS = ("fixed", "affine", "muscle", "dcmotor", "so3", "pid", "user")
_BIASES = ("none", "affine", "muscle", "dcmotor", "so3", "user")
_JOINT, _TENDON, _WRAP_JOINT = 0, 3, 1
#: Switched off with all constraints, by a bit of their own: equalities, limits.
_NO_CONSTRAINT, _NO_EQUALITY, _NO_LIMIT = 1 << 0, 1 << 1, 1 << 3


def require_covered(model: mujoco.MjModel, pairs: Pairs, *, force: bool = False) -> list[str]:
    """Raise if the model uses what is not covered.

    Args:
        model: of the body.
        pairs: of geoms that can touch.
        force: put up with what can be left out; it is returned, in words.

    Raises:
        MosimError: listing all of it.
    """
    left_out = list(dict.fromkeys(uncovered(model, pairs)))
    needed = list(dict.fromkeys(_needed(model)))
    found = needed if force else [*needed, *left_out]
    if found:
        raise MosimError(
            f"The articulated predictor does not cover everything this model uses: "
            f'{"; ".join(found)}. Use a network (preset "contact" or "default"), or a model '
            "without; "
            + (
                "it cannot be left out."
                if force
                else "what can be left out is left to a network beside it with mosim-gym fit "
                "--preset articulated_corrected --force (describe(..., force=True))."
            )
        )
    return left_out


def covered(model: mujoco.MjModel, pairs: Pairs) -> IntArray:
    """Indices of the pairs whose shapes are covered."""
    shapes = model.geom_type
    kinds = zip(shapes[pairs.geom1].tolist(), shapes[pairs.geom2].tolist(), strict=True)
    return np.flatnonzero([kind in COVERED for kind in kinds])


def require_touchable(model: mujoco.MjModel, pairs: Pairs) -> None:
    """Raise if pairs of geoms have shapes whose distance is not known.

    Raises:
        MosimError: listing all of them.
    """
    found = list(dict.fromkeys(_shapes(model, pairs)))
    if found:
        raise MosimError(
            f"How near this body is to the ground is not known of every part of it: "
            f'{"; ".join(found)}. Use preset "default", which learns that, or other shapes.'
        )


def uncovered(model: mujoco.MjModel, pairs: Pairs) -> Iterator[str]:
    """What is not covered and could be left out, in words, one by one."""
    yield from _world(model)
    yield from _joints(model)
    yield from _tendons(model)
    yield from _contacts(model, pairs)


def _needed(model: mujoco.MjModel) -> Iterator[str]:
    """What is not covered, and without which nothing can be computed."""
    if model.opt.integrator not in (0, 1, 3):
        yield "an integrator other than Euler, RK4 and implicitfast"
    yield from _actuators(model)
    for t in sorted(set(model.actuator_trnid[model.actuator_trntype == _TENDON, 0].tolist())):
        wraps = slice(model.tendon_adr[t], model.tendon_adr[t] + model.tendon_num[t])
        if np.any(model.wrap_type[wraps] != _WRAP_JOINT):
            yield f"tendon {model.tendon(t).name or t!r} is spatial"


def _world(model: mujoco.MjModel) -> Iterator[str]:
    option = model.opt
    yield from uncovered_fluid(model)
    if option.noslip_iterations:
        yield "the noslip solver"
    if option.enableflags & 1:
        yield "contact parameters overridden by an option"
    if option.disableactuator:
        yield "groups of actuators switched off"
    if model.nflex:
        yield "deformable bodies (flex)"
    if model.nplugin:
        yield "plugins"
    if model.nmocap:
        yield "mocap bodies"
    if np.any(model.body_gravcomp):
        yield "gravity compensation"
    if model.neq and not option.disableflags & (_NO_CONSTRAINT | _NO_EQUALITY):
        yield f"{model.neq} equality constraints"


def _joints(model: mujoco.MjModel) -> Iterator[str]:
    scalar = model.jnt_type >= 2
    for j in np.flatnonzero(~scalar & (model.jnt_stiffness != 0)).tolist():
        yield f"a spring at the ball or free joint {model.joint(j).name!r}"
    narrow = np.diff(model.jnt_range)[:, 0] < 2 * model.jnt_margin
    for j in np.flatnonzero(scalar & narrow & _bools(model.jnt_limited)).tolist():
        yield f"a range narrower than its margins at joint {model.joint(j).name!r}"
    if np.any(model.jnt_stiffnesspoly) or np.any(model.dof_dampingpoly):
        yield "springs or damping of higher order"
    if np.any(model.jnt_actfrclimited):
        yield "limits of the total actuator force at a joint"


def _actuators(model: mujoco.MjModel) -> Iterator[str]:
    kinds = zip(
        model.actuator_trntype, model.actuator_dyntype, model.actuator_gaintype,
        model.actuator_biastype, strict=True,
    )  # fmt: skip
    for i, (transmission, dynamics, gain, bias) in enumerate(kinds):
        name = f"actuator {model.actuator(i).name or i!r}"
        if transmission not in (_JOINT, _TENDON):
            yield f"{name} acts on a {_TRANSMISSIONS[transmission]}"
        elif transmission == _JOINT and model.jnt_type[model.actuator_trnid[i, 0]] < 2:
            yield f"{name} acts on a ball or free joint"
        if dynamics > 3:
            yield f"{name} has {_DYNAMICS[dynamics]} dynamics"
        if gain > 1 or bias > 1:
            yield f"{name} has {_GAINS[gain]} gain and {_BIASES[bias]} bias"
    if model.nu != model.nactuator:
        yield "actuators with several controls"
    special = (model.actuator_actearly, model.actuator_delay, model.actuator_damping,
               model.actuator_dampingpoly, model.actuator_armature)  # fmt: skip
    if any(np.any(value) for value in special):
        yield "actuators with early activation, delay, damping or armature of their own"


def _tendons(model: mujoco.MjModel) -> Iterator[str]:
    limits = not model.opt.disableflags & (_NO_CONSTRAINT | _NO_LIMIT)
    for t in range(model.ntendon):
        name = f"tendon {model.tendon(t).name or t!r}"
        if limits and model.tendon_limited[t] and not is_string(model, t):
            yield f"{name} has a limit, and runs along joints, over pulleys or around geoms"
        if model.tendon_stiffness[t] or np.any(model.tendon_stiffnesspoly[t]):
            yield f"{name} has a spring"
        if model.tendon_damping[t] or np.any(model.tendon_dampingpoly[t]):
            yield f"{name} is damped"
        if model.tendon_frictionloss[t] or model.tendon_armature[t]:
            yield f"{name} has dry friction or armature"
        if model.tendon_actfrclimited[t]:
            yield f"{name} has a limit of its total actuator force"


def _shapes(model: mujoco.MjModel, pairs: Pairs) -> Iterator[str]:
    shapes = model.geom_type
    for a, b in zip(pairs.geom1, pairs.geom2, strict=True):
        if (int(shapes[a]), int(shapes[b])) not in COVERED:
            yield f"contact between a {_SHAPES[shapes[a]]} and a {_SHAPES[shapes[b]]}"


def _contacts(model: mujoco.MjModel, pairs: Pairs) -> Iterator[str]:
    yield from _shapes(model, pairs)
    for k in pairs.explicit:
        if k >= 0 and np.any(model.pair_solreffriction[k]):
            yield "contact pairs with a solref of their own for friction"
    if model.flg_surfacevel or model.flg_adhesion:
        yield "geoms that move their surface or stick"


def _bools(values: Array) -> Array:
    return np.asarray(values, dtype=np.bool_)
