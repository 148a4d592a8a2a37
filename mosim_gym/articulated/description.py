"""Description: what is told of a body and never learned, as plain data, read from any MJCF.

Its tree of bodies and joints, its shapes, which of them can touch, what its actuators act on, and
the options of the simulation; not its masses, inertias, damping, friction or motors' strength,
which are `mosim_gym.articulated.physics`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mosim_gym.articulated.actuators import Actuators, actuators_of, idle_actuators
from mosim_gym.articulated.coverage import covered, require_covered, require_touchable
from mosim_gym.articulated.fluid import Fluid, fluid_of
from mosim_gym.articulated.pairs import Pairs, pairs_of
from mosim_gym.articulated.plain import from_plain, to_plain
from mosim_gym.articulated.sensors import Sensors, sensors_of
from mosim_gym.articulated.strings import Strings, strings_of
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Integrator, JointType
from mosim_gym.robots.tree import IntArray, Sites, Tree
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco


class Cone(StrEnum):
    """Friction cones (documentation: Computation, Friction cones)."""

    PYRAMIDAL = "pyramidal"
    ELLIPTIC = "elliptic"


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Options of the simulation (``mjOption``).

    Attributes:
        timestep: in seconds.
        gravity: ``(3,)`` m/s^2; zeros where it is switched off.
        integrator: of one physics step.
        cone: of friction.
        impratio: of friction to normal impedance.
        constraints: whether there are limits, dry friction or contacts at all.
        limits: whether joint limits hold.
        friction_loss: whether there is dry friction.
        contacts: whether geoms touch.
        springs: whether joint springs pull.
        dampers: whether joints are damped.
        actuation: whether actuators act.
        clamp_ctrl: whether controls are clamped to their ranges.
        refsafe: whether time constants of constraints are kept above twice the time step.
        implicit_damping: whether Euler steps damping implicitly.
    """

    timestep: float
    gravity: Float64Array
    integrator: Integrator
    cone: Cone
    impratio: float
    constraints: bool
    limits: bool
    friction_loss: bool
    contacts: bool
    springs: bool
    dampers: bool
    actuation: bool
    clamp_ctrl: bool
    refsafe: bool
    implicit_damping: bool


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A body as it is told.

    Attributes:
        tree: bodies, joints with their ranges, geoms; its masses and inertias are zeros, as they
            are not told, and there are no sites.
        weld: the body each is rigidly part of, ``(nbody,)``; 0 for what never moves.
        rubbing: which degrees of freedom have dry friction, ``(nv,)`` bool.
        slides_only: bodies that do nothing but slide along their axes, free of all others,
            ``(nbody,)`` bool (body_simple 2).
        pairs: of geoms that can touch.
        actuators: what acts on it.
        options: of the simulation.
        fluid: around it, if any.
        strings: that hold it, if any.
        sprung: joints that have a spring though nothing limits them, ``(njnt,)`` bool; limited ones
            may all have one.
        missing: what of it was left out, in words.
        touch: its touch sensors, if all they read is known from its contacts.
    """

    tree: Tree
    weld: IntArray
    rubbing: NDArray[np.bool_]
    slides_only: NDArray[np.bool_]
    pairs: Pairs
    actuators: Actuators
    options: Options
    fluid: Fluid | None = None
    strings: Strings | None = None
    sprung: NDArray[np.bool_] | None = None
    missing: tuple[str, ...] | None = None
    touch: Sensors | None = None

    @property
    def free_dofs(self) -> NDArray[np.bool_]:
        """Degrees of freedom of free joints, ``(nv,)``: no gear or bearing is there.

        What flies has neither armature nor damping; learned, they would pass for its mass.
        """
        joints, free = self.tree.joints, np.zeros(self.tree.nv, dtype=np.bool_)
        for kind, dof in zip(joints.types, joints.dof_index.tolist(), strict=True):
            if kind is JointType.FREE:
                free[dof : dof + 6] = True
        return free

    @property
    def may_be_sprung(self) -> NDArray[np.bool_]:
        """Hinges and slides that may have a spring, ``(njnt,)``.

        What turns or slides freely has no place for a spring to pull it to, unless that is told.
        """
        joints = self.tree.joints
        scalar = np.array([kind in (JointType.SLIDE, JointType.HINGE) for kind in joints.types])
        told = False if self.sprung is None else self.sprung
        return scalar & (joints.limited | told) & self.options.springs

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives the description back."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Description:
        """A description from what `to_json` gave.

        Raises:
            MosimError: naming what is missing or wrong.
        """
        try:
            return from_plain(cls, fields)
        except (KeyError, TypeError, ValueError) as error:
            raise MosimError(
                f"Not the description of a body: {error!r}. It is written by mosim_gym."
            ) from error


def load_model(path: str | Path) -> mujoco.MjModel:
    """Compile an MJCF (or URDF) file, for `describe`.

    Raises:
        MosimError: if MuJoCo cannot.
    """
    import mujoco

    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise MosimError(f"{path} is no MJCF or URDF that MuJoCo can read: {error}") from error


def describe(model: mujoco.MjModel, *, ground: bool = False, force: bool = False) -> Description:
    """Read a compiled model.

    Args:
        model: of the body.
        ground: it is only to be told where the body can touch what never moves (contact features):
            of contacts those alone are read, and nothing else has to be covered.
        force: leave out what is not covered, where that is possible.

    Raises:
        MosimError: listing everything the model uses that is not covered.
    """
    pairs, missing = pairs_of(model), []
    if ground:
        moves = model.body_weldid[model.geom_bodyid] != 0
        pairs = pairs.chosen(np.flatnonzero(moves[pairs.geom1] != moves[pairs.geom2]))
        require_touchable(model, pairs)
    else:
        missing = require_covered(model, pairs, force=force)
        pairs = pairs.chosen(covered(model, pairs))
    options, tree = _options(model), Tree.from_mujoco(model)
    shortest = 2 * options.timestep if options.refsafe else 0.0
    return Description(
        tree=_geometry(tree),
        weld=np.array(model.body_weldid, dtype=np.int64),
        rubbing=np.array(model.dof_frictionloss > 0),
        slides_only=np.array(model.body_simple == 2),
        pairs=pairs,
        actuators=idle_actuators(model) if ground else actuators_of(model),
        options=options,
        fluid=fluid_of(model),
        strings=strings_of(model, shortest) if options.limits else None,
        missing=tuple(missing),
        # Contacts that are left out press, too.
        touch=None if ground or missing else sensors_of(model, tree.sites),
        sprung=np.array((model.jnt_stiffness > 0) & (model.jnt_limited == 0)),
    )


def _geometry(tree: Tree) -> Tree:
    """The tree without what is not told."""
    bodies = tree.bodies
    blank = replace(
        bodies,
        mass=np.zeros_like(bodies.mass),
        centre=np.zeros_like(bodies.centre),
        inertia=np.zeros_like(bodies.inertia),
        inertia_quaternion=np.tile([1.0, 0.0, 0.0, 0.0], (len(bodies.mass), 1)),
    )
    none = Sites((), np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)))
    return replace(tree, bodies=blank, sites=none)


def _options(model: mujoco.MjModel) -> Options:
    option = model.opt

    def enabled(bit: int) -> bool:
        return not option.disableflags & 1 << bit

    # Bits: mjtDisableBit.
    gravity = np.array(option.gravity, dtype=np.float64)
    return Options(
        timestep=float(option.timestep),
        gravity=gravity if enabled(7) else np.zeros(3),
        integrator=tuple(Integrator)[int(option.integrator)],
        cone=tuple(Cone)[int(option.cone)],
        impratio=float(option.impratio),
        constraints=enabled(0),
        limits=enabled(0) and enabled(3),
        friction_loss=enabled(0) and enabled(2),
        contacts=enabled(0) and enabled(4),
        springs=enabled(5),
        dampers=enabled(6),
        actuation=enabled(11),
        clamp_ctrl=enabled(8),
        refsafe=enabled(12),
        implicit_damping=enabled(15),
    )
