"""Why an episode is cut short."""

from __future__ import annotations

from enum import StrEnum


class Truncation(StrEnum):
    """The values of ``info["mosim/truncation"]``.

    HORIZON: the model has been followed for as many steps as it is trusted.
    UNCERTAINTY: the model is not sure of where this leads.
    DIVERGED: the dynamics left the finite or plausible; the last good observation is returned.
    TIME_LIMIT: `max_episode_steps` of the vector and SB3 faces.
    """

    HORIZON = "horizon"
    UNCERTAINTY = "uncertainty"
    DIVERGED = "diverged"
    TIME_LIMIT = "time_limit"
