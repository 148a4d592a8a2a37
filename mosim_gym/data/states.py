"""Physics states in ``info``: their keys, and reading them with clear errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import JointType, RobotSpec
from mosim_gym.types import FIELDS, Float64Array

#: The state of the returned observation (at the end of an episode: of its last one).
STATE = "mosim/state"
#: The state the step started from.
STATE_BEFORE = "mosim/state_before"
#: Raw readings of the touch sensors in newtons, ``(len(spec.touch),)``, that belong to the returned
#: observation, in environments whose body has such sensors.
TOUCH = "mosim/touch"
#: The states after each physics step of the control step, in environments that report them.
SUBSTEPS = "mosim/substeps"

StateArrays = dict[str, Float64Array]


def read_state(info: Mapping[str, Any], key: str, spec: RobotSpec | None = None) -> StateArrays:
    """Copies of the state arrays under a key of `info`, each ``(n,)``.

    Args:
        info: as returned by ``reset`` or ``step``.
        key: `STATE` or `STATE_BEFORE`.
        spec: the body to check the sizes against, if given.

    Raises:
        DatasetError: if the key is absent, or the arrays are mis-shaped or not finite.
    """
    if key not in info:
        raise DatasetError(
            f"info holds no {key!r}: the environment does not report its physics state. Wrap it "
            "first: mosim_gym.PhysicsStateInfo(env) for dm_control and MuJoCo environments, "
            "PhysicsStateInfo(env, state_fn) for any other."
        )
    return check_state(info[key], f"info[{key!r}]", spec)


def check_state(fields: Any, where: str, spec: RobotSpec | None = None) -> StateArrays:
    """Float64 copies of state arrays ``(n,)``; `where` names their origin in errors.

    Raises:
        DatasetError: if fields are missing, unknown, mis-shaped or not finite.
    """
    if not isinstance(fields, Mapping) or not {"qpos", "qvel"} <= set(fields) <= set(FIELDS):
        given = sorted(fields) if isinstance(fields, Mapping) else type(fields).__name__
        raise DatasetError(
            f"{where} is {given}; expected a dict of the arrays qpos and qvel, and where there is "
            "any, act and context."
        )
    sizes = {} if spec is None else {"qpos": spec.nq, "qvel": spec.nv, "act": spec.na}
    if spec is not None and spec.context_inputs:
        sizes["context"] = spec.context_inputs
    state: StateArrays = {}
    for name in FIELDS:
        if fields.get(name) is None or np.size(fields[name]) == 0:
            continue
        value = np.array(fields[name], dtype=np.float64)
        if value.ndim != 1 or value.size != sizes.get(name, value.size):
            raise DatasetError(
                f"{where}: {name} has shape {value.shape}; expected ({sizes.get(name, 'n')},)."
            )
        if not np.isfinite(value).all():
            raise DatasetError(f"{where}: {name} holds NaN or infinite numbers: {value}.")
        state[name] = value
    absent = [name for name, size in sizes.items() if size and name not in state]
    if absent:
        raise DatasetError(f"{where}: {absent[0]} is missing; expected ({sizes[absent[0]]},).")
    return state


def read_touch(info: Mapping[str, Any], spec: RobotSpec) -> Float64Array | None:
    """A copy of the touch readings in `info`, ``(len(spec.touch),)`` in newtons.

    ``None`` where there are none: the body has no touch sensors, or they are not reported.

    Raises:
        DatasetError: if the readings are mis-shaped or not finite.
    """
    if not spec.touch or TOUCH not in info:
        return None
    value = np.array(info[TOUCH], dtype=np.float64)
    if value.shape != (len(spec.touch),) or not np.isfinite(value).all():
        raise DatasetError(
            f"info[{TOUCH!r}] is {info[TOUCH]!r}; expected {len(spec.touch)} finite numbers in "
            f"newtons, one for each of {', '.join(spec.touch)}."
        )
    return value


def stack_states(infos: Sequence[Mapping[str, Any]]) -> StateArrays:
    """The states before a step of n environments as arrays ``(n_envs, n)``.

    Raises:
        DatasetError: if one is absent, mis-shaped, not finite or unlike the others.
    """
    missing = [i for i, info in enumerate(infos) if STATE_BEFORE not in info]
    if missing:
        raise DatasetError(
            f"The info of environment {missing[0]} holds no {STATE_BEFORE!r}. Wrap each "
            "environment in mosim_gym.PhysicsStateInfo; for mosim_gym's own SB3 environments "
            "give state_info=True."
        )
    first = infos[0][STATE_BEFORE]
    names = [name for name, value in first.items() if value is not None and np.size(value)]
    try:
        rows = {name: [info[STATE_BEFORE][name] for info in infos] for name in names}
        states = {name: np.array(row, dtype=np.float64) for name, row in rows.items()}
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(
            f"The states of the {len(infos)} environments differ in their fields or sizes: "
            f"{error}. Use one buffer for one robot."
        ) from error
    for name, value in states.items():
        if value.ndim != 2 or not np.isfinite(value).all():
            raise DatasetError(
                f"{name} in info[{STATE_BEFORE!r}] has shape {value.shape[1:]} or is not finite; "
                "expected finite numbers (n,)."
            )
    return states


def add_noise(
    qpos: Float64Array,
    qvel: Float64Array,
    noise: float,
    spec: RobotSpec,
    rng: np.random.Generator,
) -> tuple[Float64Array, Float64Array]:
    """Positions ``(..., nq)`` and velocities ``(..., nv)`` with N(0, noise^2) added.

    Quaternions are brought back to length 1.
    """
    qpos = qpos + noise * rng.standard_normal(qpos.shape)
    qvel = qvel + noise * rng.standard_normal(qvel.shape)
    for joint in spec.joints:
        if joint.type in (JointType.FREE, JointType.BALL):
            end = joint.qpos_index + joint.type.nq
            quaternion = qpos[..., end - 4 : end]
            quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return qpos, qvel
