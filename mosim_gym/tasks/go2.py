"""Go2: a robot dog that stands, or walks ahead at a set speed.

A control step is 20 ms; actions are the targets of the joints' position servos, in radians, the
middle of their range is close to the stance. Nothing depends on where the robot is or heads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.poses import Points
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.own import OWN_BODIES
from mosim_gym.tasks.rewards import Sigmoid, tolerance
from mosim_gym.types import Float64Array, State

#: Hip, thigh and calf of every leg as the robot stands; how far a start is from that.
_STANCE = np.array([0.0, 0.9, -1.8] * 4)
_BENT, _TILTED, _SPINNING = 0.2, 0.2, 0.3
#: Radius of a foot and the most it is above the ground at the start, in metres.
_FOOT, _DROP = 0.022, 0.05
_STAND_HEIGHT = 0.25
_WALK_SPEED = 0.75
#: How far the speed may be off for full reward, and how much further earns none: standing still,
#: in m/s.
_SPEED_BAND, _SPEED_MARGIN = 0.15, 0.6


class Measured(NamedTuple):
    """What the tasks look at; the parts of their observation.

    Attributes:
        joint_angles: in radians, leg by leg (front left, front right, rear left, rear right), each
            hip, thigh, calf, ``(batch, 12)``.
        trunk_vertical: the upward direction in the frame of the trunk, ``(batch, 3)``.
        trunk_height: in metres, ``(batch, 1)``.
        trunk_velocity: ahead, to the left and up as the trunk sees it, in m/s, ``(batch, 3)``.
        trunk_turning: about the same axes in rad/s, ``(batch, 3)``.
        joint_velocities: in rad/s, ``(batch, 12)``.
    """

    joint_angles: Tensor
    trunk_vertical: Tensor
    trunk_height: Tensor
    trunk_velocity: Tensor
    trunk_turning: Tensor
    joint_velocities: Tensor


@dataclass(frozen=True, slots=True)
class Go2:
    """The task of standing still, or of walking ahead at a speed above 0.

    Attributes:
        speed: in m/s; 0 to stand.
        body: where the trunk is.
        whole: where everything is; for starts.
        feet: the centres of the feet.
    """

    speed: float
    body: Kinematics
    whole: Kinematics
    feet: Points
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout(
            {
                "joint_angles": (12,),
                "trunk_vertical": (3,),
                "trunk_height": (),
                "trunk_velocity": (3,),
                "trunk_turning": (3,),
                "joint_velocities": (12,),
            }
        ),
        init=False,
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Nearly in its stance, heading anywhere, the lowest foot at most 5 cm up; moving a bit."""
        turn = _turned(
            rng.uniform(-np.pi, np.pi, n), rng.uniform(-_TILTED, _TILTED, n),
            rng.uniform(-_TILTED, _TILTED, n),
        )  # fmt: skip
        legs = _STANCE + rng.uniform(-_BENT, _BENT, (n, 12))
        qpos = torch.from_numpy(np.concatenate([np.zeros((n, 3)), turn, legs], 1))
        lowest = self.whole(qpos).points(self.feet)[:, :, 2].amin(1)
        qpos[:, 2] = torch.from_numpy(rng.uniform(0, _DROP, n)) + _FOOT - lowest
        return State(qpos, torch.from_numpy(_SPINNING * rng.standard_normal((n, 18))))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """How the trunk stands and moves, as the trunk sees it."""
        frame = self.body(state.qpos).rotation[:, self.body.tree.body("base")]
        velocity = state.qvel[:, None, :3] @ frame
        return Measured(
            joint_angles=state.qpos[:, 7:],
            trunk_vertical=frame[:, 2],
            trunk_height=state.qpos[:, 2:3],
            trunk_velocity=velocity[:, 0],
            # MuJoCo keeps the turning of a free joint in the frame of the body.
            trunk_turning=state.qvel[:, 3:6],
            joint_velocities=state.qvel[:, 6:],
        )

    def observe(self, measured: Measured) -> Tensor:
        """All that was measured: ``(batch, 34)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """How well it stands, times how well it moves as it should; ``(batch,)``."""
        standing = tolerance(
            measured.trunk_height[:, 0],
            bounds=(_STAND_HEIGHT, float("inf")),
            margin=_STAND_HEIGHT / 2,
        )
        upright = tolerance(
            measured.trunk_vertical[:, 2],
            bounds=(0.95, float("inf")),
            margin=1.95,
            value_at_margin=0,
            sigmoid=Sigmoid.LINEAR,
        )
        sideways = tolerance(measured.trunk_velocity[:, 1], margin=0.5)
        turning = tolerance(measured.trunk_turning[:, 2], margin=1.0)
        straight = (sideways + turning) / 2
        return standing * upright * straight * self._moves(measured.trunk_velocity[:, 0])

    def terminated(self, measured: Measured) -> None:
        """Go2 never ends of itself: a fallen robot earns next to nothing."""
        return None

    def _moves(self, ahead: Tensor) -> Tensor:
        if self.speed == 0:
            return tolerance(ahead, margin=0.5)
        speed = tolerance(
            ahead,
            bounds=(self.speed - _SPEED_BAND, self.speed + _SPEED_BAND),
            margin=_SPEED_MARGIN,
            value_at_margin=0,
            sigmoid=Sigmoid.LINEAR,
        )
        return (5 * speed + 1) / 6


def stand() -> Go2:
    """Stand upright and still."""
    return _go2(0.0)


def walk() -> Go2:
    """Walk ahead at 0.75 m/s."""
    return _go2(_WALK_SPEED)


def _go2(speed: float) -> Go2:
    tree = Tree.from_mjcf(OWN_BODIES["go2"].mjcf)
    whole = Kinematics(tree)
    return Go2(speed, Kinematics(tree, ["base"]), whole, whole.geoms("FL", "FR", "RL", "RR"))


def _turned(yaw: Float64Array, pitch: Float64Array, roll: Float64Array) -> Float64Array:
    """Quaternions ``(n, 4)`` of turns about z, then y, then x of the body."""
    (cy, sy), (cp, sp), (cr, sr) = (
        (np.cos(angle / 2), np.sin(angle / 2)) for angle in (yaw, pitch, roll)
    )
    w, x = cy * cp * cr + sy * sp * sr, cy * cp * sr - sy * sp * cr
    y, z = cy * sp * cr + sy * cp * sr, sy * cp * cr - cy * sp * sr
    return np.stack([w, x, y, z], 1)
