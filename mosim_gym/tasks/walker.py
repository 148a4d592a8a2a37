"""dm_control's walker: a planar two-legged walker that stands, walks or runs.

Constants are those of ``dm_control/suite/walker.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.planar import PlanarKinematics, PlanarPoints, Plane
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.mujoco import tree_of
from mosim_gym.tasks.randomizers import randomize_joints
from mosim_gym.tasks.rewards import Sigmoid, tolerance
from mosim_gym.types import State

_STAND_HEIGHT = 1.2
_WALK_SPEED = 1.0
_RUN_SPEED = 8.0


class Measured(NamedTuple):
    """What the walker's tasks look at.

    Attributes:
        orientations: cosine and sine of every body's pitch, ``(batch, 14)``.
        height: of the torso in metres, ``(batch, 1)``.
        velocity: of the joints, ``(batch, 9)``.
        speed: of the centre of mass, forward, in m/s, ``(batch,)``.
    """

    orientations: Tensor
    height: Tensor
    velocity: Tensor
    speed: Tensor


@dataclass(frozen=True, slots=True)
class Walker:
    """The task of standing, and of moving at a speed where that is above 0.

    Attributes:
        move_speed: in m/s; 0 to stand.
        tree: the body.
        body: where its parts are.
        torso: the origin of the torso.
        centre: the centre of mass.
    """

    move_speed: float
    tree: Tree
    body: PlanarKinematics
    torso: PlanarPoints
    centre: PlanarPoints
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"orientations": (14,), "height": (), "velocity": (9,)}),
        init=False,
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """At rest, any pitch, joints anywhere in their ranges; maybe in the ground."""
        return randomize_joints(self.tree, n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """How the bodies lean, how high the torso is and how fast the walker moves."""
        poses = self.body(state.qpos, state.qvel)
        # dm_control reads the x components of each body's x and z axes.
        orientations = torch.stack([poses.cosine, -poses.sine], 2).flatten(1)
        height = poses.points(self.torso)[:, 0, 1:]
        speed = poses.point_velocities(self.centre)[:, 0, 0]
        return Measured(orientations, height, state.qvel, speed)

    def observe(self, measured: Measured) -> Tensor:
        """Orientations, height and velocities: ``(batch, 24)``."""
        return torch.cat(measured[:3], 1)

    def reward(self, measured: Measured) -> Tensor:
        """How well it stands, times how well it moves; ``(batch,)``."""
        standing = tolerance(
            measured.height[:, 0], bounds=(_STAND_HEIGHT, float("inf")), margin=_STAND_HEIGHT / 2
        )
        upright = (1 + measured.orientations[:, 0]) / 2
        stands = (3 * standing + upright) / 4
        if self.move_speed == 0:
            return stands
        moves = tolerance(
            measured.speed,
            bounds=(self.move_speed, float("inf")),
            margin=self.move_speed / 2,
            value_at_margin=0.5,
            sigmoid=Sigmoid.LINEAR,
        )
        return stands * (5 * moves + 1) / 6

    def terminated(self, measured: Measured) -> None:
        """Walker never ends of itself."""
        return None


def stand() -> Walker:
    """Stand upright."""
    return _walker(0.0)


def walk() -> Walker:
    """Walk at 1 m/s or more."""
    return _walker(_WALK_SPEED)


def run() -> Walker:
    """Run at 8 m/s or more."""
    return _walker(_RUN_SPEED)


def _walker(move_speed: float) -> Walker:
    tree = tree_of("walker", "stand")  # one body in all three tasks
    body = PlanarKinematics(tree, Plane.XZ)
    return Walker(move_speed, tree, body, body.bodies("torso"), body.subtree_centre("torso"))
