"""Whether a task fits a body, found out before anything is made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.base import Task
from mosim_gym.types import State

_ROWS = 3  # tells a batch from a vector of one


def check_task(name: str, task: Task[Any], robot: RobotSpec) -> None:
    """Ask a task everything once, for a few rows.

    Args:
        name: of the task, for messages.
        task: the task.
        robot: the body.

    Raises:
        MosimError: naming what it gave and what was expected.
    """
    for member in ("layout", "context_size", "touch", "initial_states", "measure", "observe",
                   "reward", "terminated"):  # fmt: skip
        if not hasattr(task, member):
            raise MosimError(
                f"The task {name} has no {member!r}; mosim_gym.tasks.base.Task says what it needs."
            )
    unknown = [sensor for sensor in task.touch if sensor not in robot.touch]
    if unknown:
        raise MosimError(
            f"The task {name} observes the touch sensors {unknown}; {robot.name} has "
            f"{list(robot.touch)}."
        )
    state = task.initial_states(_ROWS, np.random.default_rng(0))
    _check_state(name, task, state, robot)
    touch = torch.zeros(_ROWS, len(task.touch), dtype=torch.float64) if task.touch else None
    with torch.no_grad():
        action = torch.zeros(_ROWS, robot.nu, dtype=torch.float64)
        measured = task.measure(state, action, touch)
        given = {
            "observe": (task.observe(measured), (_ROWS, task.layout.size)),
            "reward": (task.reward(measured), (_ROWS,)),
        }
        ended = task.terminated(measured)
    if ended is not None:
        given["terminated"] = ended, (_ROWS,)
    for what, (value, shape) in given.items():
        if tuple(value.shape) != shape:
            raise MosimError(
                f"The task {name}: {what}() gave the shape {tuple(value.shape)} for {_ROWS} rows; "
                f"expected {shape}."
            )


def _check_state(name: str, task: Task[Any], state: State, robot: RobotSpec) -> None:
    expected = {"qpos": robot.nq, "qvel": robot.nv}
    if task.context_size:
        expected["context"] = task.context_size
    if state.act is not None:
        expected["act"] = robot.na
    for part, width in expected.items():
        value = getattr(state, part)
        given = None if value is None else tuple(value.shape)
        if given != (_ROWS, width):
            raise MosimError(
                f"The task {name}: initial_states({_ROWS}, rng) has {part} of shape {given}; "
                f"expected {(_ROWS, width)}."
            )
    if not state.isfinite().all():
        raise MosimError(f"The task {name}: initial_states() gave numbers that are not finite.")
