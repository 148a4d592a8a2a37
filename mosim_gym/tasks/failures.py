"""Which rows of a `mujoco.batch.Batch` a call has failed in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from mujoco.batch import Batch, SimulationError

from mosim_gym.types import Array


@contextlib.contextmanager
def failing_rows(batch: Batch) -> Iterator[Array]:
    """Watch calls of a batch; the yielded mask ``(nsim,)`` bool is filled when they are over.

    A row has failed where MuJoCo raised, and where it warned of anything: dm_control takes every
    warning for a failure (`Physics.check_invalid_state`).
    """
    # MuJoCo counts anew when it resets a body that has failed, so counts cannot be compared.
    batch.warning[:] = 0
    failed = np.zeros(batch.nsim, dtype=bool)
    try:
        yield failed
    except SimulationError as error:
        failed[error.ids] = True
    failed |= batch.warning.any((1, 2))
