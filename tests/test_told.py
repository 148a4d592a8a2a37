"""Where the command line finds the geometry that a model is told."""

from __future__ import annotations

from pathlib import Path

import mujoco
import pytest

from mosim_gym.cli.told import Told, with_description
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
    assert names(with_description(get_preset("articulated"), data)) == ["shoulder", "elbow"]


def test_so_are_contact_features(tmp_path: Path) -> None:
    data = data_of(tmp_path, "MoSim/acrobot-swingup-v0 (dynamics=mujoco)")
    preset = get_preset("contact")
    assert names(with_description(preset, data)) == ["shoulder", "elbow"]
    for numbers in ({"told": Told.NUMBERS}, {"priors": ["mass=0.1"]}):
        with pytest.raises(MosimError, match='"contact" is told the geometry alone'):
            with_description(preset, data, **numbers)


def test_a_file_tells_it(tmp_path: Path) -> None:
    (tmp_path / "arm.xml").write_text(ARM)
    told = with_description(get_preset("articulated"), tmp_path, tmp_path / "arm.xml")
    assert names(told) == ["swing"]
    # Recipes are compared and written down without it.
    assert told.to_json() == get_preset("articulated").to_json()


def test_numbers_are_a_place_to_start(tmp_path: Path) -> None:
    (tmp_path / "arm.xml").write_text(ARM)
    asked = ("mass=0.2", "damping=0")
    told = with_description(
        get_preset("articulated"), tmp_path, tmp_path / "arm.xml", Told.NUMBERS, asked
    )
    model = mujoco.MjModel.from_xml_string(ARM)
    assert told.model.numbers is not None
    assert told.model.numbers["mass"]["values"] == model.body_mass.tolist()
    assert told.model.widths == {"all": 0.3, "mass": 0.2, "damping": 0.0}
    assert told.model.without_body().numbers is None


@pytest.mark.parametrize(
    "prior,message",
    [
        ("mass", "is nan; expected 0"),
        ("mass=much", "is not KIND=WIDTH"),
        ("mass=-1", "is -1.0; expected 0"),
        ("weight=1", "weight.*armature.*mass"),
    ],
)
def test_priors_that_are_none(tmp_path: Path, prior: str, message: str) -> None:
    (tmp_path / "arm.xml").write_text(ARM)
    with pytest.raises(MosimError, match=message):
        with_description(get_preset("articulated"), tmp_path, tmp_path / "arm.xml", None, [prior])


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "arm.xml").write_text("<mujoco><nonsense/></mujoco>")
    with pytest.raises(MosimError, match="arm.xml is no MJCF or URDF that MuJoCo can read"):
        with_description(get_preset("articulated"), tmp_path, tmp_path / "arm.xml")


def test_data_of_something_else_needs_a_file(tmp_path: Path) -> None:
    data = data_of(tmp_path, "my robot")
    with pytest.raises(MosimError, match=r"'my robot', not a task of ours: .*\(--mjcf\)"):
        with_description(get_preset("articulated"), data)


def test_other_presets_are_told_nothing(tmp_path: Path) -> None:
    preset = get_preset("default")
    assert with_description(preset, tmp_path) is preset
    with pytest.raises(MosimError, match='--preset articulated.*"default" is not'):
        with_description(preset, tmp_path, tmp_path / "arm.xml")


TIED = """
<mujoco>
  <worldbody>
    <geom type="box" size="1 1 .1"/>
    <body name="a" pos="0 0 1"><joint name="swing"/><geom type="cylinder" size=".1 .1"/></body>
    <body name="b" pos="1 0 1"><joint name="turn"/><geom size=".1" pos=".3 0 0"/></body>
  </worldbody>
  <equality><joint joint1="swing" joint2="turn"/></equality>
  <actuator>{actuator}</actuator>
</mujoco>
"""


def test_what_is_not_covered_is_left_to_a_corrector_where_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "arm.xml"
    file.write_text(TIED.format(actuator=""))
    preset = get_preset("articulated_corrected")
    with pytest.raises(MosimError, match="1 equality.*cylinder and a box.*--force"):
        with_description(preset, tmp_path, file)
    geometry = with_description(preset, tmp_path, file, force=True).model.geometry
    assert geometry is not None
    assert geometry["missing"][0] == "1 equality constraints"
    assert len(geometry["missing"]) == 4
    # What is covered stays: nothing here, since the ground is a box.
    assert geometry["pairs"]["geom1"]["values"] == []
    for name in ("articulated", "contact", "paper"):
        with pytest.raises(MosimError, match=f'corrected.; preset "{name}" has no such'):
            with_description(get_preset(name), tmp_path, file, force=True)
    file.write_text(TIED.format(actuator='<adhesion body="b" ctrlrange="0 1"/>'))
    with pytest.raises(MosimError, match=r"acts on a body.*it cannot be left out"):
        with_description(preset, tmp_path, file, force=True)
