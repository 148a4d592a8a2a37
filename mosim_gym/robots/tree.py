"""The bodies of a MuJoCo model as plain data: what kinematics needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True, slots=True)
class Tree:
    """Bodies, joints, geoms and sites."""

    @classmethod
    def from_mujoco(cls, model: mujoco.MjModel) -> Tree:
        """Read a compiled model."""
        return cls()
