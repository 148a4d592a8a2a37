"""dm_control's hopper: a planar one-legged hopper that stands or hops.

It observes two touch sensors, which a state does not hold: they are passed to `measure`.
Constants are those of ``dm_control/suite/hopper.py``.
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

_STAND_HEIGHT = (0.6, 2.0)
_HOP_SPEED = 2.0


class Measured(NamedTuple):
    """What the hopper's tasks look at.

    Attributes:
        position: of the joints, without the way hopped, ``(batch, 6)``.
        velocity: of the joints, ``(batch, 7)``.
        touch: log1p of the force under toe and heel in newtons, ``(batch, 2)``.
        height: of the torso over the foot in metres, ``(batch,)``.
        speed: of the centre of mass, forward, in m/s, ``(batch,)``.
        action: the controls, ``(batch, 4)``.
    """

    position: Tensor
    velocity: Tensor
    touch: Tensor
    height: Tensor
    speed: Tensor
    action: Tensor


@dataclass(frozen=True, slots=True)
class Hopper:
    """The task of standing, or of hopping forward.

    Attributes:
        hopping: whether to hop.
        tree: the body.
        body: where its parts are.
        ends: the centres of mass of torso and foot.
        centre: the centre of mass of the whole.
    """

    hopping: bool
    tree: Tree
    body: PlanarKinematics
    ends: PlanarPoints
    centre: PlanarPoints
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ("touch_toe", "touch_heel")
    layout: ObservationLayout = field(
        default=ObservationLayout({"position": (6,), "velocity": (7,), "touch": (2,)}), init=False
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """At rest, any pitch, joints anywhere in their ranges; maybe in the ground."""
        return randomize_joints(self.tree, n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """How high the torso is over the foot, how fast the hopper moves, what the foot feels."""
        if touch is None:
            raise ValueError(
                f"Hopper needs readings of its touch sensors ({', '.join(self.touch)}) in newtons, "
                "(batch, 2); touch is None."
            )
        poses = self.body(state.qpos, state.qvel)
        heights = poses.points(self.ends)[:, :, 1]
        return Measured(
            state.qpos[:, 1:],
            state.qvel,
            touch.log1p(),
            heights[:, 0] - heights[:, 1],
            poses.point_velocities(self.centre)[:, 0, 0],
            action,
        )

    def observe(self, measured: Measured) -> Tensor:
        """Positions, velocities and touch; the way hopped is left out: ``(batch, 15)``."""
        return torch.cat(measured[:3], 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 while it stands, times how fast it hops or how little it does; ``(batch,)``."""
        standing = tolerance(measured.height, bounds=_STAND_HEIGHT)
        if self.hopping:
            hops = tolerance(
                measured.speed,
                bounds=(_HOP_SPEED, float("inf")),
                margin=_HOP_SPEED / 2,
                value_at_margin=0.5,
                sigmoid=Sigmoid.LINEAR,
            )
            return standing * hops
        small = tolerance(measured.action, margin=1, value_at_margin=0, sigmoid=Sigmoid.QUADRATIC)
        return standing * (small.mean(1) + 4) / 5

    def terminated(self, measured: Measured) -> None:
        """Hopper never ends of itself."""
        return None


def stand() -> Hopper:
    """Stand with little control."""
    return _hopper(hopping=False)


def hop() -> Hopper:
    """Hop forward at 2 m/s or more."""
    return _hopper(hopping=True)


def _hopper(*, hopping: bool) -> Hopper:
    tree = tree_of("hopper", "stand")  # one body in both tasks
    body = PlanarKinematics(tree, Plane.XZ)
    return Hopper(hopping, tree, body, body.centres("torso", "foot"), body.subtree_centre("torso"))
