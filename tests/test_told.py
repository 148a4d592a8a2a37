"""Where the command line finds the geometry that a model is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosim_gym.cli.told import with_geometry
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.errors import MosimError
from mosim_gym.fit.presets import get_preset
from tests.fit.fakes import pendulum_spec

ARM = """
<mujoco><worldbody><body><joint name="swing"/><geom type="sphere" size=".1" pos=".3 0 0"/></body>
</worldbody></mujoco>
"""


def data_of(folder: Path, source: str) -> Path:
    write_metadata(folder, Metadata(pendulum_spec(), source, "random"))
    return folder


def names(preset: object) -> list[str]:
    geometry = preset.model.geometry
    return geometry["tree"]["joints"]["names"]


def test_the_task_of_the_data_tells_it(tmp_path: Path) -> None:
    data = data_of(tmp_path, "MoSim/acrobot-swingup-v0 (dynamics=mujoco)")
    assert names(with_geometry(get_preset("articulated"), data, None)) == ["shoulder", "elbow"]


def test_a_file_tells_it(tmp_path: Path) -> None:
    (tmp_path / "arm.xml").write_text(ARM)
    told = with_geometry(get_preset("articulated"), tmp_path, tmp_path / "arm.xml")
    assert names(told) == ["swing"]
    # Recipes are compared and written down without it.
    assert told.to_json() == get_preset("articulated").to_json()


def test_data_of_something_else_needs_a_file(tmp_path: Path) -> None:
    data = data_of(tmp_path, "my robot")
    with pytest.raises(MosimError, match=r"'my robot', not a task of ours: .*\(--mjcf\)"):
        with_geometry(get_preset("articulated"), data, None)


def test_other_presets_are_told_nothing(tmp_path: Path) -> None:
    preset = get_preset("default")
    assert with_geometry(preset, tmp_path, None) is preset
    with pytest.raises(MosimError, match='--preset articulated.*"default" is not'):
        with_geometry(preset, tmp_path, tmp_path / "arm.xml")
