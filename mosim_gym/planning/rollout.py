"""What becomes of action sequences: the returns of one batched rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.base import Task
from mosim_gym.types import State

#: The return of a rollout that diverged: below any other, and finite, so that it can be averaged.
WORST = -1e30

#: What a last state is worth beyond the horizon, ``(batch,)``, in units of the reward.
TerminalValue = Callable[[State], Tensor]


class Dynamics(Protocol):
    """What moves the body in a planner's mind: `Simulator`, `TrueSimulator` or one's own."""

    @property
    def spec(self) -> RobotSpec:
        """The body."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The float type of its states."""
        ...

    @property
    def device(self) -> torch.device:
        """Where its states are."""
        ...

    def step(self, state: State, action: Tensor) -> State:
        """The states one control step later, under controls ``(batch, nu)``."""
        ...

    def is_valid(self, state: State) -> Tensor:
        """Which rows have not diverged, ``(batch,)`` bool."""
        ...


def rollout_returns(
    dynamics: Dynamics,
    task: Task[Any],
    start: State,
    actions: Tensor,
    terminal: TerminalValue | None = None,
) -> Tensor:
    """Undiscounted returns of open-loop rollouts, ``(batch,)``; `WORST` for those that diverge.

    Args:
        dynamics: moves all rows in one call a step.
        task: rewards the states arrived at; after it has ended a row, nothing counts.
        start: ``(batch, n)`` fields.
        actions: ``(batch, horizon, nu)``.
        terminal: the value of the last states, nothing by default.
    """
    state, total = start, actions.new_zeros(len(start))
    lost = torch.zeros_like(total, dtype=torch.bool)
    ended: Tensor | None = None
    # Touch is observed, and no reward depends on it.
    touch = actions.new_zeros(len(start), len(task.touch)) if task.touch else None
    for action in actions.unbind(1):
        state = dynamics.step(state, action)
        lost |= ~dynamics.is_valid(state)
        measured = task.measure(state, action, touch)
        total = total + _while_running(task.reward(measured), ended)
        now = task.terminated(measured)
        if now is not None:
            ended = now if ended is None else ended | now
    if terminal is not None:
        total = total + _while_running(terminal(state), ended)
    return torch.where(lost | ~total.isfinite(), WORST, total)


def _while_running(value: Tensor, ended: Tensor | None) -> Tensor:
    return value if ended is None else torch.where(ended, 0.0, value)
