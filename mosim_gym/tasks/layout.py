"""How an observation is laid out: named parts in a fixed order, and the orders users ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from mosim_gym.types import Array


class ObsOrder(StrEnum):
    """How the parts of an observation reach the user.

    NATIVE: one flat vector in dm_control's own order (insertion order of its dict).
    SORTED: one flat vector, parts sorted by name, as Shimmy + FlattenObservation gives.
    DICT: a dictionary of the parts.
    """

    NATIVE = "native"
    SORTED = "sorted"
    DICT = "dict"


@dataclass(frozen=True, slots=True)
class ObservationLayout:
    """Names and shapes of the parts of an observation, in native order.

    Attributes:
        shapes: part name to its shape without the batch; ``()`` for a scalar.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def split(self, flat: Array) -> dict[str, Array]:
        """The parts of flat observations.

        Args:
            flat: ``(batch, size)`` in native order.

        Returns:
            Part name to ``(batch, *shape)``, in native order.
        """
        parts, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            parts[name] = flat[:, start:stop].reshape(len(flat), *shape)
            start = stop
        return parts

    def sorted_columns(self) -> Array:
        """Columns of the native vector in the order of the sorted one, ``(size,)`` ints."""
        columns = self.split(np.arange(self.size)[None])
        return np.concatenate([columns[name].ravel() for name in sorted(columns)])

    @classmethod
    def of(cls, observation: Mapping[str, Any]) -> ObservationLayout:
        """The layout of one dm_control observation."""
        return cls({name: np.shape(value) for name, value in observation.items()})
