"""What a checkpoint knows of its own trustworthiness, on disk beside its weights; no pickle.

``uncertainty.json`` and ``uncertainty.safetensors``, and with members the whole checkpoints
``member-1``, ``member-2``, ...; the folder's own model is member 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.summary import WEIGHTS, read_summary
from mosim_gym.errors import CheckpointError
from mosim_gym.files import write_atomically, write_json
from mosim_gym.uncertainty.calibration import Calibration, Score
from mosim_gym.uncertainty.density import Density, DensityConfig
from mosim_gym.uncertainty.disagreement import Disagreement
from mosim_gym.uncertainty.spread import Spread

SCHEMA_VERSION = 2  # 1: other scores of spread
FACTS, TENSORS, MEMBER = "uncertainty.json", "uncertainty.safetensors", "member-"


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What tells when not to trust a model.

    Attributes:
        density: of the data.
        disagreement: of the members; ``None`` for a single model.
        spread: of their futures; likewise.
        calibrations: the held-out scores of each of them.
        facts: what it was made from (JSON values).
    """

    density: Density
    disagreement: Disagreement | None
    spread: Spread | None
    calibrations: Mapping[Score, Calibration]
    facts: Mapping[str, Any] = field(default_factory=dict)


def save_uncertainty(path: Path, uncertainty: Uncertainty, members: tuple[Path, ...]) -> None:
    """Write it into the checkpoint folder `path`, in the place of what was there.

    It is written aside and moved in once it is complete.

    Args:
        path: a checkpoint.
        uncertainty: of its model.
        members: the folders of the other members, which are copied; none for a single model. They
            may be those that `path` has already.

    Raises:
        CheckpointError: if it cannot be written; what was there is kept.
    """
    try:
        with tempfile.TemporaryDirectory(
            prefix=".uncertainty-", suffix=".tmp", dir=path, ignore_cleanup_errors=True
        ) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            new.mkdir()
            old.mkdir()
            for k, member in enumerate(members, 1):
                shutil.copytree(member, new / f"{MEMBER}{k}", ignore=_not_of_a_member)
            _write(new, uncertainty, len(members), digest(path))
            _move_in(new, path, old)
    except OSError as error:
        raise CheckpointError(
            f"Cannot write into the checkpoint {path}: {error}. What was there is kept; give "
            "--out, a folder for a copy that you may write to, on a disk with room."
        ) from error


def members_in(path: Path) -> tuple[Path, ...]:
    """The folders of the other members that the checkpoint in folder `path` holds, in order."""
    found = {
        int(folder.name.removeprefix(MEMBER)): folder
        for folder in path.glob(f"{MEMBER}*")
        if folder.is_dir() and folder.name.removeprefix(MEMBER).isdecimal()
    }
    return tuple(found[k] for k in sorted(found))


def _write(new: Path, uncertainty: Uncertainty, members: int, weights: str) -> None:
    density = uncertainty.density
    tensors = {f"density.{name}": value for name, value in density.state_dict().items()}
    for score, calibration in uncertainty.calibrations.items():
        tensors[f"scores.{score}"] = torch.from_numpy(calibration.scores)
    if uncertainty.disagreement is not None and uncertainty.spread is not None:
        tensors["increment_scale"] = uncertainty.disagreement.scale
        tensors["state_scale"] = uncertainty.spread.scale
    packed = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
    write_atomically(new / TENSORS, lambda file: file.write(packed), CheckpointError)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "weights": weights,
        "members": members,
        "member_weights": [digest(folder) for folder in members_in(new)],
        "density": density.config.to_json(),
        "made_from": dict(uncertainty.facts),
    }
    write_json(new / FACTS, facts)


def _move_in(new: Path, path: Path, old: Path) -> None:
    """Move all of `new` to `path`; what was there goes to `old` first, and back on failure."""
    # Without the facts nothing of the rest is looked at: first to go and last to come.
    names = [FACTS, TENSORS, *(folder.name for folder in members_in(path))]
    moves = [(path / name, old / name) for name in names if (path / name).exists()]
    names = sorted((entry.name for entry in new.iterdir()), key=lambda name: name == FACTS)
    moves += [(new / name, path / name) for name in names]
    try:
        for start, end in moves:
            os.rename(start, end)
    except BaseException:  # Ctrl-C too
        for start, end in reversed(moves):
            if not start.exists():
                os.rename(end, start)
        raise


def load_uncertainty(path: Path, device: torch.device | str = "cpu") -> Uncertainty | None:
    """What the checkpoint in folder `path` knows of it; ``None`` if it was never calibrated.

    Raises:
        CheckpointError: if it is damaged, another version wrote it, or a member was changed since.
    """
    if not (path / FACTS).is_file():
        return None
    others = "".join(f" --members {folder}" for folder in members_in(path))
    remake = f"Make it again: mosim-gym calibrate {path} --data DATASET{others}."
    try:
        facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
        version = facts["schema_version"]
        if version != SCHEMA_VERSION:
            raise CheckpointError(
                f"{path / FACTS} has schema_version {version!r}; this version of mosim_gym reads "
                f"{SCHEMA_VERSION}. Install the version that wrote it. Or: {remake}"
            )
        _require_unchanged(path, facts, remake)
        tensors = load_file(path / TENSORS, device=str(device))
        density = Density(read_summary(path).spec, DensityConfig(**facts["density"]))
        density.load_state_dict(_below("density.", tensors))
        density.to(device).eval().requires_grad_(False)
        members = int(facts["members"])
        disagreement = spread = None
        if members:
            folders = [path, *(path / f"{MEMBER}{k}" for k in range(1, members + 1))]
            # Loaded anew, the folder's own model too: an engine changes the one that it runs.
            models = [load_checkpoint(folder, device).simulator for folder in folders]
            disagreement = Disagreement(models, tensors["increment_scale"])
            spread = Spread(disagreement.ensemble, tensors["state_scale"])
        scores = _below("scores.", tensors)
        calibrations = {Score(k): Calibration(v.cpu().numpy(), Score(k)) for k, v in scores.items()}
        return Uncertainty(density, disagreement, spread, calibrations, facts["made_from"])
    except CheckpointError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path / FACTS} and {TENSORS} beside it do not tell an uncertainty: {error!r}. "
            f"{remake}"
        ) from error


def _require_unchanged(path: Path, facts: Mapping[str, Any], remake: str) -> None:
    if facts["weights"] != digest(path):
        raise CheckpointError(
            f"{path / FACTS} was made for other weights than those beside it. {remake}"
        )
    for k, made_for in enumerate(facts["member_weights"], 1):
        folder = path / f"{MEMBER}{k}"
        if not (folder / WEIGHTS).is_file():
            raise CheckpointError(
                f"{path / FACTS} was made with a member {folder}, where there is no {WEIGHTS} "
                f"now. Put it back. Or: {remake}"
            )
        if made_for != digest(folder):
            raise CheckpointError(
                f"{path / FACTS} was made for other weights than those in {folder}. {remake}"
            )


def digest(path: Path) -> str:
    """16 hexadecimal digits of a checkpoint's weights."""
    return hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest()[:16]


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _not_of_a_member(folder: str, names: list[str]) -> list[str]:
    """What of a member's folder is left behind: its own uncertainty, with its own members."""
    inside = [name for name in names if (Path(folder) / name).is_dir()]
    return [FACTS, TENSORS, *inside]
