"""dm_control's pendulum: swing a pole up with a motor too weak to lift it at once.

Constants are those of ``dm_control/suite/pendulum.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.rewards import tolerance
from mosim_gym.types import State

_UPRIGHT_COSINE = float(np.cos(np.deg2rad(8)))


class Measured(NamedTuple):
    """Cosine and sine of the pole's angle to the vertical and its speed, each ``(batch, 1)``."""

    vertical: Tensor
    horizontal: Tensor
    qvel: Tensor


@dataclass(frozen=True, slots=True)
class Pendulum:
    """The task."""

    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"orientation": (2,), "velocity": (1,)}), init=False
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """The pole at any angle, at rest."""
        qpos = torch.from_numpy(rng.uniform(-np.pi, np.pi, (n, 1)))
        return State(qpos=qpos, qvel=torch.zeros_like(qpos))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """How the pole stands; 0 is upright."""
        return Measured(state.qpos.cos(), state.qpos.sin(), state.qvel)

    def observe(self, measured: Measured) -> Tensor:
        """Cosine, sine, speed: ``(batch, 3)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 while the pole is within 8 degrees of upright, else 0; ``(batch,)``."""
        return tolerance(measured.vertical[:, 0], (_UPRIGHT_COSINE, 1))

    def terminated(self, measured: Measured) -> None:
        """Pendulum never ends of itself."""
        return None


def swingup() -> Pendulum:
    """The only task there is."""
    return Pendulum()
