"""fit_ensemble: K fits of one recipe on the same recording, each with a seed of its own."""

from __future__ import annotations

from pathlib import Path

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.summary import CONFIG
from mosim_gym.errors import MosimError
from mosim_gym.fit.pairs import data_fingerprint
from mosim_gym.fit.presets import get_preset
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.resume import differences
from mosim_gym.fit.trainer import FitResult, fit


def fit_ensemble(
    dataset: Dataset | str | Path,
    *,
    out: str | Path,
    members: int,
    preset: str | Preset = "default",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    resume: bool = True,
    progress: bool = True,
) -> tuple[FitResult, ...]:
    """Fit the members of an ensemble one after the other; `Ensemble` steps them together.

    Member k is what `fit` makes with seed ``seed + k``: other first weights, other batches, and
    other episodes set apart for testing, so that no episode is unseen by all; judge an ensemble on
    fresh ones. After an interrupt the same call goes on: members that are there already, made of
    the same data by the same recipe, are kept.

    Args:
        dataset: or its folder.
        out: member k is written to ``<out>-k``.
        members: how many.
        preset: as for `fit`.
        steps: optimiser steps of each member; the preset's by default.
        minutes: of all members together; turned into a step count once, by the first.
        seed: of the first member.
        threads: as for `fit`.
        resume: keep members that are there, and go on with an unfinished one; else all are
            trained anew.
        progress: as for `fit`, for each member.

    Raises:
        MosimError: for fewer than one member, and as `fit` does.
        LossNotFiniteError: if the training of a member broke down; later ones are not begun.
        KeyboardInterrupt: on Ctrl-C, with the state of the member under way written.
    """
    if members < 1:
        raise MosimError(f"fit_ensemble got members={members}; expected 1 or more.")
    data = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    recipe = get_preset(preset)
    fingerprint = data_fingerprint(data)
    results: list[FitResult] = []
    for k in range(members):
        path = Path(f"{out}-{k}")
        budget = steps if minutes is not None or steps is not None else recipe.steps
        made = _made(path, recipe, budget, seed + k, fingerprint) if resume else None
        result = made or fit(
            data,
            out=path,
            preset=recipe,
            steps=budget,
            minutes=None if minutes is None else minutes / members,
            seed=seed + k,
            threads=threads,
            resume=resume,
            progress=progress,
        )
        results.append(result)
        # All members take the steps that the first did.
        steps, minutes = result.steps, None
    return tuple(results)


def _made(
    path: Path, recipe: Preset, steps: int | None, seed: int, fingerprint: str
) -> FitResult | None:
    """The member at `path`, if it is what this fit would make."""
    if not (path / CONFIG).is_file():
        return None
    checkpoint = load_checkpoint(path)
    there, acceptance = checkpoint.provenance, checkpoint.acceptance
    wanted = {"preset": recipe.to_json(), "seed": seed, "data": {"fingerprint": fingerprint}}
    if steps is not None:
        wanted["steps"] = steps
    found = {name: there.get(name) for name in wanted}
    found["data"] = {"fingerprint": (there.get("data") or {}).get("fingerprint")}
    if differences("", found, wanted):
        return None
    return FitResult(
        path=path,
        simulator=checkpoint.simulator,
        steps=there["steps"],
        held_out_error=acceptance["held_out_error"],
        touch_error=acceptance.get("touch", {}).get("held_out_error"),
        acceptance=acceptance,
        seconds=0.0,
    )
