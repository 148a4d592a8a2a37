"""The environments there are: a table of rows, and the only `gymnasium.register` calls."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mosim_gym.errors import unknown_name

if TYPE_CHECKING:
    from mosim_gym.tasks.base import Task

NAMESPACE = "MoSim"


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One registered task.

    Attributes:
        domain: dm_control's domain.
        task: dm_control's task.
        body: fingerprint of the body after the task has initialised it; a learned model must have
            been made for this one.
        n_substeps: physics steps a control step; a learned model must take as many.
        max_episode_steps: control steps until the time limit, dm_control's own.
        torch_task: ``module:function`` of its torch-native twin.
        checkpoint: the shipped model used when none is asked for.
    """

    domain: str
    task: str
    body: str
    n_substeps: int
    max_episode_steps: int
    torch_task: str
    checkpoint: str

    @property
    def env_id(self) -> str:
        """The Gymnasium id."""
        return f"{NAMESPACE}/{self.domain}-{self.task}-v0"

    def make_task(self) -> Task[Any]:
        """The torch-native task."""
        module, _, function = self.torch_task.partition(":")
        task: Task[Any] = getattr(importlib.import_module(module), function)()
        return task


_REACHER = "42e3b14e6f4a4008"

ROWS = (
    TaskRow("reacher", "easy", _REACHER, 1, 1000, "mosim_gym.tasks.reacher:easy", "reacher"),
    TaskRow("reacher", "hard", _REACHER, 1, 1000, "mosim_gym.tasks.reacher:hard", "reacher"),
)


def find_row(domain: str, task: str) -> TaskRow:
    """The row of a task.

    Raises:
        UnknownNameError: listing near matches.
    """
    for row in ROWS:
        if (row.domain, row.task) == (domain, task):
            return row
    raise unknown_name("task", f"{domain}-{task}", [f"{row.domain}-{row.task}" for row in ROWS])


def find_env(env_id: str) -> TaskRow:
    """The row of a Gymnasium id, with or without the ``mosim_gym:`` prefix.

    Raises:
        UnknownNameError: listing near matches.
    """
    name = env_id.removeprefix("mosim_gym:")
    for row in ROWS:
        if row.env_id == name:
            return row
    raise unknown_name("environment", name, [row.env_id for row in ROWS])


def register_envs() -> None:
    """Register every row with Gymnasium; called when `mosim_gym` is imported."""
    import gymnasium

    for row in ROWS:
        if row.env_id not in gymnasium.registry:
            gymnasium.register(
                id=row.env_id,
                entry_point="mosim_gym.envs.single:MosimEnv",
                vector_entry_point="mosim_gym.envs.vector:MosimVectorEnv",
                max_episode_steps=row.max_episode_steps,
                kwargs={"domain": row.domain, "task": row.task},
            )
