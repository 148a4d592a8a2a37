"""Checkpoints: a folder of model.safetensors, config.json and CARD.md. Nothing is ever unpickled.

Written to a temporary folder and renamed into place, so that nothing half-written replaces a good
checkpoint. No dates or host names are stored: the same fit writes the same bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import CheckpointError, unknown_name
from mosim_gym.robots.spec import RobotSpec

SCHEMA_VERSION = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "CARD.md"
_HUB = "hub:"
_REMAKE = "Fetch or fit it again: mosim-gym fit DATASET --out CHECKPOINT."


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


@dataclass(frozen=True, slots=True)
class Checkpoint(CheckpointSummary):
    """A checkpoint with its model.

    Attributes:
        simulator: the model, in evaluation mode, weights frozen.
    """

    simulator: Simulator = field(kw_only=True)


def save_checkpoint(
    path: str | Path,
    simulator: Simulator,
    *,
    acceptance: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str,
) -> Path:
    """Write a checkpoint folder, replacing the one at `path` only once it is complete.

    Args:
        path: the folder to make.
        simulator: the model.
        acceptance: figures it was accepted on (JSON values).
        provenance: what made it (JSON values).
        card: the text of CARD.md.

    Raises:
        CheckpointError: if it cannot be written; what was there is kept.
    """
    path = Path(path)
    fields = {
        "schema_version": SCHEMA_VERSION,
        "robot": simulator.spec.to_json(),
        "model": simulator.config.to_json(),
        "acceptance": dict(acceptance),
        "provenance": dict(provenance),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _scratch_beside(path) as folder:
            scratch = Path(folder)
            # Made and written by ordinary calls, so that the user's umask says who may read.
            new = scratch / "new"
            new.mkdir()
            tensors = {k: v.detach().cpu().contiguous() for k, v in simulator.state_dict().items()}
            (new / WEIGHTS).write_bytes(save(tensors))
            text = json.dumps(fields, indent=1, sort_keys=True, allow_nan=False)
            (new / CONFIG).write_text(text + "\n", encoding="utf-8")
            (new / CARD).write_text(card, encoding="utf-8")
            _swap(new, path, scratch / "old")
    except OSError as error:
        raise CheckpointError(
            f"Cannot write a checkpoint to {path}: {error}. What was there is kept; "
            "choose a folder you may write to, on a disk with room."
        ) from error
    return path


def load_checkpoint(name_or_path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Load a checkpoint with its model.

    Args:
        name_or_path: a folder, or the name of a shipped checkpoint ("reacher").
        device: where to put the model.

    Raises:
        CheckpointError: if it is not a checkpoint, is damaged, or a newer version wrote it.
        UnknownNameError: if there is none of that name.
    """
    summary = read_summary(find_checkpoint(name_or_path))
    file = summary.path / WEIGHTS
    try:
        tensors = load_file(file, device=str(device))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{file} cannot be read: {error}. Expected a complete safetensors file written by "
            f"mosim_gym (pickled .pt or .zip files are never loaded). {_REMAKE}"
        ) from error
    simulator = Simulator(summary.spec, summary.config).to(device)
    try:
        simulator.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"{file} does not hold the model that {summary.path / CONFIG} describes: {error}. "
            f"Keep the two files of one checkpoint together. {_REMAKE}"
        ) from error
    simulator.eval().requires_grad_(False)
    return Checkpoint(
        summary.path,
        summary.spec,
        summary.config,
        summary.acceptance,
        summary.provenance,
        simulator=simulator,
    )


