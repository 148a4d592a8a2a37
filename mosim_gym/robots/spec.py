"""RobotSpec: what must be known of a body to model its motion, as plain data.

A spec is read from a compiled MuJoCo model (any MJCF) and stored as JSON in datasets and
checkpoints, so that nothing downstream needs MuJoCo.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mosim_gym.errors import MosimError
from mosim_gym.robots.fingerprint import fingerprint
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco


class JointType(StrEnum):
    """MuJoCo's joint types (documentation: XML reference, body/joint)."""

    FREE = "free"
    BALL = "ball"
    SLIDE = "slide"
    HINGE = "hinge"

    @property
    def nq(self) -> int:
        """Number of positions."""
        return {"free": 7, "ball": 4}.get(self.value, 1)

    @property
    def nv(self) -> int:
        """Number of velocities."""
        return {"free": 6, "ball": 3}.get(self.value, 1)


class Integrator(StrEnum):
    """MuJoCo's integrators (documentation: Computation, Numerical integration)."""

    EULER = "euler"
    RK4 = "rk4"
    IMPLICIT = "implicit"
    IMPLICITFAST = "implicitfast"


@dataclass(frozen=True, slots=True)
class Joint:
    """One joint.

    Attributes:
        name: as in the MJCF, or ``joint<i>`` where it has none.
        type: free, ball, slide or hinge.
        qpos_index: first index in qpos.
        dof_index: first index in qvel.
        range: limits in metres or radians, ``None`` where unlimited.
        on_root: whether it moves a body attached to the world (a root joint).
    """

    name: str
    type: JointType
    qpos_index: int
    dof_index: int
    range: tuple[float, float] | None
    on_root: bool


