"""dm_control's cartpole: hold a chain of poles upright on a cart, or swing it up first.

Angles are relative to the link before, 0 upright. Constants are those of
``dm_control/suite/cartpole.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.rewards import Sigmoid, tolerance
from mosim_gym.types import State

_CART_RANGE = (-0.25, 0.25)
_COSINE_RANGE = (0.995, 1.0)


class Measured(NamedTuple):
    """What the task looks at.

    Attributes:
        cart: position of the cart in metres, ``(batch, 1)``.
        vertical: cosine of each pole's angle to the vertical, ``(batch, poles)``.
        horizontal: sine of it.
        qvel: speeds of the cart and the hinges, ``(batch, 1 + poles)``.
        action: force on the cart, ``(batch, 1)``.
    """

    cart: Tensor
    vertical: Tensor
    horizontal: Tensor
    qvel: Tensor
    action: Tensor


@dataclass(frozen=True, slots=True)
class Cartpole:
    """The task.

    Attributes:
        poles: how many there are, one on top of the other.
        hanging: whether an episode starts with the poles hanging, else nearly upright.
        sparse: whether the reward is 0 or 1, else smooth.
    """

    poles: int = 1
    hanging: bool = True
    sparse: bool = False
    context_size: ClassVar[int] = 0
    touch: ClassVar[tuple[str, ...]] = ()

    @property
    def layout(self) -> ObservationLayout:
        """Cart position and each pole's cosine and sine; speeds."""
        return ObservationLayout({"position": (1 + 2 * self.poles,), "velocity": (1 + self.poles,)})

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Hanging or nearly upright, almost at rest."""
        if self.hanging:
            qpos = rng.normal(0, 0.1, (n, 1 + self.poles))
            qpos[:, :2] = rng.normal([0, np.pi], 0.01, (n, 2))
        else:
            qpos = rng.uniform(-0.034, 0.034, (n, 1 + self.poles))
            qpos[:, 0] = rng.uniform(-0.1, 0.1, n)
        qvel = rng.normal(0, 0.01, qpos.shape)
        return State(qpos=torch.from_numpy(qpos), qvel=torch.from_numpy(qvel))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Measured:
        """Where the cart is and how the poles stand."""
        cart, hinges = state.qpos[:, :1], state.qpos[:, 1:]
        headings = hinges if self.poles == 1 else hinges.cumsum(1)
        return Measured(cart, headings.cos(), headings.sin(), state.qvel, action)

    def observe(self, measured: Measured) -> Tensor:
        """Cart position, cosine and sine of each pole, speeds: ``(batch, 2 + 3 * poles)``."""
        poles = torch.stack([measured.vertical, measured.horizontal], 2).flatten(1)
        return torch.cat([measured.cart, poles, measured.qvel], 1)

    def reward(self, measured: Measured) -> Tensor:
        """Poles upright, cart in the middle; the smooth one also wants calm. ``(batch,)``."""
        return self._sparse_reward(measured) if self.sparse else self._smooth_reward(measured)

    def terminated(self, measured: Measured) -> None:
        """Cartpole never ends of itself."""
        return None

    def _sparse_reward(self, measured: Measured) -> Tensor:
        upright = tolerance(measured.vertical, _COSINE_RANGE).prod(1)
        return tolerance(measured.cart[:, 0], _CART_RANGE) * upright

    def _smooth_reward(self, measured: Measured) -> Tensor:
        upright = (measured.vertical.mean(1) + 1) / 2
        centred = (1 + tolerance(measured.cart[:, 0], margin=2)) / 2
        control = measured.action[:, 0]
        small_control = tolerance(control, margin=1, value_at_margin=0, sigmoid=Sigmoid.QUADRATIC)
        small_velocity = tolerance(measured.qvel[:, 1:], margin=5).amin(1)
        return upright * ((4 + small_control) / 5) * ((1 + small_velocity) / 2) * centred


def balance() -> Cartpole:
    """One pole, from nearly upright."""
    return Cartpole(hanging=False)


def balance_sparse() -> Cartpole:
    """One pole, from nearly upright, reward 0 or 1."""
    return Cartpole(hanging=False, sparse=True)


def swingup() -> Cartpole:
    """One pole, from hanging."""
    return Cartpole()


def swingup_sparse() -> Cartpole:
    """One pole, from hanging, reward 0 or 1."""
    return Cartpole(sparse=True)


def two_poles() -> Cartpole:
    """Two poles, from hanging."""
    return Cartpole(poles=2)


def three_poles() -> Cartpole:
    """Three poles, from hanging."""
    return Cartpole(poles=3)
