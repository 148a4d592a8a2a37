"""The vocabulary of the package: states and trajectories as batches of float tensors.

Everything is batch-first, in MuJoCo's order and units (metres, radians, seconds).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Float64Array = NDArray[np.float64]
#: A boolean mask or integer index over the rows of a batch.
Rows = Tensor | Array | slice

FIELDS = ("qpos", "qvel", "act", "context")


@dataclass(frozen=True, slots=True)
class State:
    """The full physical state of a batch of robots.

    Attributes:
        qpos: generalised positions, ``(batch, nq)``.
        qvel: generalised velocities, ``(batch, nv)``.
        act: actuator activations, ``(batch, na)``; ``None`` for bodies without any.
        context: what a task or body needs beyond the above, ``(batch, nc)`` (reacher's target);
            ``None`` where there is nothing of the kind.
    """

    qpos: Tensor
    qvel: Tensor
    act: Tensor | None = None
    context: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that every field is a matrix with the same number of rows."""
        rows = self.qpos.shape[0]
        for value in (self.qpos, self.qvel, self.act, self.context):
            if value is not None and (value.ndim != 2 or value.shape[0] != rows):
                self._complain()

    def __len__(self) -> int:
        """Number of rows."""
        return self.qpos.shape[0]

    def __getitem__(self, rows: Rows) -> State:
        """The given rows, as a batch."""
        return self._map(lambda value: value[rows])

    @property
    def batch_size(self) -> int:
        """Number of rows."""
        return self.qpos.shape[0]

    def items(self) -> list[tuple[str, Tensor]]:
        """The fields that are present, as (name, tensor) pairs in a fixed order."""
        pairs = [(name, getattr(self, name)) for name in FIELDS]
        return [(name, value) for name, value in pairs if value is not None]

    def replace_rows(self, rows: Rows, other: State) -> State:
        """A copy in which `rows` hold the rows of `other`, which has the same fields.

        Raises:
            ValueError: if the fields differ.
        """
        _require_same_fields([self, other])
        fields = {}
        for name, value in self.items():
            fields[name] = value.clone()
            fields[name][rows] = getattr(other, name).to(value)
        return State(**fields)

    def where(self, rows: Tensor, other: State) -> State:
        """These states in `rows` ``(batch,)`` bool, those of `other` elsewhere; differentiable."""
        column = rows.unsqueeze(1)
        return State(
            **{name: torch.where(column, v, getattr(other, name)) for name, v in self.items()}
        )

    def to(self, target: torch.device | torch.dtype | str) -> State:
        """The same state on another device or in another dtype."""
        return self._map(lambda value: value.to(target))

    def detach(self) -> State:
        """The same state, cut off from the autograd graph."""
        return self._map(lambda value: value.detach())

    def isfinite(self) -> Tensor:
        """Which rows are finite in qpos, qvel and act, ``(batch,)`` bool."""
        # A product with zero is NaN exactly where an entry is not finite: one reduction a field.
        probe = (self.qpos * 0).sum(1) + (self.qvel * 0).sum(1)
        if self.act is not None:
            probe = probe + (self.act * 0).sum(1)
        return probe == 0

    def numpy(self) -> dict[str, Float64Array]:
        """Fresh float64 arrays ``(batch, n)`` of the fields that are present."""
        return {
            name: value.detach().cpu().numpy().astype(np.float64, copy=True)
            for name, value in self.items()
        }

    @classmethod
    def from_numpy(
        cls,
        fields: Mapping[str, Any],
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> State:
        """A state from arrays ``(batch, n)`` or, for one row, ``(n,)``; copies.

        Args:
            fields: ``qpos`` and ``qvel``, optionally ``act`` and ``context``; absent, ``None`` and
                zero-width entries mean the field is not there.
            dtype: of the tensors made.
            device: of the tensors made.

        Raises:
            ValueError: if qpos or qvel is missing, or the rows do not match.
        """
        for name in ("qpos", "qvel"):
            if fields.get(name) is None:
                raise ValueError(f"A state needs qpos and qvel; {name} is missing.")
        tensors = {}
        for name in FIELDS:
            value = fields.get(name)
            if value is None or np.shape(value)[-1:] == (0,):
                continue
            array = np.atleast_2d(np.asarray(value, dtype=np.float64))
            tensors[name] = torch.tensor(array, dtype=dtype, device=device)
        return cls(**tensors)

    @classmethod
    def cat(cls, states: list[State]) -> State:
        """The rows of several states, one after the other.

        Raises:
            ValueError: if there are none, or their fields differ.
        """
        if not states:
            raise ValueError("State.cat was given no states; expected one or more.")
        _require_same_fields(states)
        names = [name for name, _ in states[0].items()]
        return cls(**{name: torch.cat([getattr(s, name) for s in states]) for name in names})

    def _complain(self) -> None:
        for name, value in self.items():
            if value.ndim != 2 or value.shape[0] != self.qpos.shape[0]:
                raise ValueError(
                    f"State.{name} has shape {tuple(value.shape)}; expected (batch, n) with "
                    f"batch = {self.qpos.shape[0]}, the number of rows of qpos."
                )

    def _map(self, function: Callable[[Tensor], Tensor]) -> State:
        return State(**{name: function(value) for name, value in self.items()})


def _require_same_fields(states: list[State]) -> None:
    fields = [tuple(name for name, _ in state.items()) for state in states]
    for other in fields[1:]:
        if other != fields[0]:
            raise ValueError(
                f"States with different fields cannot be joined: one has {', '.join(fields[0])}, "
                f"another {', '.join(other)}."
            )


@dataclass(frozen=True, slots=True)
class Trajectory:
    """An open-loop rollout of T control steps from a batch of states.

    One of an ensemble has an axis over its members before those given here.

    Attributes:
        qpos: ``(batch, T + 1, nq)``, the start included.
        qvel: ``(batch, T + 1, nv)``.
        act: ``(batch, T + 1, na)`` or ``None``.
        diverged: ``(batch,)`` bool; such a row repeats its last valid state from there on.
        valid_steps: ``(batch,)`` int64, control steps before it diverged; T for rows that did not.
    """

    qpos: Tensor
    qvel: Tensor
    act: Tensor | None
    diverged: Tensor
    valid_steps: Tensor

    @property
    def horizon(self) -> int:
        """Number of control steps."""
        return self.qpos.shape[-2] - 1
