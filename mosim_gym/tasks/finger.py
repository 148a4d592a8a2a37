"""dm_control's finger: a two-link finger spins a free body, or turns its tip to a target.

The target of the turn tasks is no part of qpos (dm_control moves a site of the model), so it
travels in ``State.context`` as (x, z) in metres; it changes no motion. Constants are those of
``dm_control/suite/finger.py`` and ``finger.xml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.banks import draw_from_bank
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State

_HINGE = (0.2, 0.4)
_TIP_RADIUS = 0.13
_SPIN_SPEED = 15.0
_TOUCH = ("touchtop", "touchbottom")
_SHARED_LAYOUT: dict[str, tuple[int, ...]] = {"position": (4,), "velocity": (3,), "touch": (2,)}


class Measured(NamedTuple):
    """What the tasks look at.

    Attributes:
        angles: of the finger's joints in radians, ``(batch, 2)``.
        tip: (x, z) of the spinner's tip from its hinge in metres, ``(batch, 2)``.
        qvel: speeds of the finger's joints and the hinge, ``(batch, 3)``.
        touch: logarithms of the readings of the touch sensors, ``(batch, 2)``.
    """

    angles: Tensor
    tip: Tensor
    qvel: Tensor
    touch: Tensor


class MeasuredTurn(NamedTuple):
    """What `Measured` has, the target (x, z) from the hinge, and how far the tip is outside it.

    The target is ``(batch, 2)``, the distance ``(batch, 1)`` in metres, negative inside.
    """

    body: Measured
    target: Tensor
    distance: Tensor


@dataclass(frozen=True, slots=True)
class Spin:
    """Keep the body spinning."""

    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = _TOUCH
    layout: ClassVar[ObservationLayout] = ObservationLayout(_SHARED_LAYOUT)

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Joints anywhere in their ranges where nothing touches, at rest."""
        return draw_from_bank("finger", n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where the tip is."""
        return _measure_body(state, touch)

    def observe(self, measured: Measured) -> Tensor:
        """Finger angles, tip, speeds, touch: ``(batch, 9)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 while the body turns at 15 rad/s or more towards the finger's side; ``(batch,)``."""
        speed = measured.qvel[:, 2]
        return (speed <= -_SPIN_SPEED).to(speed.dtype)

    def terminated(self, measured: Measured) -> None:
        """Finger never ends of itself."""
        return None


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn the body until its tip is in a target of the given radius in metres."""

    target_radius: float
    context_size: ClassVar[int] = 2
    touch: ClassVar[tuple[str, ...]] = _TOUCH
    layout: ClassVar[ObservationLayout] = ObservationLayout(
        {**_SHARED_LAYOUT, "target_position": (2,), "dist_to_target": ()}
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """As for spinning, the target anywhere on the circle of the tip."""
        start = draw_from_bank("finger", n, rng)
        angle = rng.uniform(-np.pi, np.pi, n)
        circle = np.stack([np.sin(angle), np.cos(angle)], 1)
        target = torch.from_numpy(_HINGE + _TIP_RADIUS * circle)
        return State(start.qpos, start.qvel, context=target)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> MeasuredTurn:
        """Where tip and target are."""
        if state.context is None:
            raise ValueError("Finger needs the target's (x, z) in State.context; it is None.")
        body = _measure_body(state, touch)
        x, z = state.context.unbind(1)
        target = torch.stack([x - _HINGE[0], z - _HINGE[1]], 1)
        distance = torch.linalg.vector_norm(target - body.tip, dim=1, keepdim=True)
        return MeasuredTurn(body, target, distance - self.target_radius)

    def observe(self, measured: MeasuredTurn) -> Tensor:
        """Finger angles, tip, speeds, touch, target, distance to it: ``(batch, 12)``."""
        return torch.cat([*measured.body, measured.target, measured.distance], 1)

    def reward(self, measured: MeasuredTurn) -> Tensor:
        """1 while the tip is in the target, else 0; ``(batch,)``."""
        distance = measured.distance[:, 0]
        return (distance <= 0).to(distance.dtype)

    def terminated(self, measured: MeasuredTurn) -> None:
        """Finger never ends of itself."""
        return None


def _measure_body(state: State, touch: Tensor | None) -> Measured:
    if touch is None:
        raise ValueError(
            f"Finger needs readings of its touch sensors ({', '.join(_TOUCH)}) in newtons, "
            "(batch, 2); touch is None."
        )
    # The hinge turns about -y.
    hinge = state.qpos[:, 2:]
    tip = torch.cat([-hinge.sin(), hinge.cos()], 1) * _TIP_RADIUS
    return Measured(state.qpos[:, :2], tip, state.qvel, touch.log1p())


def spin() -> Spin:
    """Keep the body spinning at 15 rad/s or more."""
    return Spin()


def turn_easy() -> Turn:
    """Target of radius 7 cm."""
    return Turn(0.07)


def turn_hard() -> Turn:
    """Target of radius 3 cm."""
    return Turn(0.03)
