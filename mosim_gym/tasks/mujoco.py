"""Tasks as dm_control itself has them: loading, seeding, and their full state.

Everything here works on a `dm_control.rl.control.Environment`, of the suite or of a body beyond it.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.contexts import context_place
from mosim_gym.tasks.own import OWN_BODIES
from mosim_gym.tasks.undrawn import NoContexts
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco
    from dm_control.rl.control import Environment


#: Domains whose touch sensors no task observes: no model needs to learn them.
_UNFELT = frozenset({"humanoid", "humanoid_CMU"})


def load_dm_env(
    domain: str, task: str, task_kwargs: Mapping[str, Any] | None = None
) -> Environment:
    """A task without its time limit (the faces truncate themselves).

    Args:
        domain: such as "reacher".
        task: such as "easy".
        task_kwargs: as for `dm_control.suite.load`.

    Raises:
        UnknownNameError: listing near matches.
        MosimError: if dm_control does not take the arguments.
    """
    from dm_control import suite

    known = [*suite.ALL_TASKS, *((of, one) for of, own in OWN_BODIES.items() for one in own.tasks)]
    domains = sorted({of for of, _ in known})
    if domain not in domains:
        raise unknown_name("domain", domain, domains)
    tasks = [one for of, one in known if of == domain]
    if task not in tasks:
        raise unknown_name(f"task of {domain}", task, tasks)
    kwargs: dict[str, Any] = {"time_limit": math.inf, **(task_kwargs or {})}
    try:
        if domain in OWN_BODIES:
            from mosim_gym.tasks.own_env import load_own

            return load_own(domain, OWN_BODIES[domain], task, **kwargs)
        return suite.load(domain, task, kwargs)
    except (TypeError, ValueError) as error:
        if not task_kwargs:
            raise
        raise MosimError(
            f"dm_control does not take task_kwargs={task_kwargs!r} for {domain}-{task}: {error}."
        ) from error


def never_draw(env: Environment) -> None:
    """Let an environment that nobody will look at do without OpenGL."""
    env.physics._contexts = NoContexts()


@functools.lru_cache(maxsize=64)
def robot_of(domain: str, task: str) -> RobotSpec:
    """The body of a task, after the task has initialised its physics."""
    env = load_dm_env(domain, task)
    never_draw(env)
    env.reset()
    return spec_of(env)


@functools.lru_cache(maxsize=64)
def tree_of(domain: str, task: str) -> Tree:
    """The bodies, joints, geoms and sites of a task."""
    return Tree.from_mujoco(load_dm_env(domain, task).physics.model.ptr)


def model_of(domain: str, task: str) -> mujoco.MjModel:
    """The model of a task, after the task has initialised its physics; one's own to change."""
    env = load_dm_env(domain, task)
    never_draw(env)
    env.reset()
    return copy.copy(env.physics.model.ptr)


def spec_of(env: Environment) -> RobotSpec:
    """The body of an environment that has been reset.

    Its fingerprint does not see the context: bodies that differ in it alone are one body, whose
    model takes the context as an input where it matters.
    """
    model, place = env.physics.model.ptr, context_place(env)
    if place is not None:
        model = copy.copy(model)
        place.write(place.of_model(model), np.zeros(place.size))
    spec = RobotSpec.from_mujoco(
        model,
        name=domain_of(env),
        n_substeps=substeps_of(env),
        context_inputs=place.size if place is not None and place.moves else 0,
    )
    return dataclasses.replace(spec, touch=()) if spec.name in _UNFELT else spec


def substeps_of(env: Environment) -> int:
    """Physics steps a control step."""
    return round(env.control_timestep() / env.physics.timestep())


def domain_of(env: Environment) -> str:
    """The domain an environment belongs to; in the suite, the name of the module of its task."""
    module: str = type(env.task).__module__.rpartition(".")[2]
    return str(getattr(env.task, "domain", module))


def seed(env: Environment, value: int | np.random.RandomState) -> None:
    """Make the next reset the first of `suite.load(..., task_kwargs={"random": value})`."""
    # The suite offers no other way to seed a task than to load it anew.
    env.task._random = random_state(value)


def random_state(value: int | np.random.RandomState) -> np.random.RandomState:
    """dm_control's kind of generator, of a seed or as it is."""
    return value if isinstance(value, np.random.RandomState) else np.random.RandomState(value)


def context_of(env: Environment) -> Float64Array | None:
    """What the task keeps outside qpos, qvel and act, ``(nc,)``; ``None`` if nothing."""
    place = context_place(env)
    return None if place is None else place.read(place.of_model(env.physics.model.ptr))


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
    place = context_place(env)
    if fields.get("context") is not None and place is None:
        raise MosimError(f"This task of {domain_of(env)} has no context; leave it out.")
    given = {name: value for name, value in fields.items() if value is not None}
    wanted = {**state_of(env), **given}
    if place is not None:
        place.write(place.of_model(physics.model.ptr), np.asarray(wanted["context"], np.float64))
    with physics.reset_context():
        for name in ("qpos", "qvel", "act"):
            if name in wanted:
                getattr(physics.data, name)[:] = wanted[name]
