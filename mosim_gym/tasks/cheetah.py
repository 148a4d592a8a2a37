"""dm_control's cheetah: a planar two-legged runner.

Constants are those of ``dm_control/suite/cheetah.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.planar import PlanarKinematics, PlanarPoints, Plane
from mosim_gym.tasks.banks import draw_from_bank
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.mujoco import tree_of
from mosim_gym.tasks.rewards import Sigmoid, tolerance
from mosim_gym.types import State

_RUN_SPEED = 10.0


class Measured(NamedTuple):
    """Positions without the way run, in radians and metres, velocities, forward speed in m/s."""

    position: Tensor
    velocity: Tensor
    speed: Tensor


@dataclass(frozen=True, slots=True)
class Cheetah:
    """Run at 10 m/s or more.

    Attributes:
        body: where its parts are.
        centre: the centre of mass.
    """

    body: PlanarKinematics
    centre: PlanarPoints
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"position": (8,), "velocity": (9,)}), init=False
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Joints anywhere in their ranges, then fallen to the ground: from the stored bank."""
        return draw_from_bank("cheetah", n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """How fast the centre of mass moves forward."""
        velocity = self.body(state.qpos, state.qvel).point_velocities(self.centre)
        return Measured(state.qpos[:, 1:], state.qvel, velocity[:, 0, 0])

    def observe(self, measured: Measured) -> Tensor:
        """Positions and velocities; the way run is left out: ``(batch, 17)``."""
        return torch.cat([measured.position, measured.velocity], 1)

    def reward(self, measured: Measured) -> Tensor:
        """Speed as a fraction of 10 m/s, at most 1; ``(batch,)``."""
        return tolerance(
            measured.speed,
            bounds=(_RUN_SPEED, float("inf")),
            margin=_RUN_SPEED,
            value_at_margin=0,
            sigmoid=Sigmoid.LINEAR,
        )

    def terminated(self, measured: Measured) -> None:
        """Cheetah never ends of itself."""
        return None


def run() -> Cheetah:
    """Run forward."""
    body = PlanarKinematics(tree_of("cheetah", "run"), Plane.XZ)
    return Cheetah(body, body.subtree_centre("torso"))
