"""dm_control's humanoid: a body of 21 hinges that stands, walks or runs.

Constants are those of ``dm_control/suite/humanoid.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.tasks.banks import draw_from_bank
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.mujoco import tree_of
from mosim_gym.tasks.rewards import Sigmoid, tolerance
from mosim_gym.types import State

_STAND_HEIGHT = 1.4
_WALK_SPEED = 1.0
_RUN_SPEED = 10.0
_LIMBS = ("left_hand", "left_foot", "right_hand", "right_foot")
_FEATURES = ObservationLayout(
    {
        "joint_angles": (21,),
        "head_height": (),
        "extremities": (12,),
        "torso_vertical": (3,),
        "com_velocity": (3,),
        "velocity": (27,),
    }
)
_PURE_STATE = ObservationLayout({"position": (28,), "velocity": (27,)})


class Measured(NamedTuple):
    """What the humanoid's tasks look at; the parts of its observations, and the controls.

    Attributes:
        position: the root's and the joints', ``(batch, 28)``.
        joint_angles: in radians, ``(batch, 21)``.
        head_height: in metres, ``(batch, 1)``.
        extremities: hands and feet in the frame of the torso, in metres, ``(batch, 12)``.
        torso_vertical: the upward direction in the frame of the torso, ``(batch, 3)``.
        com_velocity: velocity of the centre of mass in m/s, ``(batch, 3)``.
        velocity: the root's and the joints', ``(batch, 27)``.
        action: the controls, ``(batch, 21)``.
    """

    position: Tensor
    joint_angles: Tensor
    head_height: Tensor
    extremities: Tensor
    torso_vertical: Tensor
    com_velocity: Tensor
    velocity: Tensor
    action: Tensor


@dataclass(frozen=True, slots=True)
class Humanoid:
    """The task of standing still, and of moving at a speed where that is above 0.

    Attributes:
        move_speed: in m/s; 0 to stand.
        layout: the parts of its observation: egocentric features, or positions and velocities.
        body: where its parts are.
    """

    move_speed: float
    layout: ObservationLayout
    body: Kinematics
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Any pose in which nothing touches, at rest: from the stored bank."""
        return draw_from_bank("humanoid", n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where head, hands and feet are, how the torso leans, how fast the humanoid moves."""
        tree = self.body.tree
        poses = self.body(state.qpos, state.qvel)
        torso = tree.body("torso")
        limbs = poses.position[:, [tree.body(name) for name in _LIMBS]]
        frame = poses.rotation[:, torso]
        return Measured(
            position=state.qpos,
            joint_angles=state.qpos[:, 7:],
            head_height=poses.position[:, tree.body("head"), 2:],
            extremities=((limbs - poses.position[:, torso, None]) @ frame).flatten(1),
            torso_vertical=frame[:, 2],
            com_velocity=self.body.subtree_velocity(poses, "torso"),
            velocity=state.qvel,
            action=action,
        )

    def observe(self, measured: Measured) -> Tensor:
        """Egocentric features ``(batch, 67)``, or positions and velocities ``(batch, 55)``."""
        return torch.cat([getattr(measured, name) for name in self.layout.shapes], 1)

    def reward(self, measured: Measured) -> Tensor:
        """How well it stands, how little it does and how well it moves, as a product."""
        standing = tolerance(
            measured.head_height[:, 0],
            bounds=(_STAND_HEIGHT, float("inf")),
            margin=_STAND_HEIGHT / 4,
        )
        upright = tolerance(
            measured.torso_vertical[:, 2],
            bounds=(0.9, float("inf")),
            sigmoid=Sigmoid.LINEAR,
            margin=1.9,
            value_at_margin=0,
        )
        effort = tolerance(measured.action, margin=1, value_at_margin=0, sigmoid=Sigmoid.QUADRATIC)
        small_control = (4 + effort.mean(1)) / 5
        return small_control * standing * upright * self._moves(measured.com_velocity[:, :2])

    def terminated(self, measured: Measured) -> None:
        """Humanoid never ends of itself."""
        return None

    def _moves(self, horizontal: Tensor) -> Tensor:
        if self.move_speed == 0:
            return tolerance(horizontal, margin=2).mean(1)
        speed = tolerance(
            torch.linalg.vector_norm(horizontal, dim=1),
            bounds=(self.move_speed, float("inf")),
            margin=self.move_speed,
            value_at_margin=0,
            sigmoid=Sigmoid.LINEAR,
        )
        return (5 * speed + 1) / 6


def stand() -> Humanoid:
    """Stand still, upright, with little control."""
    return _humanoid(0.0, _FEATURES)


def walk() -> Humanoid:
    """Walk at 1 m/s or more, in any direction."""
    return _humanoid(_WALK_SPEED, _FEATURES)


def run() -> Humanoid:
    """Run at 10 m/s or more, in any direction."""
    return _humanoid(_RUN_SPEED, _FEATURES)


def run_pure_state() -> Humanoid:
    """Run; observe positions and velocities alone."""
    return _humanoid(_RUN_SPEED, _PURE_STATE)


def _humanoid(move_speed: float, layout: ObservationLayout) -> Humanoid:
    tree = tree_of("humanoid", "stand")  # one body in all four tasks
    return Humanoid(move_speed, layout, Kinematics(tree))
