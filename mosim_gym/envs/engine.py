"""What moves the bodies of a `World`: a learned model or true physics, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import Array, Float64Array

#: A number, or dm_control's own kind of generator.
Seed = int | np.random.RandomState
#: Any of qpos, qvel, act, context, each ``(rows, n)``.
Fields = Mapping[str, Float64Array]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one step of every row gave.

    Attributes:
        observation: ``(n, layout.size)`` in native order.
        reward: ``(n,)``.
        terminated: ``(n,)`` bool.
        diverged: ``(n,)`` bool; such a row keeps its last finite state, its reward is 0.
        doubt: ``(n,)`` scores of the steps, the larger the less they are to be trusted; ``None``
            unless asked for.
    """

    observation: Array
    reward: Array
    terminated: Array
    diverged: Array
    doubt: Float64Array | None = None


class Engine(Protocol):
    """A batch of bodies with their task.

    Attributes:
        robot: the body.
        layout: the parts of an observation, in native order.
        context_size: entries of ``State.context``, 0 for none.
        num_envs: number of rows.
    """

    robot: RobotSpec
    layout: ObservationLayout
    context_size: int
    num_envs: int

    def seed(self, rows: Sequence[int], seeds: Sequence[Seed]) -> None:
        """Seed the given rows, where rows have random numbers of their own."""
        ...

    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows` (ints): the task's own draw, then what is `given`."""
        ...

    def step(self, action: Float64Array) -> Reading:
        """One control step of every row under finite, clipped actions ``(n, nu)``."""
        ...

    def observe(self) -> Array:
        """Current observations ``(n, layout.size)`` in native order."""
        ...

    def state(self) -> dict[str, Float64Array]:
        """Fresh arrays of the current states, ``(n, .)`` each."""
        ...

    def touch(self) -> Float64Array | None:
        """Fresh readings of the body's touch sensors in newtons ``(n, ns)``, if they are known."""
        ...

    def substeps(self) -> dict[str, Float64Array]:
        """States after each physics step of the last control step, ``(n, n_substeps, .)``."""
        ...
