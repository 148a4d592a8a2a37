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

    Attributes:
        layout: the parts of its observation.
        context_size: entries of ``State.context`` it needs, 0 for none.
    """

    layout: ObservationLayout
    context_size: int

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Draw `n` states from the task's own start distribution, float64."""
        ...

    def measure(self, state: State) -> M:
        """What observation, reward and termination depend on."""
        ...

    def observe(self, measured: M) -> Tensor:
        """Observation ``(batch, layout.size)`` in native order."""
        ...

    def reward(self, measured: M, action: Tensor) -> Tensor:
        """Reward ``(batch,)`` for arriving at what was measured under `action` ``(batch, nu)``."""
        ...

    def terminated(self, measured: M) -> Tensor | None:
        """Which rows have ended, ``(batch,)`` bool; ``None`` for a task that never ends."""
        ...
