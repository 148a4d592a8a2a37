"""Bodies that dm_control's suite does not have: an MJCF, and tasks written in torch.

Panda and Go2 are shipped; `mosim_gym.register_body` adds a user's. `tasks/own_env.py` makes
dm_control environments of them, which everything else treats as it treats the suite's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mosim_gym.tasks.base import Task

#: Makes a task; a class whose instances are tasks is one.
MakeTask = Callable[[], "Task[Any]"]
#: Where the shipped MJCFs are, with their licences.
ASSETS = Path(__file__).parents[1] / "robots" / "assets"


@dataclass(frozen=True, slots=True)
class OwnBody:
    """A body with its tasks.

    Attributes:
        mjcf: the file (MJCF or URDF).
        n_substeps: physics steps a control step.
        tasks: what makes each task, by name.
    """

    mjcf: Path
    n_substeps: int
    tasks: Mapping[str, MakeTask]


def _shipped(domain: str, *tasks: str) -> OwnBody:
    return OwnBody(ASSETS / f"{domain}.xml", 5, {task: _native(domain, task) for task in tasks})


def _native(domain: str, task: str) -> MakeTask:
    def make() -> Task[Any]:
        # Not before it is asked for: it imports torch.
        made: Task[Any] = getattr(importlib.import_module(f"mosim_gym.tasks.{domain}"), task)()
        return made

    return make


#: By domain; `mosim_gym.register_body` adds to it.
OWN_BODIES: dict[str, OwnBody] = {
    "go2": _shipped("go2", "stand", "walk"),
    "panda": _shipped("panda", "reach"),
}
SHIPPED = frozenset(OWN_BODIES)