@dataclass(frozen=True, slots=True)
class Actuator:
    """One actuator: its name and control range (``None`` where not limited)."""

    name: str
    ctrl_range: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """A body as its model needs to know it.

    Attributes:
        name: what it is called, the domain for a dm_control body.
        joints: in MuJoCo's order.
        actuators: in MuJoCo's order.
        na: number of activations.
        physics_dt: length of a physics step in seconds.
        n_substeps: physics steps a control step.
        integrator: MuJoCo's, for one physics step.
        fingerprint: hash of the parameters that shape its motion; see `fingerprint`.
        touch: names of its touch sensors, in the order of MuJoCo's sensordata.
        context_inputs: entries of ``State.context`` that change how it moves (a motor's mixing,
            not a target); a model takes them as inputs. Either all of them or 0.
    """

    name: str
    joints: tuple[Joint, ...]
    actuators: tuple[Actuator, ...]
    na: int
    physics_dt: float
    n_substeps: int
    integrator: Integrator
    fingerprint: str
    touch: tuple[str, ...] = ()
    context_inputs: int = 0

    @property
    def nq(self) -> int:
        """Number of positions."""
        return sum(joint.type.nq for joint in self.joints)

    @property
    def nv(self) -> int:
        """Number of velocities."""
        return sum(joint.type.nv for joint in self.joints)

    @property
    def nu(self) -> int:
        """Number of controls."""
        return len(self.actuators)

    @property
    def control_dt(self) -> float:
        """Length of a control step in seconds."""
        return self.physics_dt * self.n_substeps

    @property
    def action_low(self) -> Float64Array:
        """Lowest control, ``(nu,)``; -1e10 where not limited, as dm_control has it."""
        return np.array(
            [-1e10 if a.ctrl_range is None else a.ctrl_range[0] for a in self.actuators]
        )

    @property
    def action_high(self) -> Float64Array:
        """Highest control, ``(nu,)``; 1e10 where not limited, as dm_control has it."""
        return np.array([1e10 if a.ctrl_range is None else a.ctrl_range[1] for a in self.actuators])

    @property
    def action_at_rest(self) -> Float64Array:
        """The controls nearest to zero that the actuators take, ``(nu,)``."""
        rest: Float64Array = np.clip(0.0, self.action_low, self.action_high)
        return rest

    @property
    def qpos_names(self) -> tuple[str, ...]:
        """A name for each entry of qpos."""
        return tuple(
            joint.name if joint.type.nq == 1 else f"{joint.name}[{k}]"
            for joint in self.joints
            for k in range(joint.type.nq)
        )

    def touch_columns(self, names: Sequence[str]) -> list[int]:
        """Where the readings of these sensors are among all of `touch`."""
        return [self.touch.index(name) for name in names]

    def require_same_body(self, other: RobotSpec, whose: str) -> None:
        """Raise unless `other` moves like this body.

        Args:
            other: the body to compare with.
            whose: what `other` belongs to, for the message ("the dataset at ...").

        Raises:
            MosimError: naming both bodies and what differs.
        """
        if other.fingerprint == self.fingerprint and other.n_substeps == self.n_substeps:
            return
        mine, theirs = self._sizes(), other._sizes()
        raise MosimError(
            f"{whose} belongs to another body: {other.name} ({theirs}), expected {self.name} "
            f"({mine}). Bodies are compared by their physical parameters, not by name; "
            "use data and checkpoints made from the same model."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives the spec back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> RobotSpec:
        """A spec from what `to_json` gave.

        Raises:
            MosimError: naming what is missing or wrong.
        """
        try:
            joints = tuple(
                Joint(**{**j, "type": JointType(j["type"]), "range": _pair(j["range"])})
                for j in fields["joints"]
            )
            actuators = tuple(
                Actuator(a["name"], _pair(a["ctrl_range"])) for a in fields["actuators"]
            )
            integrator = Integrator(fields["integrator"])
            parsed = {
                "joints": joints,
                "actuators": actuators,
                "integrator": integrator,
                "touch": tuple(fields.get("touch", ())),
            }
            return cls(**{**fields, **parsed})
        except (KeyError, TypeError, ValueError) as error:
            raise MosimError(f"Not a robot spec: {error!r}. It is written by mosim_gym.") from error

    @classmethod
    def from_mujoco(
        cls,
        model: mujoco.MjModel,
        *,
        name: str,
        n_substeps: int = 1,
        context_inputs: int = 0,
    ) -> RobotSpec:
        """Read a compiled MuJoCo model.

        Args:
            model: of any MJCF or URDF.
            name: what to call the body.
            n_substeps: physics steps a control step.
            context_inputs: entries of ``State.context`` that change how it moves.
        """
        return cls(
            name=name,
            joints=tuple(_joint(model, j) for j in range(model.njnt)),
            actuators=tuple(_actuator(model, a) for a in range(model.nu)),
            na=int(model.na),
            physics_dt=float(model.opt.timestep),
            n_substeps=n_substeps,
            integrator=tuple(Integrator)[int(model.opt.integrator)],
            fingerprint=fingerprint(model),
            touch=tuple(model.sensor(i).name for i in range(model.nsensor) if _is_touch(model, i)),
            context_inputs=context_inputs,
        )

    @classmethod
    def from_mjcf(
        cls, path: str | Path, *, name: str | None = None, n_substeps: int = 1
    ) -> RobotSpec:
        """Read an MJCF (or URDF) file; `name` defaults to the file's stem."""
        import mujoco

        model = mujoco.MjModel.from_xml_path(str(path))
        return cls.from_mujoco(model, name=name or Path(path).stem, n_substeps=n_substeps)

    def _sizes(self) -> str:
        return (
            f"nq {self.nq}, nv {self.nv}, nu {self.nu}, na {self.na}, "
            f"{self.n_substeps} x {self.physics_dt:g} s, fingerprint {self.fingerprint}"
        )


def _pair(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))


def _joint(model: mujoco.MjModel, j: int) -> Joint:
    body = model.jnt_bodyid[j]
    return Joint(
        name=model.joint(j).name or f"joint{j}",
        type=tuple(JointType)[int(model.jnt_type[j])],
        qpos_index=int(model.jnt_qposadr[j]),
        dof_index=int(model.jnt_dofadr[j]),
        range=_pair(model.jnt_range[j]) if model.jnt_limited[j] else None,
        on_root=int(model.body_parentid[body]) == 0,
    )


def _is_touch(model: mujoco.MjModel, i: int) -> bool:
    import mujoco

    return int(model.sensor_type[i]) == int(mujoco.mjtSensor.mjSENS_TOUCH)


def _actuator(model: mujoco.MjModel, a: int) -> Actuator:
    limited = bool(model.actuator_ctrllimited[a])
    return Actuator(
        name=model.actuator(a).name or f"actuator{a}",
        ctrl_range=_pair(model.actuator_ctrlrange[a]) if limited else None,
    )
