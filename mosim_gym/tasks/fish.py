"""dm_control's fish: keep upright in water, or swim with the mouth to a target.

The target's position is no part of qpos (dm_control moves a geom of the model), so it travels in
``State.context`` as (x, y, z) in metres. Constants are those of ``dm_control/suite/fish.{py,xml}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.frames import rotation_of
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.mujoco import tree_of
from mosim_gym.tasks.rewards import tolerance
from mosim_gym.types import Float64Array, State

_START_ANGLE = 0.2
_TARGET_LOW, _TARGET_HIGH = (-0.4, -0.4, 0.1), (0.4, 0.4, 0.3)
_RADII = 0.005 + 0.04  # of the mouth and of the target


class MeasuredUpright(NamedTuple):
    """Angles of tail and fins, cosine of the torso's lean ``(batch, 1)``, velocities."""

    joint_angles: Tensor
    upright: Tensor
    velocity: Tensor


class MeasuredSwim(NamedTuple):
    """The same with the way from mouth to target in the frame of the mouth, ``(batch, 3)``."""

    joint_angles: Tensor
    upright: Tensor
    target: Tensor
    velocity: Tensor


@dataclass(frozen=True, slots=True)
class Upright:
    """Keep the torso upright.

    Attributes:
        torso: where the torso is.
    """

    torso: Kinematics
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"joint_angles": (7,), "upright": (), "velocity": (13,)}),
        init=False,
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """At rest, turned any way, tail and fins bent a little."""
        return _start(self.torso.tree, n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> MeasuredUpright:
        """How the torso leans."""
        _, frame = _torso(self.torso, state.qpos)
        return MeasuredUpright(state.qpos[:, 7:], frame[:, 2, 2:], state.qvel)

    def observe(self, measured: MeasuredUpright) -> Tensor:
        """Angles, uprightness, velocities: ``(batch, 21)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: MeasuredUpright) -> Tensor:
        """1 for an upright torso, less the more it leans; ``(batch,)``."""
        return tolerance(measured.upright[:, 0], bounds=(1, 1), margin=1)

    def terminated(self, measured: MeasuredUpright) -> None:
        """Fish never ends of itself."""
        return None


@dataclass(frozen=True, slots=True)
class Swim:
    """Bring the mouth into the target.

    Attributes:
        torso: where the torso is.
        mouth: rotation ``(3, 3)`` from the torso's to the mouth's frame, and where that has the
            torso's origin, ``(3,)``.
    """

    torso: Kinematics
    mouth: Constants
    context_size: ClassVar[int] = 3
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout(
            {"joint_angles": (7,), "upright": (), "target": (3,), "velocity": (13,)}
        ),
        init=False,
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """At rest, turned any way, tail and fins bent a little; the target in a box."""
        start = _start(self.torso.tree, n, rng)
        target = rng.uniform(_TARGET_LOW, _TARGET_HIGH, (n, 3))
        return State(start.qpos, start.qvel, context=torch.from_numpy(target))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> MeasuredSwim:
        """How the torso leans and where the mouth sees the target."""
        if state.context is None:
            raise ValueError("Fish needs the target's (x, y, z) in State.context; it is None.")
        position, frame = _torso(self.torso, state.qpos)
        local = ((state.context - position)[:, None] @ frame)[:, 0]
        rotation, origin = self.mouth.like(local)
        target = torch.addmm(origin, local, rotation)
        return MeasuredSwim(state.qpos[:, 7:], frame[:, 2, 2:], target, state.qvel)

    def observe(self, measured: MeasuredSwim) -> Tensor:
        """Angles, uprightness, vector from mouth to target, velocities: ``(batch, 24)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: MeasuredSwim) -> Tensor:
        """Mostly for the mouth in the target, a little for an upright torso; ``(batch,)``."""
        distance = torch.linalg.vector_norm(measured.target, dim=1)
        arrived = tolerance(distance, bounds=(0, _RADII), margin=2 * _RADII)
        return (7 * arrived + 0.5 * (measured.upright[:, 0] + 1)) / 8

    def terminated(self, measured: MeasuredSwim) -> None:
        """Fish never ends of itself."""
        return None


def upright() -> Upright:
    """Keep upright."""
    return Upright(Kinematics(tree_of("fish", "upright"), bodies=["torso"]))


def swim() -> Swim:
    """Swim to the target."""
    tree = tree_of("fish", "swim")
    mouth = tree.geom("mouth")
    rotation = rotation_of(tree.geoms.quaternion[mouth])
    origin = -tree.geoms.position[mouth] @ rotation
    return Swim(Kinematics(tree, bodies=["torso"]), Constants(rotation, origin))


def _torso(body: Kinematics, qpos: Tensor) -> tuple[Tensor, Tensor]:
    """Position ``(batch, 3)`` and orientation ``(batch, 3, 3)`` of the torso."""
    poses, torso = body(qpos), body.tree.body("torso")
    return poses.position[:, torso], poses.rotation[:, torso]


def _start(tree: Tree, n: int, rng: np.random.Generator) -> State:
    qpos: Float64Array = np.tile(tree.qpos0, (n, 1))
    quaternion = rng.standard_normal((n, 4))
    qpos[:, 3:7] = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
    qpos[:, 7:] = rng.uniform(-_START_ANGLE, _START_ANGLE, (n, tree.nq - 7))
    return State(torch.from_numpy(qpos), torch.zeros(n, tree.nv, dtype=torch.float64))
