"""Tasks as dm_control itself has them: loading, seeding, and their full state.

Everything here works on a `dm_control.rl.control.Environment` of the suite.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    from dm_control.mujoco import Physics
    from dm_control.rl.control import Environment


@dataclass(frozen=True, slots=True)
class Context:
    """Where a domain keeps what its state needs beyond qpos, qvel and act."""

    read: Callable[[Physics], Any]
    write: Callable[[Physics, Float64Array], None]


def _write_reacher_target(physics: Physics, value: Float64Array) -> None:
    physics.named.model.geom_pos["target", :2] = value


#: By domain; one that is missing has no context.
CONTEXTS: Mapping[str, Context] = {
    "reacher": Context(
        read=lambda physics: physics.named.model.geom_pos["target", :2],
        write=_write_reacher_target,
    ),
}


def load_dm_env(
    domain: str, task: str, task_kwargs: Mapping[str, Any] | None = None
) -> Environment:
    """A task of dm_control's suite without its time limit (the faces truncate themselves).

    Args:
        domain: such as "reacher".
        task: such as "easy".
        task_kwargs: as for `dm_control.suite.load`.

    Raises:
        UnknownNameError: listing near matches.
        MosimError: if dm_control does not take the arguments.
    """
    from dm_control import suite

    domains = sorted({known for known, _ in suite.ALL_TASKS})
    if domain not in domains:
        raise unknown_name("domain", domain, domains)
    tasks = [known for of, known in suite.ALL_TASKS if of == domain]
    if task not in tasks:
        raise unknown_name(f"task of {domain}", task, tasks)
    try:
        return suite.load(domain, task, {"time_limit": math.inf, **(task_kwargs or {})})
    except (TypeError, ValueError) as error:
        raise MosimError(
            f"dm_control does not take task_kwargs={task_kwargs!r} for {domain}-{task}: {error}."
        ) from error


@functools.lru_cache(maxsize=64)
def robot_of(domain: str, task: str) -> RobotSpec:
    """The body of a task, after the task has initialised its physics."""
    env = load_dm_env(domain, task)
    env.reset()
    return spec_of(env)


def spec_of(env: Environment) -> RobotSpec:
    """The body of an environment that has been reset."""
    n_substeps = round(env.control_timestep() / env.physics.timestep())
    return RobotSpec.from_mujoco(env.physics.model.ptr, name=domain_of(env), n_substeps=n_substeps)


def domain_of(env: Environment) -> str:
    """The domain a suite environment belongs to: the name of the module of its task."""
    return type(env.task).__module__.rpartition(".")[2]


def seed(env: Environment, value: int | np.random.RandomState) -> None:
    """Make the next reset the first of `suite.load(..., task_kwargs={"random": value})`."""
    # The suite offers no other way to seed a task than to load it anew.
    if not isinstance(value, np.random.RandomState):
        value = np.random.RandomState(value)
    env.task._random = value


def context_of(env: Environment) -> Float64Array | None:
    """What the task keeps outside qpos, qvel and act, ``(nc,)``; ``None`` if nothing."""
    context = CONTEXTS.get(domain_of(env))
    return None if context is None else np.array(context.read(env.physics), dtype=np.float64)


def state_of(env: Environment) -> dict[str, Float64Array]:
    """Fresh float64 arrays of the full state: qpos, qvel and, where there are any, act, context."""
    data = env.physics.data
    fields = {"qpos": np.array(data.qpos), "qvel": np.array(data.qvel)}
    if data.act.size:
        fields["act"] = np.array(data.act)
    context = context_of(env)
    if context is not None:
        fields["context"] = context
    return fields


def enter_state(env: Environment, fields: Mapping[str, Any]) -> None:
    """Put an environment that has just been reset into a given state.

    Args:
        env: of the suite.
        fields: any of qpos, qvel, act, context, each ``(n,)``; what is not given stays.

    Raises:
        MosimError: if the domain has no context and one is given.
    """
    physics = env.physics
    context = CONTEXTS.get(domain_of(env))
    if fields.get("context") is not None and context is None:
        raise MosimError(f"Tasks of {domain_of(env)} have no context; leave it out of the state.")
    given = {name: value for name, value in fields.items() if value is not None}
    wanted = {**state_of(env), **given}
    with physics.reset_context():
        # The context survives this: reset_context resets the data, not the model.
        for name in ("qpos", "qvel", "act"):
            if name in wanted:
                getattr(physics.data, name)[:] = wanted[name]
        if context is not None and fields.get("context") is not None:
            context.write(physics, np.asarray(fields["context"], dtype=np.float64))


def trace_substeps(env: Environment) -> Callable[[], dict[str, Float64Array]]:
    """Make an environment keep the state after each physics step of a control step.

    Args:
        env: of the suite; its steps compute what they did before, bit for bit.

    Returns:
        A function that gives qpos ``(n_substeps, nq)``, qvel and, where there is any, act, of the
        last control step.
    """
    import mujoco

    physics = env.physics
    model, data = physics.model.ptr, physics.data.ptr
    trace: list[dict[str, Float64Array]] = []

    def step(nstep: int = 1) -> None:
        # dm_control's own order of calls (Physics.step), one physics step at a time.
        trace.clear()
        with physics.check_invalid_state():
            for k in range(nstep):
                if k == 0 and model.opt.integrator != mujoco.mjtIntegrator.mjINT_RK4:
                    mujoco.mj_step2(model, data)
                else:
                    mujoco.mj_step(model, data)
                trace.append({name: np.array(getattr(data, name)) for name in names})
            mujoco.mj_step1(model, data)

    names = ["qpos", "qvel"] + (["act"] if model.na else [])
    physics.step = step
    return lambda: {name: np.stack([state[name] for state in trace]) for name in names}
