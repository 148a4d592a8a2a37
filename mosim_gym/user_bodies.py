"""`register_body`: a body of the user's, from its MJCF and tasks written in torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mosim_gym.errors import MosimError
from mosim_gym.registration import ROWS, Body, add_body
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.own import OWN_BODIES, SHIPPED, MakeTask, OwnBody


def register_body(
    domain: str,
    mjcf: str | Path,
    tasks: Mapping[str, MakeTask],
    *,
    n_substeps: int = 1,
    checkpoint: str | Path | None = None,
    time_limit: int | None = 1000,
) -> tuple[str, ...]:
    """Make ``MoSim/<domain>-<task>-v0`` of a body's own MJCF, with everything the suite's have.

    Both dynamics, all faces, `collect`, `fit` and `train` then know it: true physics is that of the
    file, a learned model is one that was fitted to this body. Call it in a module, ``my_robot``,
    and name that in front: ``gym.make("my_robot:MoSim/arm-reach-v0")``, ``mosim-gym collect
    my_robot:arm-reach``. Registering a name again replaces it.

    Args:
        domain: a name for the body, an identifier such as "arm".
        mjcf: its MJCF or URDF.
        tasks: what makes each task (`mosim_gym.tasks.base.Task`), by name: a function without
            arguments, or the task's class. The task's context, if it has one, is kept in the
            positions of sites ``target``, ``target1``, ... of the world, three numbers each; those
            that the file lacks are added.
        n_substeps: physics steps a control step.
        checkpoint: the model used when none is asked for.
        time_limit: control steps of an episode, ``None`` for no limit.

    Returns:
        The ids.

    Raises:
        MosimError: if a name is taken or no identifier, the file cannot be read, or a task does not
            fit the body.
    """
    from mosim_gym.tasks.mujoco import robot_of, tree_of
    from mosim_gym.tasks.own_check import check_task

    taken = {row.domain for row in ROWS} - set(OWN_BODIES) | SHIPPED
    if domain in taken:
        raise MosimError(f"There is a body {domain!r} already; choose another name.")
    for name in (domain, *tasks):
        if not name.isidentifier():
            raise MosimError(f"{name!r} is no identifier; ids are made of it: MoSim/body-task-v0.")
    if not tasks:
        raise MosimError(f"The body {domain!r} has no tasks; expected at least one.")
    for what, value in (("n_substeps", n_substeps), ("time_limit", time_limit)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise MosimError(f"{what} is {value!r}; expected a whole number above 0.")
    path = Path(mjcf).resolve()
    try:
        robot = RobotSpec.from_mjcf(path, name=domain, n_substeps=n_substeps)
    except ValueError as error:
        raise MosimError(f"{path} is no MJCF or URDF that MuJoCo can read: {error}") from error
    for name, make in tasks.items():
        check_task(f"{domain}-{name}", make(), robot)
    OWN_BODIES[domain] = OwnBody(path, n_substeps, dict(tasks))
    for cached in (robot_of, tree_of):
        cached.cache_clear()
    body = Body(
        domain,
        robot.fingerprint,
        n_substeps,
        tuple(tasks),
        native=True,
        checkpoint=None if checkpoint is None else str(checkpoint),
        time_limit=time_limit,
    )
    add_body(body)
    return tuple(row.env_id for row in ROWS if row.body is body)