def load_simulator(name_or_path: str | Path, device: torch.device | str = "cpu") -> Simulator:
    """Load only the model of a checkpoint; see `load_checkpoint`."""
    return load_checkpoint(name_or_path, device).simulator


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
            f"with {WEIGHTS} and {CONFIG}. {_REMAKE}"
        ) from error


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The folder of a checkpoint: an existing path, else a shipped name.

    Raises:
        CheckpointError: for what is neither name nor path, for a path that is a file, and for
            ``hub:`` names (reserved).
        UnknownNameError: listing the shipped names.
    """
    if not isinstance(name_or_path, str | Path):
        raise CheckpointError(
            f"A checkpoint was given as {name_or_path!r} ({type(name_or_path).__name__}); expected "
            'the name of a shipped one ("reacher") or the path of a folder, as str or Path.'
        )
    text = str(name_or_path)
    if text.startswith(_HUB):
        raise CheckpointError(
            f"Checkpoint {text!r}: names that start with 'hub:' are reserved for a model hub, "
            "which is not built yet. Give a folder or a shipped name."
        )
    path = Path(name_or_path)
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file; a checkpoint is a folder with {WEIGHTS} and {CONFIG}. "
            "Give the folder (pickled .pt or .zip files are never loaded)."
        )
    # A bare name that happens to match an unrelated folder here still means the shipped one.
    if path.is_dir() and ((path / CONFIG).exists() or path.name != text):
        return path
    shipped = {folder.name: folder for folder in _shipped_folders()}
    if text in shipped:
        return shipped[text]
    if path.is_dir():
        return path
    hint = (
        "Or give the path of a checkpoint folder, made by: mosim-gym fit DATASET --out CHECKPOINT."
    )
    raise unknown_name("checkpoint", text, shipped, hint)


def list_checkpoints(folder: str | Path | None = None) -> list[CheckpointSummary]:
    """The checkpoints in `folder`, by default the shipped ones, by name.

    Warns:
        UserWarning: for each one whose config.json cannot be read; it is left out.
    """
    folders = _shipped_folders() if folder is None else _checkpoint_folders(Path(folder))
    summaries = []
    for path in folders:
        try:
            summaries.append(read_summary(path))
        except CheckpointError as error:
            warnings.warn(f"A checkpoint is left out. {error}", stacklevel=2)
    return summaries


def require_replaceable(path: Path) -> None:
    """Raise unless a checkpoint may be put at `path`: nothing, an empty folder or a checkpoint.

    Raises:
        CheckpointError: if something else is there.
    """
    is_checkpoint = (path / CONFIG).is_file()
    if path.exists() and not is_checkpoint and not (path.is_dir() and not any(path.iterdir())):
        raise CheckpointError(
            f"{path} exists and is not a checkpoint; it will not be replaced. "
            "Choose another folder for the checkpoint, or move what is there."
        )


def _shipped_folders() -> list[Path]:
    package = Path(__file__).resolve().parents[1]
    inside_wheel = package / "_checkpoints"
    beside_package = package.parent / "checkpoints"
    return _checkpoint_folders(inside_wheel if inside_wheel.is_dir() else beside_package)


def _checkpoint_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in found if (path / CONFIG).is_file())


def _check_figures(summary: CheckpointSummary) -> None:
    for name in ("acceptance", "provenance"):
        if not isinstance(getattr(summary, name), dict):
            raise TypeError(f"{name} is {getattr(summary, name)!r}, not an object")
    trusted = summary.acceptance.get("trusted_horizon")
    if not isinstance(trusted, int | None):
        raise TypeError(f"trusted_horizon is {trusted!r}, not an integer")


def _scratch_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder on the disk of `path`, removed with all that is left in it."""
    return tempfile.TemporaryDirectory(
        prefix=f".{path.name}-", suffix=".tmp", dir=path.parent, ignore_cleanup_errors=True
    )


def _swap(new: Path, path: Path, aside: Path) -> None:
    """Rename `new` to `path`; what was there is moved to `aside` first and back on failure."""
    if not path.exists():
        os.rename(new, path)
        return
    require_replaceable(path)
    try:
        os.rename(path, aside)
        os.rename(new, path)
    except BaseException:  # Ctrl-C too
        if not path.exists():
            os.rename(aside, path)
        raise
