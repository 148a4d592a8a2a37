"""dm_control's ball_in_cup: swing a ball on a string into the cup it hangs from, in a plane.

qpos is the cup's (x, z) and the ball's, each from its own place at rest. Constants are those of
``dm_control/suite/ball_in_cup.xml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.banks import draw_from_bank
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State

# At rest, the middle of the cup is so far above the ball.
_HEIGHT = 0.6 - 0.05 - 0.2
# Half the width of the cup less the ball's radius.
_PLAY = 0.05 - 0.025


class Measured(NamedTuple):
    """Positions and velocities of cup and ball, and the ball's distance from the cup's middle.

    The distance is along x and along z, each ``(batch,)`` in metres.
    """

    qpos: Tensor
    qvel: Tensor
    aside: Tensor
    above: Tensor


@dataclass(frozen=True, slots=True)
class BallInCup:
    """The task."""

    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()
    layout: ObservationLayout = field(
        default=ObservationLayout({"position": (4,), "velocity": (4,)}), init=False
    )

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Cup at rest in its place, ball anywhere around where it does not touch the cup."""
        return draw_from_bank("ball_in_cup", n, rng)

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where the ball is, seen from the cup."""
        offset = state.qpos[:, 2:] - state.qpos[:, :2]
        return Measured(state.qpos, state.qvel, offset[:, 0].abs(), (offset[:, 1] - _HEIGHT).abs())

    def observe(self, measured: Measured) -> Tensor:
        """Positions and velocities: ``(batch, 8)``."""
        return torch.cat([measured.qpos, measured.qvel], 1)

    def reward(self, measured: Measured) -> Tensor:
        """1 while the ball is in the cup, else 0; ``(batch,)``."""
        farther = torch.maximum(measured.aside, measured.above)
        return (farther < _PLAY).to(farther.dtype)

    def terminated(self, measured: Measured) -> None:
        """The task never ends of itself."""
        return None


def catch() -> BallInCup:
    """The only task there is."""
    return BallInCup()
