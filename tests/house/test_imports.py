"""The arrows between the rooms: who may import whom, and who may touch which library.

Imports under TYPE_CHECKING and inside functions count too: a room that only mentions a library
in its signatures knows it all the same.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

PACKAGE = "mosim_gym"
BASE = {"types", "errors", "files", "threads", "versions", "robots"}

#: room -> the other rooms it may import from. A file at the top level is a room of its own.
ROOMS: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "files": {"errors"},
    "threads": {"errors"},
    "versions": set(),
    "robots": {"types", "errors"},
    "tasks": BASE,
    "articulated": {"types", "errors", "robots"},
    "dynamics": BASE | {"articulated"},
    "data": BASE | {"tasks"},
    "fit": BASE | {"data", "dynamics", "evaluate"},
    "evaluate": BASE | {"data", "dynamics", "tasks"},
    "uncertainty": BASE | {"data", "dynamics", "evaluate"},
    # The table of ids: rooms that are asked for a task by its name look it up here.
    "registration": {"errors", "tasks"},
    # Adds the user's bodies to that table.
    "user_bodies": {"errors", "robots", "tasks", "registration"},
    "envs": BASE | {"data", "dynamics", "uncertainty", "tasks", "registration"},
    "planning": BASE | {"data", "dynamics", "tasks", "registration", "envs"},
    "rl": BASE
    | {"articulated", "data", "dynamics", "fit", "tasks", "registration", "envs", "evaluate"},
    "bench": BASE | {"dynamics", "tasks", "registration", "envs"},
}
#: These compose all the rooms.
EVERYWHERE = {"", "cli", "__main__"}

#: library -> the modules (patterns below mosim_gym) that may know it; all others may not.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "mujoco": (
        "tasks.mujoco",
        "tasks.contexts",
        "tasks.failures",
        "tasks.suite_batch",
        "tasks.true_simulator",
        "tasks.make_banks",
        "tasks.own_env",
        "tasks.render",
        "robots.tree",
        "robots.spec",
        "robots.fingerprint",
        "articulated.actuators",
        "articulated.coverage",
        "articulated.description",
        "articulated.fluid",
        "articulated.pairs",
        "articulated.physics",
        "articulated.sensors",
        "articulated.strings",
        "data.collect",
        "data.state_info",
        "bench.rivals",
    ),
    "gymnasium": ("", "registration", "envs.*", "data.*", "rl.*", "bench.*", "cli.*"),
    "stable_baselines3": ("envs.sb3", "data.sb3", "data.policies", "rl.*", "bench.*"),
    "dm_env": ("envs.*", "tasks.mujoco", "data.collect"),
}
LIBRARIES["dm_control"] = LIBRARIES["mujoco"]
LIBRARIES["sb3_contrib"] = LIBRARIES["stable_baselines3"]
LIBRARIES["shimmy"] = LIBRARIES["envpool"] = ("bench.rivals",)

#: (module, imported): why this one exception is right.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def imported_names(source: str, module: str, is_package: bool) -> list[str]:
    """Absolute dotted names of everything imported anywhere in the source."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            # `from mosim_gym import fit` names a room only in what is imported.
            names += [f"{base}.{a.name}" if base == PACKAGE else base for a in node.names]
    return names


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of one module, in words."""
    inner = module.removeprefix(PACKAGE).removeprefix(".")
    room = inner.split(".")[0]
    wrong = []
    for name in sorted(set(imported_names(source, module, is_package))):
        top, _, rest = name.partition(".")
        if (inner, name) in EXCEPTIONS:
            continue
        if top == PACKAGE:
            target = rest.split(".")[0]
            if room not in EVERYWHERE and target not in ROOMS.get(room, set()) | {room}:
                wrong.append(f"{module} imports {name}: {room} must not know {target or PACKAGE}")
        elif top in LIBRARIES and not any(fnmatchcase(inner, p) for p in LIBRARIES[top]):
            wrong.append(f"{module} imports {name}: only {LIBRARIES[top]} may know {top}")
    return wrong


def sources(root: Path) -> list[tuple[str, Path]]:
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def test_every_arrow_points_the_right_way(root: Path) -> None:
    wrong = []
    for module, path in sources(root):
        wrong += violations(module, path.read_text(), path.name == "__init__.py")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_in_the_table(root: Path) -> None:
    rooms = {(module.split(".") + [""])[1] for module, _ in sources(root)}
    assert rooms <= set(ROOMS) | EVERYWHERE, "a new room: add it to ROOMS and to CONTRIBUTING.md"


def test_every_exception_is_still_needed(root: Path) -> None:
    used = {
        (module.removeprefix(f"{PACKAGE}."), name)
        for module, path in sources(root)
        for name in imported_names(path.read_text(), module, path.name == "__init__.py")
    }
    assert set(EXCEPTIONS) <= used


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mosim_gym.dynamics.simulator", "import gymnasium as gym"),
        ("mosim_gym.dynamics.simulator", "from mosim_gym.fit import trainer"),
        ("mosim_gym.dynamics.simulator", "from mosim_gym import fit"),
        ("mosim_gym.dynamics.simulator", "from ..envs.world import World"),
        ("mosim_gym.fit.trainer", "def f():\n    import mujoco"),
        ("mosim_gym.tasks.reacher", "if TYPE_CHECKING:\n    from dm_control import suite"),
        ("mosim_gym.envs.vector", "from stable_baselines3.common.vec_env import VecEnv"),
        ("mosim_gym.types", "import mosim_gym"),
    ],
)
def test_a_wrong_arrow_is_seen(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mosim_gym.tasks.mujoco", "from dm_control import suite\nimport mujoco.batch"),
        ("mosim_gym.envs.sb3", "from stable_baselines3.common.vec_env import VecEnv"),
        (
            "mosim_gym.fit.trainer",
            "import mosim_gym.data.dataset\nfrom . import losses",
        ),
    ],
)
def test_a_right_arrow_passes(module: str, source: str) -> None:
    assert violations(module, source) == []
