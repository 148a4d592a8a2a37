"""What a torch-native task provides."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State

#: What a task measures of a state: any structure of tensors ``(batch, ...)``.
M = TypeVar("M")


class Task(Protocol[M]):
    """A task as functions of the state, batched and differentiable, equal to dm_control's.

    As in dm_control, what is measured (where the finger is) is kept apart from what is made of it
    (observation, reward): it is computed once a step, and all three read it.
    """

    @property
    def layout(self) -> ObservationLayout:
        """The parts of its observation."""
        ...

    @property
    def context_size(self) -> int:
        """Entries of ``State.context`` it needs, 0 for none."""
        ...

    @property
    def touch(self) -> tuple[str, ...]:
        """Names of the touch sensors it observes, of those in `RobotSpec.touch`.

        They depend on contact forces, which a state does not hold, so whoever moves the body
        tells their readings.
        """
        ...

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Draw `n` states from the task's own start distribution, float64."""
        ...

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> M:
        """What observation, reward and termination depend on.

        Args:
            state: the state arrived at.
            action: the controls it was reached under, ``(batch, nu)``; zeros after a reset.
            touch: readings of the touch sensors there in newtons, ``(batch, len(self.touch))``;
                ``None`` where the task has none.
        """
        ...

    def observe(self, measured: M) -> Tensor:
        """Observation ``(batch, layout.size)`` in native order."""
        ...

    def reward(self, measured: M) -> Tensor:
        """Reward ``(batch,)`` for arriving at what was measured."""
        ...

    def terminated(self, measured: M) -> Tensor | None:
        """Which rows have ended, ``(batch,)`` bool; ``None`` for a task that never ends."""
        ...
