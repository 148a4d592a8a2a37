"""What a torch-native task provides."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State


class Task(Protocol):
    """A task as a function of the state, batched and differentiable, equal to dm_control's.

    Attributes:
        layout: the parts of its observation.
        context_size: entries of ``State.context`` it needs, 0 for none.
    """

    layout: ObservationLayout
    context_size: int

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        """Draw `n` states from the task's own start distribution, float64."""
        ...

    def observe(self, state: State) -> Tensor:
        """Observation ``(batch, layout.size)`` in native order."""
        ...

    def reward(self, state: State, action: Tensor) -> Tensor:
        """Reward ``(batch,)`` for arriving in `state` under `action` ``(batch, nu)``."""
        ...

    def terminated(self, state: State) -> Tensor | None:
        """Which rows have ended, ``(batch,)`` bool; ``None`` for a task that never ends."""
        ...
