"""dm_control's reacher: put the finger of a planar two-link arm into a target.

The target's position is no part of qpos (dm_control moves a geom of the model), so it travels in
``State.context`` as (x, y) in metres. Constants are those of ``dm_control/suite/reacher.xml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State

_ARM_LENGTH = 0.12
_HAND_LENGTH = 0.12
_FINGER_RADIUS = 0.01
_WRIST_RANGE = float(np.deg2rad(160))
_TARGET_DISTANCE = (0.05, 0.20)


@dataclass(frozen=True, slots=True)
class Reacher:
    """The task for a target of the given radius in metres."""

    target_radius: float
    context_size: ClassVar[int] = 2
    layout: ObservationLayout = field(
        default=ObservationLayout({"position": (2,), "to_target": (2,), "velocity": (2,)}),
        init=False,
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Arm anywhere in its range and at rest, target in a ring around the shoulder."""
        shoulder = rng.uniform(-np.pi, np.pi, n)
        wrist = rng.uniform(-_WRIST_RANGE, _WRIST_RANGE, n)
        angle = rng.uniform(0, 2 * np.pi, n)
        distance = rng.uniform(*_TARGET_DISTANCE, n)
        target = np.stack([distance * np.sin(angle), distance * np.cos(angle)], 1)
        return State(
            qpos=torch.from_numpy(np.stack([shoulder, wrist], 1)),
            qvel=torch.zeros(n, 2, dtype=torch.float64),
            context=torch.from_numpy(target),
        )

    def observe(self, state: State) -> Tensor:
        """Joint angles, vector from finger to target, joint speeds: ``(batch, 6)``."""
        return torch.cat([state.qpos, self._to_target(state), state.qvel], 1)

    def reward(self, state: State, action: Tensor) -> Tensor:
        """1 while finger and target overlap, else 0; ``(batch,)``."""
        radii = self.target_radius + _FINGER_RADIUS
        return (self._to_target(state).norm(dim=1) <= radii).to(state.qpos.dtype)

    def terminated(self, state: State) -> None:
        """Reacher never ends of itself."""
        return None

    @staticmethod
    def _to_target(state: State) -> Tensor:
        if state.context is None:
            raise ValueError("Reacher needs the target's (x, y) in State.context; it is None.")
        # Both links turn about z, so the finger is a sum of two planar vectors.
        shoulder, hand = state.qpos[:, :1], state.qpos.sum(1, keepdim=True)
        elbow = torch.cat([shoulder.cos(), shoulder.sin()], 1)
        finger = torch.cat([hand.cos(), hand.sin()], 1)
        return state.context - _ARM_LENGTH * elbow - _HAND_LENGTH * finger


def easy() -> Reacher:
    """Target of radius 5 cm."""
    return Reacher(0.05)


def hard() -> Reacher:
    """Target of radius 1.5 cm."""
    return Reacher(0.015)
