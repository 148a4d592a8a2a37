"""Episodes cut into batches of torch tensors: transitions and windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from mosim_gym.data.episode import Episode
from mosim_gym.types import FIELDS, Array, Float64Array, State


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Pairs of consecutive states, float64.

    Attributes:
        state: before the step, N rows.
        action: ``(N, nu)``.
        reward: ``(N,)``; of the control step a physics step belongs to.
        next_state: after the step, N rows.
        terminated: ``(N,)`` bool, whether the task ended at `next_state`.
        touch: readings of the touch sensors at `next_state` in newtons, ``(N, ns)``; ``None``
            where none were recorded, and between the physics steps of a control step.
    """

    state: State
    action: Tensor
    reward: Tensor
    next_state: State
    terminated: Tensor
    touch: Tensor | None = None

    def __len__(self) -> int:
        """Number of transitions."""
        return len(self.state)

    def __repr__(self) -> str:
        """Sizes only."""
        return f"Transitions({len(self)}, {_fields(self.state)}, nu {self.action.shape[1]})"


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Stretches of h control steps, each within one episode, float64.

    Attributes:
        start: the first state of each, N rows.
        actions: ``(N, h, nu)``.
        qpos: ``(N, h + 1, nq)``, the start included.
        qvel: ``(N, h + 1, nv)``.
        act: ``(N, h + 1, na)`` or ``None``.
        touch: ``(N, h + 1, ns)`` in newtons, or ``None``.
    """

    start: State
    actions: Tensor
    qpos: Tensor
    qvel: Tensor
    act: Tensor | None
    touch: Tensor | None = None

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.start)

    @property
    def horizon(self) -> int:
        """Number of control steps in each window."""
        return self.actions.shape[1]

    def __repr__(self) -> str:
        """Sizes only."""
        return f"Windows({len(self)} of {self.horizon} steps, {_fields(self.start)})"


def transitions(episodes: Sequence[Episode]) -> Transitions:
    """Every control step of the episodes; `next_state` of one is `state` of the following."""
    ends = [_last_only(len(e), e.terminated) for e in episodes]
    touch = [e.touch[1:] for e in episodes if e.touch is not None]
    return Transitions(
        state=_states(episodes, slice(None, -1)),
        action=_join([e.action for e in episodes]),
        reward=_join([e.reward for e in episodes]),
        next_state=_states(episodes, slice(1, None)),
        terminated=_join(ends),
        touch=_join(touch) if touch else None,
    )


def substep_transitions(episodes: Sequence[Episode]) -> Transitions:
    """Every physics step of episodes recorded with substeps; actions and rewards repeated."""
    before: dict[str, list[Array]] = {}
    after: dict[str, list[Array]] = {}
    for episode in episodes:
        n = _count(episode)
        for name in ("qpos", "qvel", "act"):
            states, inner = getattr(episode, name), getattr(episode, f"substep_{name}")
            if states is None:
                continue
            chain = np.concatenate([states[:-1, None], inner], axis=1)
            before.setdefault(name, []).append(chain[:, :-1].reshape(-1, states.shape[1]))
            after.setdefault(name, []).append(inner.reshape(-1, states.shape[1]))
        if episode.context is not None:
            # The context changes between control steps only.
            rows = np.repeat(episode.context[:-1], n, axis=0)
            before.setdefault("context", []).append(rows)
            last = np.arange(1, len(rows) + 1) % n == 0
            following = np.repeat(episode.context[1:], n, axis=0)
            after.setdefault("context", []).append(np.where(last[:, None], following, rows))
    return Transitions(
        state=State(**{name: _join(parts) for name, parts in before.items()}),
        action=_join([np.repeat(e.action, _count(e), axis=0) for e in episodes]),
        reward=_join([np.repeat(e.reward, _count(e)) for e in episodes]),
        next_state=State(**{name: _join(parts) for name, parts in after.items()}),
        terminated=_join([_last_only(len(e) * _count(e), e.terminated) for e in episodes]),
    )


def windows(episodes: Sequence[Episode], horizon: int, stride: int) -> Windows:
    """Windows of `horizon` steps, every `stride` steps; episodes shorter than one are left out."""
    long_enough = [e for e in episodes if len(e) >= horizon]

    def cut(name: str, length: int) -> Tensor | None:
        if getattr(long_enough[0], name) is None:
            return None
        views = [
            sliding_window_view(getattr(e, name), length, axis=0)[::stride] for e in long_enough
        ]
        # The view has the window axis last.
        return _join([np.moveaxis(view, -1, 1) for view in views])

    qpos, qvel = cut("qpos", horizon + 1), cut("qvel", horizon + 1)
    actions, act = cut("action", horizon), cut("act", horizon + 1)
    assert qpos is not None and qvel is not None and actions is not None
    context = cut("context", horizon + 1)
    start = State(
        qpos=qpos[:, 0].clone(),
        qvel=qvel[:, 0].clone(),
        act=None if act is None else act[:, 0].clone(),
        context=None if context is None else context[:, 0].clone(),
    )
    touch = cut("touch", horizon + 1)
    return Windows(start=start, actions=actions, qpos=qpos, qvel=qvel, act=act, touch=touch)


def states(episodes: Sequence[Episode], *, first_only: bool = False) -> State:
    """Every recorded state of the episodes, or the first of each."""
    return _states(episodes, slice(0, 1) if first_only else slice(None))


def _states(episodes: Sequence[Episode], rows: slice) -> State:
    present = [name for name in FIELDS if getattr(episodes[0], name) is not None]
    return State(**{name: _join([getattr(e, name)[rows] for e in episodes]) for name in present})


def _join(parts: Sequence[Array | Float64Array]) -> Tensor:
    # concatenate copies, so the tensors never share memory with the episodes.
    return torch.from_numpy(np.concatenate(parts))


def _count(episode: Episode) -> int:
    assert episode.substep_qpos is not None
    return int(episode.substep_qpos.shape[1])


def _last_only(length: int, value: bool) -> Array:
    flags = np.zeros(length, dtype=np.bool_)
    flags[-1] = value
    return flags


def _fields(state: State) -> str:
    return ", ".join(f"{name} {value.shape[1]}" for name, value in state.items())
