"""What a model is told of a body: its geometry, from a file or the task the data is of."""

from __future__ import annotations

from pathlib import Path

from mosim_gym.errors import MosimError
from mosim_gym.fit.presets import Preset
from mosim_gym.registration import ROWS


def with_geometry(preset: Preset, data: Path, mjcf: Path | None) -> Preset:
    """The recipe, told the body's geometry if its predictor needs it.

    Args:
        preset: the recipe.
        data: the dataset's folder.
        mjcf: the body's MJCF or URDF; ``None``: that of the task the data was recorded on.

    Raises:
        MosimError: if the geometry cannot be found, or is given and not needed.
    """
    if preset.model.predictor != "articulated":
        if mjcf is not None:
            raise MosimError(
                f"--mjcf is for predictors that are told the geometry (--preset articulated); "
                f'preset "{preset.name}" is not.'
            )
        return preset
    from mosim_gym.articulated.description import describe, describe_file
    from mosim_gym.data.metadata import read_metadata
    from mosim_gym.tasks.mujoco import model_of

    if mjcf is not None:
        return preset.told(describe_file(mjcf).to_json())
    metadata = read_metadata(data)
    for row in ROWS:
        if metadata.source == f"{row.env_id} (dynamics=mujoco)":
            return preset.told(describe(model_of(row.domain, row.task)).to_json())
    raise MosimError(
        f'The preset "{preset.name}" needs the geometry of {metadata.robot.name}; {data} was '
        f"recorded from {metadata.source!r}, not a task of ours: give its MJCF or URDF (--mjcf)."
    )
