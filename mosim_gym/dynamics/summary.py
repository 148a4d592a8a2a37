"""What a checkpoint says of itself: the schema of its config.json, read without its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.errors import CheckpointError
from mosim_gym.robots.spec import RobotSpec

SCHEMA_VERSION = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "CARD.md"
REMAKE = "Fetch or fit it again: mosim-gym fit DATASET --out CHECKPOINT."


@dataclass(frozen=True, slots=True)
class CheckpointSummary:
    """What a checkpoint says of itself, without its weights.

    Attributes:
        path: its folder.
        spec: the body.
        config: the shape of the model.
        acceptance: figures it was accepted on, among them ``trusted_horizon`` in control steps.
        provenance: what made it: command, seed, versions, data.
    """

    path: Path
    spec: RobotSpec
    config: ModelConfig
    acceptance: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def card(self) -> str:
        """The text of CARD.md; empty if there is none."""
        file = self.path / CARD
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    @property
    def trusted_horizon(self) -> int | None:
        """Control steps after which 90 % of test rollouts were still valid; ``None`` if unknown."""
        value = self.acceptance.get("trusted_horizon")
        return None if value is None else int(value)


def read_summary(path: Path) -> CheckpointSummary:
    """What the checkpoint in folder `path` says of itself.

    Raises:
        CheckpointError: if its config.json is missing, damaged, foreign or newer.
    """
    file = path / CONFIG
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        version = fields["schema_version"]
        if version != SCHEMA_VERSION:
            raise CheckpointError(
                f"{file} has schema_version {version!r}; this version of mosim_gym reads "
                f"{SCHEMA_VERSION}. Install the version that wrote it, or fit it again."
            )
        summary = CheckpointSummary(
            path=path,
            spec=RobotSpec.from_json(fields["robot"]),
            config=ModelConfig.from_json(fields["model"]),
            acceptance=fields["acceptance"],
            provenance=fields["provenance"],
        )
        _check_figures(summary)
        return summary
    except CheckpointError:
        raise
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{file} is not the config of a mosim_gym checkpoint: {error!r}. Expected a folder "
            f"with {WEIGHTS} and {CONFIG}. {REMAKE}"
        ) from error


def _check_figures(summary: CheckpointSummary) -> None:
    for name in ("acceptance", "provenance"):
        if not isinstance(getattr(summary, name), dict):
            raise TypeError(f"{name} is {getattr(summary, name)!r}, not an object")
    trusted = summary.acceptance.get("trusted_horizon")
    if not isinstance(trusted, int | None):
        raise TypeError(f"trusted_horizon is {trusted!r}, not an integer")
