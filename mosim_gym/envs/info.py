"""The infos of one row, and the keys that are not of the data room."""

from __future__ import annotations

from typing import Any

from mosim_gym.envs.world import Outcome, Report

TRUNCATION = "mosim/truncation"


def row_info(outcome: Outcome, row: int) -> dict[str, Any]:
    """The info of one row after a step, with fresh arrays."""
    info = row_report(outcome.report, row)
    if row in outcome.reasons:
        info[TRUNCATION] = outcome.reasons[row].value
    return info


def row_report(report: Report, row: int) -> dict[str, Any]:
    """One row of what a world reports, copied."""
    return {
        key: row_fields(value, row) if isinstance(value, dict) else value[row].copy()
        for key, value in report.items()
    }


def row_fields(fields: dict[str, Any], row: int) -> dict[str, Any]:
    """One row of batched state fields, copied."""
    return {name: value[row].copy() for name, value in fields.items()}
