"""Actions that arrive some control steps after they were chosen, as on a bus or a network."""

from __future__ import annotations

import numpy as np

from mosim_gym.errors import MosimError
from mosim_gym.types import Array, Float64Array


class ActionDelay:
    """Holds the actions of all rows back.

    Until the first action of an episode arrives the controls are those at rest.

    Args:
        steps: control steps from choice to arrival; 0 for none.
        rows: number of rows.
        rest: controls, ``(nu,)``.

    Raises:
        MosimError: if `steps` is no whole number of 0 or more.
    """

    def __init__(self, steps: int, rows: int, rest: Float64Array) -> None:
        """See the class."""
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
            raise MosimError(f"action_delay is {steps!r}; expected a whole number of 0 or more.")
        self.steps = int(steps)
        self._rest = rest
        self._waiting = np.tile(self._rest, (self.steps, rows, 1))

    def begin(self, rows: Array) -> None:
        """Forget what was on its way in `rows`, whose episodes begin."""
        self._waiting[:, rows] = self._rest

    def __call__(self, chosen: Float64Array) -> Float64Array:
        """What arrives now, ``(rows, nu)``, as this is chosen."""
        if not self.steps:
            return chosen
        arriving = self._waiting[0].copy()
        self._waiting[:-1] = self._waiting[1:]
        self._waiting[-1] = chosen
        return arriving
