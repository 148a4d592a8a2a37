"""Actions that arrive some control steps after they were chosen, as on a bus or a network.

What follows from a state then depends on the actions under way, too. An agent that is told them
(``observe_pending``) decides on a Markov state again (Katsikopoulos & Engelbrecht, Markov decision
processes with delays and asynchronous cost collection, 2003).
"""

from __future__ import annotations

import numpy as np

from mosim_gym.errors import MosimError
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import Array, Float64Array

#: Part of an observation: the actions on their way, the next to arrive first.
PENDING = "pending_actions"


class ActionDelay:
    """Holds the actions of all rows back.

    Until the first action of an episode arrives the controls are those at rest.

    Args:
        steps: control steps from choice to arrival; 0 for none.
        rows: number of rows.
        rest: controls, ``(nu,)``.
        observed: whether observations end with what is on its way.

    Raises:
        MosimError: if `steps` is no whole number of 0 or more, or 0 where it is observed.
    """

    def __init__(self, steps: int, rows: int, rest: Float64Array, observed: bool = False) -> None:
        """See the class."""
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
            raise MosimError(f"action_delay is {steps!r}; expected a whole number of 0 or more.")
        if observed and not steps:
            raise MosimError(
                "observe_pending=True needs action_delay=1 or more: without a delay no action is "
                "on its way."
            )
        self.steps, self._observed = int(steps), observed
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

    def layout(self, plain: ObservationLayout) -> ObservationLayout:
        """How observations are laid out that are `plain` but for what is on its way."""
        if not self._observed:
            return plain
        return ObservationLayout({**plain.shapes, PENDING: (self.steps, len(self._rest))})

    def observation(self, plain: Array) -> Array:
        """Observations ``(rows, d)``, with what is on its way where it is observed."""
        if not self._observed:
            return plain
        waiting = self._waiting.swapaxes(0, 1).reshape(len(plain), -1)
        return np.concatenate([plain, waiting.astype(plain.dtype)], 1)
