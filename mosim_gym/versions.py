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


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape results; says which are not installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def environment_record() -> dict[str, str | int]:
    """The versions, and the processor's architecture and number of cores."""
    return {**installed_versions(), "machine": platform.machine(), "cores": os.cpu_count() or 0}
