"""With what a figure was made: versions and machine, for run folders, checkpoints and tables."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "mosim-gym",
    "torch",
    "numpy",
    "gymnasium",
    "mujoco",
    "dm_control",
    "stable-baselines3",
    "sb3-contrib",
    "pytorch-optimizer",
)


def environment_record() -> dict[str, str | int]:
    """Versions of what matters, Python, processor architecture and number of cores."""
    record: dict[str, str | int] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
    }
    for name in PACKAGES:
        try:
            record[name] = version(name)
        except PackageNotFoundError:
            record[name] = "not installed"
    return record
