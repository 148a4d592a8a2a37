"""metadata.json: what a dataset folder says about itself."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mosim_gym.errors import DatasetError, MosimError
from mosim_gym.files import write_text_atomically
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.versions import installed_versions

SCHEMA_VERSION = 1
FILE_NAME = "metadata.json"
_REDO = "Point to a folder written by `mosim-gym collect` or by a Recorder."


@dataclass(frozen=True)
class Metadata:
    """How a dataset came about.

    Attributes:
        robot: the body that moved.
        source: the environment or log it was recorded from.
        policy: what acted.
        seed: with the episode's number it determines an episode; ``None`` if not seeded.
        noise: standard deviation of the Gaussian noise added to recorded qpos and qvel.
        substeps: whether the states after each physics step are stored too.
        max_episode_steps: where collection cut episodes, besides the environment's own ends.
        versions: of the packages that wrote it; not compared when a recording goes on.
        schema_version: of the files; this version writes 1.
    """

    robot: RobotSpec
    source: str
    policy: str
    seed: int | None = None
    noise: float = 0.0
    substeps: bool = False
    max_episode_steps: int | None = None
    versions: Mapping[str, str] = field(default_factory=installed_versions, compare=False)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise DatasetError(f"noise is {self.noise!r}; expected a finite number >= 0.")
        if self.seed is not None and self.seed < 0:
            raise DatasetError(f"seed is {self.seed!r}; expected an integer >= 0, or None.")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives the metadata back."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["versions"] = dict(self.versions)
        return fields | {"robot": self.robot.to_json()}

    @classmethod
    def from_json(cls, fields: Any, where: str) -> Metadata:
        """Metadata from what `to_json` gave; `where` names the file in errors.

        Raises:
            DatasetError: for a newer schema, or what is no metadata of ours.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("schema_version"), int):
            raise DatasetError(
                f"{where} is not the metadata of a mosim_gym dataset (no schema_version). {_REDO}"
            )
        if fields["schema_version"] > SCHEMA_VERSION:
            raise DatasetError(
                f"{where} has schema_version {fields['schema_version']}, this mosim_gym reads up "
                f"to {SCHEMA_VERSION}. Upgrade mosim_gym."
            )
        known = {f.name for f in dataclasses.fields(cls)}
        try:
            values = {name: value for name, value in fields.items() if name in known}
            values["robot"] = RobotSpec.from_json(fields["robot"])
            return cls(**values)
        except (KeyError, TypeError, MosimError) as error:
            raise DatasetError(f"{where} is incomplete or foreign: {error}. {_REDO}") from error

    def differences(self, other: Metadata) -> list[str]:
        """What sets `other` apart in how it was recorded, one phrase each; versions aside."""
        found = []
        # Through JSON and back, so that a spec in memory equals the same spec read from a file.
        if json.dumps(self.robot.to_json()) != json.dumps(other.robot.to_json()):
            found.append(
                f"robot {self.robot.name} (fingerprint {self.robot.fingerprint}) / "
                f"{other.robot.name} (fingerprint {other.robot.fingerprint})"
            )
        for name in ("source", "policy", "seed", "noise", "substeps", "max_episode_steps"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                found.append(f"{name} {mine!r} / {theirs!r}")
        return found


def write_metadata(folder: Path, metadata: Metadata) -> None:
    """Write ``metadata.json`` into a folder, atomically."""
    text = json.dumps(metadata.to_json(), indent=2) + "\n"
    write_text_atomically(folder / FILE_NAME, text, DatasetError)


def read_metadata(folder: Path) -> Metadata:
    """Read the ``metadata.json`` of a dataset folder.

    Raises:
        DatasetError: if it is missing, no JSON, foreign or of a newer schema.
    """
    path = folder / FILE_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"No dataset at {folder}: {FILE_NAME} is missing. {_REDO}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"Cannot read {path}: {error}. {_REDO}") from error
    return Metadata.from_json(fields, str(path))
