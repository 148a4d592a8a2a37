"""What a model is told of a body: its geometry and perhaps numbers, from a file or a task."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from mosim_gym.errors import MosimError
from mosim_gym.fit.recipe import Preset
from mosim_gym.registration import ROWS

#: How far the numbers of a description may be off unless `--prior` says otherwise: some 30 %.
_DESCRIBED = 0.3


class Told(StrEnum):
    """How much of a body's description a model is told."""

    #: Links, joints, shapes; numbers are guessed from shapes and learned from scratch.
    GEOMETRY = "geometry"
    #: The numbers of the description too: learning starts there and stays near.
    NUMBERS = "numbers"


def with_description(
    preset: Preset,
    data: Path,
    mjcf: Path | None = None,
    told: Told | None = None,
    priors: Sequence[str] = (),
    force: bool = False,
) -> Preset:
    """The recipe, told of the body what its model needs.

    Args:
        preset: the recipe.
        data: the dataset's folder.
        mjcf: the body's MJCF or URDF; ``None``: that of the task the data was recorded on.
        told: how much of it; the geometry by default.
        priors: widths by kind of number, each ``KIND=WIDTH``.
        force: leave out what physics with numbers does not cover, for a corrector to learn.

    Raises:
        MosimError: if the description cannot be found, or is given and not needed.
    """
    if force and (preset.needs_ground_only or not preset.model.correctors):
        raise MosimError(
            "--force leaves what is not covered to a network beside the physics (--preset "
            f'articulated_corrected); preset "{preset.name}" has no such pair.'
        )
    if not preset.needs_geometry:
        if mjcf is not None or told is not None or priors:
            raise MosimError(
                "--mjcf, --told and --prior are for predictors that are told the geometry "
                f'(--preset articulated); preset "{preset.name}" is not.'
            )
        return preset
    if preset.model.predictor != "articulated" and (told is Told.NUMBERS or priors):
        raise MosimError(
            "--told numbers and --prior are for physics with numbers (--preset articulated); "
            f'preset "{preset.name}" is told the geometry alone.'
        )
    from mosim_gym.articulated.description import describe
    from mosim_gym.articulated.physics import physics_of
    from mosim_gym.articulated.priors import parameter_widths

    model = _model(preset, data, mjcf)
    description = describe(model, ground=preset.needs_ground_only, force=force)
    widths = dict(map(_prior, priors))
    parameter_widths(widths)  # Raises before anything long begins.
    if told is not Told.NUMBERS:
        return preset.told(description.to_json(), widths=widths or None)
    numbers = physics_of(model, description).to_json()
    return preset.told(description.to_json(), numbers, {"all": _DESCRIBED} | widths)


def _model(preset: Preset, data: Path, mjcf: Path | None) -> Any:
    """The body as it is described."""
    from mosim_gym.articulated.description import load_model
    from mosim_gym.data.metadata import read_metadata
    from mosim_gym.tasks.mujoco import model_of

    if mjcf is not None:
        return load_model(mjcf)
    metadata = read_metadata(data)
    for row in ROWS:
        if metadata.source == f"{row.env_id} (dynamics=mujoco)":
            return model_of(row.domain, row.task)
    raise MosimError(
        f'The preset "{preset.name}" needs the geometry of {metadata.robot.name}; {data} was '
        f"recorded from {metadata.source!r}, not a task of ours: give its MJCF or URDF (--mjcf)."
    )


def _prior(text: str) -> tuple[str, float]:
    kind, sign, width = text.partition("=")
    try:
        return kind.strip(), float(width) if sign else float("nan")
    except ValueError:
        raise MosimError(
            f"--prior {text!r} is not KIND=WIDTH, such as mass=0.2 (known to some 20 %), "
            "damping=0 (told) or all=0.5."
        ) from None
