"""dm_control's point_mass: push a ball on a plane into the middle.

In the hard task each motor pushes in a direction of its own, drawn anew for every episode: two unit
vectors that mix the motors into x and y. They are part of the body, so they travel in
``State.context`` as (x1, y1, x2, y2) and models take them as inputs; they are not observed.
Constants are those of ``dm_control/suite/point_mass.xml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.rewards import Sigmoid, tolerance
from mosim_gym.types import Float64Array, State

_ARENA = 0.29
_TARGET_RADIUS = 0.015
_MOST_PARALLEL = 0.9


class Measured(NamedTuple):
    """Position in metres, which is the way from the target, velocity and control."""

    qpos: Tensor
    qvel: Tensor
    action: Tensor


@dataclass(frozen=True, slots=True)
class PointMass:
    """The task; `mixed` says whether the motors' directions are drawn, else they are x and y."""

    mixed: bool
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"position": (2,), "velocity": (2,)}), init=False
    )

    @property
    def context_size(self) -> int:
        """4 for drawn directions, else 0."""
        return 4 if self.mixed else 0

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Anywhere in the arena, at rest."""
        qpos = torch.from_numpy(rng.uniform(-_ARENA, _ARENA, (n, 2)))
        context = torch.from_numpy(_draw_directions(n, rng)) if self.mixed else None
        return State(qpos=qpos, qvel=torch.zeros_like(qpos), context=context)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """The target is at the origin: there is nothing to work out."""
        return Measured(state.qpos, state.qvel, action)

    def observe(self, measured: Measured) -> Tensor:
        """Position and velocity: ``(batch, 4)``."""
        return torch.cat([measured.qpos, measured.qvel], 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 in the target, less away from it and for large controls; ``(batch,)``."""
        distance = torch.linalg.vector_norm(measured.qpos, dim=1)
        near = tolerance(distance, (0, _TARGET_RADIUS), margin=_TARGET_RADIUS)
        small_control = tolerance(
            measured.action, margin=1, value_at_margin=0, sigmoid=Sigmoid.QUADRATIC
        ).mean(1)
        return near * ((small_control + 4) / 5)

    def terminated(self, measured: Measured) -> None:
        """The point mass never ends of itself."""
        return None


def _draw_directions(n: int, rng: np.random.Generator) -> Float64Array:
    """Two directions a row that are not too parallel, ``(n, 4)``.

    dm_control draws the second until it is not; its angle to the first is then uniform on what is
    left, which can be drawn at once.
    """
    narrowest = np.arccos(_MOST_PARALLEL)
    first = rng.uniform(0, 2 * np.pi, n)
    between = rng.uniform(narrowest, np.pi - narrowest, n)
    second = first + rng.choice([-1.0, 1.0], n) * between
    return np.stack([np.cos(first), np.sin(first), np.cos(second), np.sin(second)], 1)


def easy() -> PointMass:
    """The motors push along x and y."""
    return PointMass(mixed=False)


def hard() -> PointMass:
    """Each motor pushes in a direction drawn for the episode."""
    return PointMass(mixed=True)
