"""dm_control's swimmer: a chain of links in a plane of water, its nose to be brought to a target.

The target's position is no part of qpos (dm_control moves a geom of the model), so it travels in
``State.context`` as (x, y) in metres. Constants are those of ``dm_control/suite/swimmer.{py,xml}``.
"""

from __future__ import annotations

from dataclasses import dataclass
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

_TARGET_RADIUS = 0.1
_CLOSE_TARGET = 0.2  # how often the target is close
_CLOSE_BOX, _FAR_BOX = 0.3, 2.0


class Measured(NamedTuple):
    """What the swimmer's task looks at, for n links.

    Attributes:
        joints: angles between the links, ``(batch, n - 1)``.
        to_target: from nose to target in the frame of the head, in metres, ``(batch, 2)``.
        body_velocities: of each link in its own frame: x, y in m/s, turn in rad/s,
            ``(batch, 3 n)``.
    """

    joints: Tensor
    to_target: Tensor
    body_velocities: Tensor


@dataclass(frozen=True, slots=True)
class Swimmer:
    """The task of bringing the nose into the target.

    Attributes:
        layout: the parts of its observation.
        tree: the body.
        body: where its parts are.
        nose: the tip of the head.
        links: the origins of the links.
    """

    layout: ObservationLayout
    tree: Tree
    body: PlanarKinematics
    nose: PlanarPoints
    links: PlanarPoints
    context_size: ClassVar[int] = 2
    touch: ClassVar[tuple[str, ...]] = ()

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """At rest, heading anywhere, joints anywhere in their ranges; the target in a box."""
        drawn = randomize_joints(self.tree, n, rng)
        box = np.where(rng.random(n) < _CLOSE_TARGET, _CLOSE_BOX, _FAR_BOX)
        target = rng.uniform(-1, 1, (n, 2)) * box[:, None]
        return State(drawn.qpos, drawn.qvel, context=torch.from_numpy(target))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where the target is and how the links move, each seen from the link itself."""
        if state.context is None:
            raise ValueError("Swimmer needs the target's (x, y) in State.context; it is None.")
        poses = self.body(state.qpos, state.qvel)
        nose = poses.points(self.nose)[:, 0]
        to_target = _turn_back(state.context - nose, poses.cosine[:, :1], poses.sine[:, :1])
        drift = poses.point_velocities(self.links)
        local = _turn_back(drift, poses.cosine[:, :, None], poses.sine[:, :, None])
        velocities = torch.cat([local, poses.spin[:, :, None]], 2).flatten(1)
        return Measured(state.qpos[:, 3:], to_target, velocities)

    def observe(self, measured: Measured) -> Tensor:
        """Joint angles, vector from nose to target, velocities: ``(batch, 4 n + 1)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 with the nose in the target, less the further away it is; ``(batch,)``."""
        return tolerance(
            torch.linalg.vector_norm(measured.to_target, dim=1),
            bounds=(0, _TARGET_RADIUS),
            margin=5 * _TARGET_RADIUS,
            sigmoid=Sigmoid.LONG_TAIL,
        )

    def terminated(self, measured: Measured) -> None:
        """Swimmer never ends of itself."""
        return None


def swimmer6() -> Swimmer:
    """Six links."""
    return _swimmer(6)


def swimmer15() -> Swimmer:
    """Fifteen links."""
    return _swimmer(15)


def _turn_back(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Vectors ``(..., 2)`` as seen from frames turned by the angle of that cosine and sine."""
    x, y = vectors[..., :1], vectors[..., 1:]
    return torch.cat([cosine * x + sine * y, cosine * y - sine * x], -1)


def _swimmer(links: int) -> Swimmer:
    tree = tree_of("swimmer", f"swimmer{links}")
    body = PlanarKinematics(tree, Plane.XY)
    layout = ObservationLayout(
        {"joints": (links - 1,), "to_target": (2,), "body_velocities": (3 * links,)}
    )
    names = ["head", *(f"segment_{k}" for k in range(links - 1))]
    return Swimmer(layout, tree, body, body.geoms("nose"), body.bodies(*names))
