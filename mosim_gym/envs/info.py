"""Keys of the info dictionaries, and the infos of one row."""

from __future__ import annotations

from typing import Any

from mosim_gym.data.states import STATE, STATE_BEFORE, SUBSTEPS
from mosim_gym.envs.world import Outcome
from mosim_gym.types import Float64Array

TRUNCATION = "mosim/truncation"


def row_info(outcome: Outcome, row: int) -> dict[str, Any]:
    """The info of one row after a step, with fresh arrays."""
    info: dict[str, Any] = {}
    for key, fields in batch_fields(outcome).items():
        info[key] = row_fields(fields, row)
    if row in outcome.reasons:
        info[TRUNCATION] = outcome.reasons[row].value
    return info


def batch_fields(outcome: Outcome) -> dict[str, dict[str, Float64Array]]:
    """The state fields an outcome carries, by info key."""
    pairs = (
        (STATE, outcome.state),
        (STATE_BEFORE, outcome.state_before),
        (SUBSTEPS, outcome.substeps),
    )
    return {key: fields for key, fields in pairs if fields is not None}


def row_fields(fields: dict[str, Float64Array], row: int) -> dict[str, Float64Array]:
    """One row of batched state fields, copied."""
    return {name: value[row].copy() for name, value in fields.items()}
