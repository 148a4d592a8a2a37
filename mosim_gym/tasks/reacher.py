"""dm_control's reacher: put the finger of a planar two-link arm into a target.

The target's position is no part of qpos (dm_control moves a geom of the model), so it travels in
``State.context`` as (x, y) in metres. Constants are those of ``dm_control/suite/reacher.xml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State

_LINK_LENGTH = 0.12
_FINGER_RADIUS = 0.01
_WRIST_RANGE = float(np.deg2rad(160))
_TARGET_DISTANCE = (0.05, 0.20)


class Measured(NamedTuple):
    """Joint angles in radians, the way from finger to target in metres, joint speeds."""

    qpos: Tensor
    to_target: Tensor
    qvel: Tensor


@dataclass(frozen=True, slots=True)
class Reacher:
    """The task for a target of the given radius in metres."""

    target_radius: float
    context_size: ClassVar[int] = 2
    touch: ClassVar[tuple[str, ...]] = ()
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

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where the finger is, seen from the target."""
        if state.context is None:
            raise ValueError("Reacher needs the target's (x, y) in State.context; it is None.")
        # Both links turn about z and are equally long, so the finger is a sum of two unit vectors.
        headings = state.qpos.cumsum(1)
        finger = torch.stack([headings.cos().sum(1), headings.sin().sum(1)], 1)
        to_target = torch.sub(state.context, finger, alpha=_LINK_LENGTH)
        return Measured(state.qpos, to_target, state.qvel)

    def observe(self, measured: Measured) -> Tensor:
        """Joint angles, vector from finger to target, joint speeds: ``(batch, 6)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 while finger and target overlap, else 0; ``(batch,)``."""
        distance = torch.linalg.vector_norm(measured.to_target, dim=1)
        return (distance <= self.target_radius + _FINGER_RADIUS).to(distance.dtype)

    def terminated(self, measured: Measured) -> None:
        """Reacher never ends of itself."""
        return None


def easy() -> Reacher:
    """Target of radius 5 cm."""
    return Reacher(0.05)


def hard() -> Reacher:
    """Target of radius 1.5 cm."""
    return Reacher(0.015)
