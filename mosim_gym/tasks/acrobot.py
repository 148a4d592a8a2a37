"""dm_control's acrobot: swing a two-link arm up by its elbow and hold its tip in a target.

Both links are 1 m long and turn about y; the target is where the tip of the upright arm is.
Constants are those of ``dm_control/suite/acrobot.xml``.
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

_UPRIGHT_HEIGHT = 2.0
_TARGET_RADIUS = 0.2


class Measured(NamedTuple):
    """Components of each link along x and z, each ``(batch, 2)`` in metres, and joint speeds."""

    horizontal: Tensor
    vertical: Tensor
    qvel: Tensor


@dataclass(frozen=True, slots=True)
class Acrobot:
    """The task; `margin` is how far around the target in metres there is some reward."""

    margin: float
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"orientations": (4,), "velocity": (2,)}), init=False
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Both joints at any angle, at rest."""
        qpos = torch.from_numpy(rng.uniform(-np.pi, np.pi, (n, 2)))
        return State(qpos=qpos, qvel=torch.zeros_like(qpos))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """How the links stand."""
        headings = state.qpos.cumsum(1)
        return Measured(headings.sin(), headings.cos(), state.qvel)

    def observe(self, measured: Measured) -> Tensor:
        """Sines and cosines of the links' angles to the vertical, joint speeds: ``(batch, 6)``."""
        return torch.cat(measured, 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 while the tip is in the target, less away from it; ``(batch,)``."""
        aside = measured.horizontal.sum(1)
        below = _UPRIGHT_HEIGHT - measured.vertical.sum(1)
        distance = torch.linalg.vector_norm(torch.stack([aside, below], 1), dim=1)
        return tolerance(distance, (0, _TARGET_RADIUS), self.margin)

    def terminated(self, measured: Measured) -> None:
        """Acrobot never ends of itself."""
        return None


def swingup() -> Acrobot:
    """Some reward from a metre around the target on."""
    return Acrobot(margin=1.0)


def swingup_sparse() -> Acrobot:
    """Reward within the target only."""
    return Acrobot(margin=0.0)
