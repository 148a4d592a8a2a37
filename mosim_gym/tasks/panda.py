"""Panda: bring the point between the fingertips to a target in front of the arm.

The target is no part of qpos, so it travels in ``State.context`` as (x, y, z) in metres. A control
step is 20 ms; actions are the targets of the joints' position servos, in radians (fingers: metres).
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
from mosim_gym.types import State

#: Where the maker of the arm lets it rest: elbow bent, hand down; the fingers come after.
_READY = np.array([0.0, 0.0, 0.0, -1.57079, 0.0, 1.57079, -0.7853])
_AROUND = 0.3
_OPEN = 0.04
#: The box that targets are drawn from: all of it is within reach, above the table.
_NEAR, _FAR = np.array([0.3, -0.4, 0.1]), np.array([0.6, 0.4, 0.6])
_TARGET_RADIUS = 0.03
_MARGIN = 0.4


class Measured(NamedTuple):
    """What the task looks at; the parts of its observation.

    Attributes:
        position: of the joints in radians, of the fingers in metres, ``(batch, 9)``.
        to_target: from the point between the fingertips to the target, in metres, ``(batch, 3)``.
        velocity: of the joints, ``(batch, 9)``.
    """

    position: Tensor
    to_target: Tensor
    velocity: Tensor


@dataclass(frozen=True, slots=True)
class Reach:
    """The task of being at the target.

    Attributes:
        body: where the hand is.
        pinch: the point between the fingertips.
    """

    body: Kinematics
    pinch: Points
    context_size: ClassVar[int] = 3
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"position": (9,), "to_target": (3,), "velocity": (9,)}),
        init=False,
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """At rest near the ready pose, fingers anywhere, the target anywhere in its box."""
        arm = _READY + rng.uniform(-_AROUND, _AROUND, (n, len(_READY)))
        qpos = np.concatenate([arm, rng.uniform(0, _OPEN, (n, 2))], 1)
        return State(
            qpos=torch.from_numpy(qpos),
            qvel=torch.zeros(n, 9, dtype=torch.float64),
            context=torch.from_numpy(rng.uniform(_NEAR, _FAR, (n, 3))),
        )

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where the target is, seen from the hand."""
        if state.context is None:
            raise ValueError("Reach needs the target's (x, y, z) in State.context; it is None.")
        pinch = self.body(state.qpos).points(self.pinch)[:, 0]
        return Measured(state.qpos, state.context - pinch, state.qvel)

    def observe(self, measured: Measured) -> Tensor:
        """Joint positions, way to the target, joint velocities: ``(batch, 21)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 within 3 cm of the target, less the further away, 0.1 at 43 cm; ``(batch,)``."""
        return tolerance(
            torch.linalg.vector_norm(measured.to_target, dim=1),
            bounds=(0, _TARGET_RADIUS),
            margin=_MARGIN,
            sigmoid=Sigmoid.LONG_TAIL,
        )

    def terminated(self, measured: Measured) -> None:
        """Reach never ends of itself."""
        return None


def reach() -> Reach:
    """Be at the target."""
    body = Kinematics(Tree.from_mjcf(OWN_BODIES["panda"].mjcf), bodies=["hand"])
    return Reach(body, body.sites("pinch"))
