"""calibrate: gives a checkpoint what tells when not to trust it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from mosim_gym.data.batches import Transitions
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.catalogue import find_checkpoint, list_checkpoints
from mosim_gym.dynamics.checkpoint import load_checkpoint, replacing, require_replaceable
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.types import State
from mosim_gym.uncertainty.calibration import Calibration, Score
from mosim_gym.uncertainty.density import DensityConfig, fit_density
from mosim_gym.uncertainty.disagreement import Disagreement, increment_scale
from mosim_gym.uncertainty.files import Uncertainty, members_in, save_uncertainty
from mosim_gym.uncertainty.spread import Spread, state_scale

#: Of the episodes, so many fit the density, say when to stop, and give the held-out scores.
SPLIT = (0.8, 0.1, 0.1)
#: Control steps of held-out rollouts.
ROLLOUT = 20
_CHUNK = 4096


def calibrate(
    checkpoint: str | Path,
    data: Dataset | str | Path,
    *,
    members: Sequence[str | Path] | None = None,
    held_out: Dataset | str | Path | None = None,
    out: str | Path | None = None,
    rollout: int = ROLLOUT,
    config: DensityConfig | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Let a checkpoint know when not to trust it, for ``uncertainty=`` of the environments.

    A density of the data's states and actions is fitted; with `members`, disagreement and spread of
    the ensemble are scored too. All are calibrated on held-out motion, so that a threshold is a
    quantile of held-out control steps. All of it is written into the checkpoint's folder.

    Args:
        checkpoint: a folder, or with `out` a shipped name; its model is member 0.
        data: what it was trained on: three episodes or more, each a control step a row.
        members: folders of the other members, fitted with the same preset. By default those that
            the checkpoint has from an earlier time; ``()`` for none.
        held_out: motion that no member was trained on, for calibrating. By default a tenth of the
            episodes of `data`, which the density does not see, but most of which members have
            seen: these then disagree a little less there than on fresh motion.
        out: write a copy of the checkpoint there instead.
        rollout: control steps of the held-out rollouts among whose states a spread is ranked.
        config: of the density.
        seed: of the density's fit and of the split.
        progress: show a bar.

    Returns:
        The folder written to.

    Raises:
        MosimError: if data or members are of another body, or members differ in shape or two of
            them in nothing at all.
        CheckpointError: for a shipped checkpoint without `out`, for an `out` that would replace
            what is read from, and if it cannot be written; what was there is kept.
    """
    source = find_checkpoint(checkpoint)
    folders = members_in(source)
    if members is not None:
        folders = tuple(find_checkpoint(member) for member in members)
    target = _target(source, out, folders, keep=members is None)
    model = load_checkpoint(source)
    spec = model.spec
    recorded = data if isinstance(data, Dataset) else Dataset.open(data)
    spec.require_same_body(recorded.spec, f"The data in {recorded.path}")
    parts = recorded.split(SPLIT, seed=seed)
    train, stop = parts[0].transitions(), parts[1].transitions()
    fresh = parts[2]
    if held_out is not None:
        fresh = held_out if isinstance(held_out, Dataset) else Dataset.open(held_out)
        spec.require_same_body(fresh.spec, f"The held-out data in {fresh.path}")
    judged = fresh.transitions()
    disagreement = spread = None
    if folders:
        models = [model.simulator, *(load_checkpoint(path).simulator for path in folders)]
        disagreement = Disagreement(models, increment_scale(train.state, train.next_state))
        _require_different(models, (source, *folders))
        spread = Spread(disagreement.ensemble, state_scale(train.state, spec))
    density = fit_density(
        spec, _pairs(train), _pairs(stop), config=config, seed=seed, progress=progress
    )
    scores = {Score.DENSITY: Calibration(density.scores(*_pairs(judged)).numpy(), Score.DENSITY)}
    if disagreement is not None and spread is not None:
        found = disagreements(disagreement, *_pairs(judged))
        scores[Score.DISAGREEMENT] = Calibration(found.numpy(), Score.DISAGREEMENT)
        found = spread.along(fresh.windows(rollout))
        scores[Score.SPREAD] = Calibration(found.numpy(), Score.SPREAD)
    facts = {
        "episodes": len(recorded),
        "held_out_steps": len(judged),
        "rollout": rollout,
        "held_out": "fresh motion" if held_out is not None else "a tenth of the data",
        "source": recorded.metadata.source,
        "policy": recorded.metadata.policy,
        "seed": seed,
    }
    made = Uncertainty(density, disagreement, spread, scores, facts)
    if target == source:
        save_uncertainty(source, made, folders)
    else:
        _save_copy(source, target, made, folders)
    return target


@torch.no_grad()
def disagreements(disagreement: Disagreement, state: State, action: Tensor) -> Tensor:
    """Scores of many rows, chunk by chunk, ``(n,)``."""
    starts = range(0, len(action), _CHUNK)
    parts = [disagreement(state[i : i + _CHUNK], action[i : i + _CHUNK]) for i in starts]
    return torch.cat(parts).double().cpu()


def _pairs(data: Transitions) -> tuple[State, Tensor]:
    return data.state, data.action


def _require_different(models: Sequence[Simulator], folders: Sequence[Path]) -> None:
    """Raise if two members are one: those never part, whatever they are asked."""
    weights = [model.state_dict() for model in models]
    for k, j in combinations(range(len(models)), 2):
        if all(torch.equal(value, weights[j][name]) for name, value in weights[k].items()):
            raise MosimError(
                f"The members {folders[k]} and {folders[j]} have the same weights, so that they "
                "never disagree. Expected models fitted apart, by: mosim-gym fit DATASET "
                "--members 4 --out MODEL. Leave one of the two out."
            )


def _target(source: Path, out: str | Path | None, folders: tuple[Path, ...], keep: bool) -> Path:
    if out is None:
        if source in [summary.path for summary in list_checkpoints()]:
            raise CheckpointError(
                f"{source.name} is a checkpoint that ships with the package and is not written "
                f"to. Give --out FOLDER (out=...): a copy is made there, for checkpoint=FOLDER."
            )
        return source
    target = Path(out)
    place = target.resolve()
    if place == source.resolve():
        return source
    for path in (source, *folders):
        read = path.resolve()
        if place == read or place in read.parents or read in place.parents:
            raise CheckpointError(
                f"--out {target} is, holds or lies in {path}, which is read from and would be "
                "replaced. Give another folder for the copy, or leave --out out: then it is "
                f"written into {source}."
            )
    require_replaceable(target)
    lost = members_in(target)
    if keep and lost and not folders:
        raise CheckpointError(
            f"{target} has {len(lost) + 1} members, which a copy of {source} alone would replace. "
            f"Give the members (--members FOLDER ...) or another folder; to "
            f"calibrate {target} again with those it has: mosim-gym calibrate {target}."
        )
    return target


def _save_copy(source: Path, target: Path, made: Uncertainty, folders: tuple[Path, ...]) -> None:
    try:
        with replacing(target) as new:
            shutil.copytree(source, new, dirs_exist_ok=True)
            save_uncertainty(new, made, folders)
    except OSError as error:
        raise CheckpointError(
            f"Cannot copy {source} to {target}: {error}. What was there is kept; choose a folder "
            "you may write to, on a disk with room."
        ) from error
