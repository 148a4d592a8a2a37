"""Passive forces: joint springs and dampers (documentation: Computation, Passive forces)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.spec import JointType


class Passive:
    """Springs and dampers of a body."""

    def __init__(self, description: Description) -> None:
        """Find out which joints can have springs: hinges and slides."""
        joints, options = description.tree.joints, description.options
        self._springs, self._dampers = options.springs, options.dampers
        kinds = (JointType.SLIDE, JointType.HINGE)
        scalar = [j for j, kind in enumerate(joints.types) if kind in kinds]
        place = np.zeros((len(scalar), description.tree.nv))
        place[np.arange(len(scalar)), joints.dof_index[scalar]] = 1.0
        where = np.array(scalar, dtype=np.int64)
        self._constants = Constants(where, joints.qpos_index[where], place)

    def __call__(self, physics: Physics, qpos: Tensor, qvel: Tensor) -> Tensor:
        """Their forces, ``(batch, nv)``."""
        damping = self.damping(physics)
        force = -damping * qvel
        if self._springs:
            joints, positions, place = self._constants.like(qpos)
            rest = physics.spring_reference.index_select(0, positions)
            stretch = qpos.index_select(1, positions) - rest
            force = force - (physics.stiffness.index_select(0, joints) * stretch) @ place
        return force

    def damping(self, physics: Physics) -> Tensor:
        """The damping in force, ``(nv,)``."""
        return physics.damping if self._dampers else 0 * physics.damping
