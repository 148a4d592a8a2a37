"""Gymnasium spaces of a world, and observations brought into the order the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.layout import ObservationLayout, ObsOrder
from mosim_gym.types import Array

Observation = Array | dict[str, Array]


@dataclass(frozen=True, slots=True)
class ObservationFormat:
    """Observations as float32, flat or as a dictionary."""

    layout: ObservationLayout
    order: ObsOrder

    @property
    def space(self) -> spaces.Space[Any]:
        """The space of one observation; dm_control bounds none."""
        if self.order is ObsOrder.DICT:
            # A scalar becomes a vector of one: SB3's MultiInputPolicy cannot take less.
            return spaces.Dict(
                {name: _unbounded(shape or (1,)) for name, shape in self.layout.shapes.items()}
            )
        return _unbounded((self.layout.size,))

    def pack(self, flat: Array) -> Observation:
        """A fresh batch of observations.

        Args:
            flat: ``(batch, size)`` in native order.

        Returns:
            float32 ``(batch, size)``, or a dictionary of ``(batch, *shape)``, where a scalar is
            ``(batch, 1)``.
        """
        if self.order is ObsOrder.SORTED:
            flat = flat[:, self.layout.sorted_columns()]
        packed = flat.astype(np.float32)
        if self.order is ObsOrder.DICT:
            parts = self.layout.split(packed)
            return {
                name: parts[name].reshape(len(flat), *(self.layout.shapes[name] or (1,))).copy()
                for name in sorted(parts)
            }
        return packed


def row_of(observation: Observation, row: int) -> Any:
    """One row of a batch of observations, as its own array or dictionary of arrays."""
    if isinstance(observation, dict):
        return {name: part[row].copy() for name, part in observation.items()}
    return observation[row].copy()


def action_space(robot: RobotSpec) -> spaces.Box:
    """The space of one action: the control ranges."""
    return spaces.Box(
        robot.action_low.astype(np.float32), robot.action_high.astype(np.float32), dtype=np.float32
    )


def _unbounded(shape: tuple[int, ...]) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape, dtype=np.float32)
