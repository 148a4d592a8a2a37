"""Checkpoints: a folder of model.safetensors, config.json, CARD.md, pictures. Nothing is unpickled.

Written to a temporary folder and renamed into place, so that nothing half-written replaces a good
checkpoint. No dates or host names are stored: the same fit writes the same bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mosim_gym.dynamics.catalogue import find_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.dynamics.summary import (
    CARD,
    CONFIG,
    REMAKE,
    SCHEMA_VERSION,
    WEIGHTS,
    CheckpointSummary,
    read_summary,
)
from mosim_gym.errors import CheckpointError


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
    pictures: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a checkpoint folder, replacing the one at `path` only once it is complete.

    Args:
        path: the folder to make.
        simulator: the model.
        acceptance: figures it was accepted on (JSON values).
        provenance: what made it (JSON values).
        card: the text of CARD.md.
        pictures: PNG files beside it, by name.

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
        with replacing(path) as new:
            tensors = {k: v.detach().cpu().contiguous() for k, v in simulator.state_dict().items()}
            (new / WEIGHTS).write_bytes(save(tensors))
            text = json.dumps(fields, indent=1, sort_keys=True, allow_nan=False)
            (new / CONFIG).write_text(text + "\n", encoding="utf-8")
            (new / CARD).write_text(card, encoding="utf-8")
            for name, picture in (pictures or {}).items():
                (new / name).write_bytes(picture)
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
            f"mosim_gym (pickled .pt or .zip files are never loaded). {REMAKE}"
        ) from error
    simulator = Simulator(summary.spec, summary.config).to(device)
    try:
        simulator.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"{file} does not hold the model that {summary.path / CONFIG} describes: {error}. "
            f"Keep the two files of one checkpoint together. {REMAKE}"
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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A folder to fill, which is put in the place of the checkpoint at `path` once it is left.

    If anything goes wrong before, what was there is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _scratch_beside(path) as folder:
        # Made and written by ordinary calls, so that the user's umask says who may read.
        new = Path(folder) / "new"
        new.mkdir()
        yield new
        _swap(new, path, Path(folder) / "old")


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
