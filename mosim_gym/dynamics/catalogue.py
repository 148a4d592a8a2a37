"""Where checkpoints are found: by path, or by name among those that ship with the package."""

from __future__ import annotations

import warnings
from pathlib import Path

from mosim_gym.dynamics.summary import CONFIG, WEIGHTS, CheckpointSummary, read_summary
from mosim_gym.errors import CheckpointError, unknown_name

_HUB = "hub:"


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
