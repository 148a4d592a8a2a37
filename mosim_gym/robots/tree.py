"""The bodies of a MuJoCo model as plain data: what kinematics and dynamics need to know of them.

Everything is in MuJoCo's order and units; the world is body 0. Meaning of each array: MuJoCo
documentation, XML reference, body / joint / geom / site, and ``mjmodel.h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mosim_gym.errors import unknown_name
from mosim_gym.robots.spec import JointType
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco

IntArray = NDArray[np.int64]
_SAMEFRAME_INERTIA = 2  # mjSAMEFRAME_INERTIA


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """Rigid bodies, the world first, parents before children.

    Attributes:
        names: as in the MJCF, or ``body<i>`` where it has none.
        parent: index of the body each is attached to, ``(nbody,)``.
        position: of its frame in the parent's, before any joint moves it, ``(nbody, 3)``.
        quaternion: orientation in the parent's frame, ``(nbody, 4)``, (w, x, y, z).
        mass: in kilograms, ``(nbody,)``.
        centre: of mass, in the body frame, ``(nbody, 3)`` (MuJoCo's ipos).
        inertia: principal moments about the centre, ``(nbody, 3)``.
        inertia_quaternion: orientation of the principal axes in the body frame, ``(nbody, 4)``.
    """

    names: tuple[str, ...]
    parent: IntArray
    position: Float64Array
    quaternion: Float64Array
    mass: Float64Array
    centre: Float64Array
    inertia: Float64Array
    inertia_quaternion: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Joints:
    """Joints; those of one body act in the order they are listed in.

    Attributes:
        names: as in the MJCF, or ``joint<i>`` where it has none.
        types: free, ball, slide or hinge.
        body: the body each moves, ``(njnt,)``.
        position: the anchor in the body frame, ``(njnt, 3)``.
        axis: of a hinge or slide in the body frame, of length one, ``(njnt, 3)``.
        limited: whether `range` holds, ``(njnt,)`` bool.
        range: in metres or radians, ``(njnt, 2)``.
        qpos_index: first index in qpos, ``(njnt,)``.
        dof_index: first index in qvel, ``(njnt,)``.
    """

    names: tuple[str, ...]
    types: tuple[JointType, ...]
    body: IntArray
    position: Float64Array
    axis: Float64Array
    limited: NDArray[np.bool_]
    range: Float64Array
    qpos_index: IntArray
    dof_index: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Frames fixed to bodies.

    Attributes:
        names: as in the MJCF, or ``site<i>`` (``geom<i>``) where it has none.
        body: the body each is fixed to, ``(k,)``.
        position: in the body frame, ``(k, 3)``.
        quaternion: orientation in the body frame, ``(k, 4)``.
        size: in MuJoCo's meaning for the shape, ``(k, 3)``.
    """

    names: tuple[str, ...]
    body: IntArray
    position: Float64Array
    quaternion: Float64Array
    size: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Geoms(Sites):
    """Shapes fixed to bodies.

    Attributes:
        shape: MuJoCo's mjtGeom number of each, ``(ngeom,)``.
    """

    shape: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A kinematic tree: bodies, the joints that move them, geoms and sites fixed to them.

    Attributes:
        bodies: with their inertia.
        joints: with their limits.
        geoms: shapes.
        sites: marked frames.
        qpos0: the configuration in which hinges and slides are at their reference, ``(nq,)``.
        nv: number of velocities.
    """

    bodies: Bodies
    joints: Joints
    geoms: Geoms
    sites: Sites
    qpos0: Float64Array
    nv: int

    @property
    def nq(self) -> int:
        """Number of positions."""
        return len(self.qpos0)

    def body(self, name: str) -> int:
        """Index of a body; raises UnknownNameError with near matches."""
        return _index("body", name, self.bodies.names)

    def joint(self, name: str) -> int:
        """Index of a joint; raises UnknownNameError with near matches."""
        return _index("joint", name, self.joints.names)

    def geom(self, name: str) -> int:
        """Index of a geom; raises UnknownNameError with near matches."""
        return _index("geom", name, self.geoms.names)

    def site(self, name: str) -> int:
        """Index of a site; raises UnknownNameError with near matches."""
        return _index("site", name, self.sites.names)

    def subtree(self, name: str) -> tuple[int, ...]:
        """Indices of a body and of all that hangs from it, parents first."""
        root = self.body(name)
        inside = {root}
        for body in range(root + 1, len(self.bodies.names)):
            if int(self.bodies.parent[body]) in inside:
                inside.add(body)
        return tuple(sorted(inside))

    @classmethod
    def from_mujoco(cls, model: mujoco.MjModel) -> Tree:
        """Read a compiled model; copies, so that later changes of the model are not seen.

        A mocap body counts as fixed where the model has it.
        """
        return cls(
            bodies=_bodies(model),
            joints=_joints(model),
            geoms=Geoms(**_placed(model, "geom", model.ngeom), shape=_ints(model.geom_type)),
            sites=Sites(**_placed(model, "site", model.nsite)),
            qpos0=_floats(model.qpos0),
            nv=int(model.nv),
        )

    @classmethod
    def from_mjcf(cls, path: str | Path) -> Tree:
        """Read an MJCF (or URDF) file."""
        import mujoco

        return cls.from_mujoco(mujoco.MjModel.from_xml_path(str(path)))


def _bodies(model: mujoco.MjModel) -> Bodies:
    return Bodies(
        names=_names(model, "body", model.nbody),
        parent=_ints(model.body_parentid),
        position=_floats(model.body_pos),
        quaternion=_floats(model.body_quat),
        mass=_floats(model.body_mass),
        centre=_floats(model.body_ipos),
        inertia=_floats(model.body_inertia),
        inertia_quaternion=_floats(model.body_iquat),
    )


def _joints(model: mujoco.MjModel) -> Joints:
    return Joints(
        names=_names(model, "joint", model.njnt),
        types=tuple(tuple(JointType)[int(number)] for number in model.jnt_type),
        body=_ints(model.jnt_bodyid),
        position=_floats(model.jnt_pos),
        axis=_floats(model.jnt_axis),
        limited=np.array(model.jnt_limited, dtype=np.bool_),
        range=_floats(model.jnt_range),
        qpos_index=_ints(model.jnt_qposadr),
        dof_index=_ints(model.jnt_dofadr),
    )


def _placed(model: mujoco.MjModel, kind: str, n: int) -> dict[str, Any]:
    body = _ints(getattr(model, f"{kind}_bodyid"))
    position = _floats(getattr(model, f"{kind}_pos"))
    # MuJoCo puts what is within 1e-6 of its body's centre of mass exactly there.
    at_centre = _ints(getattr(model, f"{kind}_sameframe")) == _SAMEFRAME_INERTIA
    position[at_centre] = model.body_ipos[body[at_centre]]
    return {
        "names": _names(model, kind, n),
        "body": body,
        "position": position,
        "quaternion": _floats(getattr(model, f"{kind}_quat")),
        "size": _floats(getattr(model, f"{kind}_size")),
    }


def _names(model: mujoco.MjModel, kind: str, n: int) -> tuple[str, ...]:
    find = getattr(model, kind)
    return tuple(find(i).name or f"{kind}{i}" for i in range(n))


def _floats(values: ArrayLike) -> Float64Array:
    return np.array(values, dtype=np.float64)


def _ints(values: ArrayLike) -> IntArray:
    return np.array(values, dtype=np.int64)


def _index(kind: str, name: str, names: tuple[str, ...]) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise unknown_name(kind, name, names) from None
