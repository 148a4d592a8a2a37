"""Where dm_control's tasks keep what their state needs beyond qpos, qvel and act.

Some tasks draw a target, or a part of the body itself, by writing into the model: reacher moves a
geom, point_mass-hard mixes its motors anew. A recorded state has to carry those numbers to be
replayed; they are its context. (quadruped-escape draws a whole terrain, which is none: its states
replay on whatever terrain is there.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mosim_gym.types import Array, Float64Array

if TYPE_CHECKING:
    import mujoco
    from dm_control.rl.control import Environment

#: Model fields by name; each array may have leading batch dimensions.
ModelFields = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Entries:
    """Some numbers of a model field: ``model.<field>[index, columns]``."""

    field: str
    index: int | list[int]
    columns: list[int] | None = None

    @property
    def where(self) -> tuple[Any, ...]:
        """The index into the field, whatever dimensions come before."""
        return (..., self.index) if self.columns is None else (..., self.index, self.columns)

    @property
    def size(self) -> int:
        """How many numbers these are."""
        chosen = self.index if self.columns is None else self.columns
        assert isinstance(chosen, list), "one of index and columns lists the numbers"
        return len(chosen)


@dataclass(frozen=True, slots=True)
class Context:
    """The numbers a task keeps in its model.

    Attributes:
        entries: where they are; together, in this order, they are ``State.context``.
        moves: whether they change how the body moves, not only what is asked of it.
        copies: more places that hold the same numbers, filled from the first on.
        drawn_at_load: drawn when the task is loaded, not at each reset.
    """

    entries: tuple[Entries, ...]
    moves: bool = False
    copies: tuple[Entries, ...] = ()
    drawn_at_load: bool = False

    @property
    def size(self) -> int:
        """Entries of ``State.context``."""
        return sum(part.size for part in self.entries)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the model fields it lives in."""
        return tuple({part.field: None for part in (*self.entries, *self.copies)})

    def of_model(self, model: mujoco.MjModel) -> dict[str, Array]:
        """The model fields it lives in, as live arrays of a model."""
        return {name: getattr(model, name) for name in self.fields}

    def read(self, fields: ModelFields) -> Float64Array:
        """The context ``(..., size)`` in model fields ``(..., n, k)``."""
        parts = [fields[part.field][part.where] for part in self.entries]
        return np.concatenate(parts, axis=-1).astype(np.float64)

    def write(self, fields: ModelFields, value: Float64Array) -> None:
        """Put a context ``(..., size)`` into model fields."""
        for group in (self.entries, self.copies):
            start = 0
            for part in group:
                fields[part.field][part.where] = value[..., start : start + part.size]
                start += part.size


#: What a site's position holds.
NUMBERS_A_SITE = 3


def context_site(k: int) -> str:
    """Name of the site that holds the k-th three numbers of an own body's context."""
    return f"target{k}" if k else "target"


def own_context(model: mujoco.MjModel, size: int) -> Context | None:
    """Where bodies beyond the suite keep a context of that size: in positions of the world's sites.

    Three numbers are where the site ``target`` is, so that a target is drawn where it is; what
    goes beyond is kept by ``target1``, ``target2``, ....
    """
    entries = [
        Entries(
            "site_pos",
            model.site(context_site(k)).id,
            list(range(min(NUMBERS_A_SITE, size - start))),
        )
        for k, start in enumerate(range(0, size, NUMBERS_A_SITE))
    ]
    return Context(tuple(entries)) if entries else None


def context_place(env: Environment) -> Context | None:
    """Where the task of a suite environment keeps its context; ``None`` if it has none."""
    task = type(env.task)
    make = _PLACES.get((task.__module__.rpartition(".")[2], task.__name__))
    return None if make is None else make(env)


def _named(env: Environment, kind: str, name: str) -> int:
    index: int = env.physics.model.name2id(name, kind)
    return index


def _geom_target(columns: list[int]) -> Callable[[Environment], Context]:
    return lambda env: Context((Entries("geom_pos", _named(env, "geom", "target"), columns),))


def _swimmer(env: Environment) -> Context:
    target, light = _named(env, "geom", "target"), _named(env, "light", "target_light")
    lamp = Entries("light_pos", light, [0, 1])
    return Context((Entries("geom_pos", target, [0, 1]),), copies=(lamp,))


def _finger(env: Environment) -> Context:
    return Context((Entries("site_pos", _named(env, "site", "target"), [0, 2]),))


def _point_mass(env: Environment) -> Context | None:
    if not env.task._randomize_gains:
        return None
    return Context((Entries("wrap_prm", [0, 1, 2, 3]),), moves=True)


def _lqr(env: Environment) -> Context:
    stiffness = Entries("jnt_stiffness", list(range(env.physics.model.njnt)))
    damping = Entries("dof_damping", list(range(env.physics.model.nv)))
    return Context((stiffness, damping), moves=True, drawn_at_load=True)


def _manipulator(env: Environment) -> Context:
    target = _pose(_named(env, "body", env.task._target))
    if not env.task._insert:
        return Context(target)
    # What is inserted into stands where the target is, and is touched.
    receptacle = _pose(_named(env, "body", env.task._receptacle))
    return Context(target, moves=True, copies=receptacle)


def _pose(body: int) -> tuple[Entries, Entries]:
    """x, z and the turn about y of a body."""
    return Entries("body_pos", body, [0, 2]), Entries("body_quat", body, [0, 2])


def _own(env: Environment) -> Context | None:
    return own_context(env.physics.model.ptr, env.task.task.context_size)


def _stacker(env: Environment) -> Context:
    return Context((Entries("body_pos", _named(env, "body", "target"), [0, 2]),))


#: By module and class of the task.
_PLACES: Mapping[tuple[str, str], Callable[[Environment], Context | None]] = {
    ("finger", "Turn"): _finger,
    ("fish", "Swim"): _geom_target([0, 1, 2]),
    ("lqr", "LQRLevel"): _lqr,
    ("manipulator", "Bring"): _manipulator,
    ("own_env", "OwnTask"): _own,
    ("point_mass", "PointMass"): _point_mass,
    ("reacher", "Reacher"): _geom_target([0, 1]),
    ("stacker", "Stack"): _stacker,
    ("swimmer", "Swimmer"): _swimmer,
}
