"""Fitting physics to motion where the geometry is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mujoco
import pytest
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.checkpoint import load_simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit import fit
from mosim_gym.fit.presets import ARTICULATED, ARTICULATED_CORRECTED, Preset
from mosim_gym.fit.stages import Part, Stage
from mosim_gym.fit.trainer import FitResult
from mosim_gym.types import State
from tests.fit.fakes import DAMPING, GAIN, STIFFNESS, pendulum_spec, write_dataset

#: The pendulum of the fakes, of some other length and weight.
PENDULUM = """
<mujoco>
  <option timestep=".02"/>
  <worldbody><body>
    <joint name="swing" axis="0 1 0" damping="1"/>
    <geom type="capsule" fromto="0 0 0 .02 .01 -.5" size=".03"/>
  </body></worldbody>
  <actuator><motor name="push" joint="swing" ctrlrange="-1 1" ctrllimited="true"/></actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def recipe() -> Preset:
    geometry = describe(mujoco.MjModel.from_xml_string(PENDULUM)).to_json()
    return dataclasses.replace(ARTICULATED, batch_size=64).told(geometry)


def test_a_pendulum_is_recovered_exactly(pendulum: Dataset, recipe: Preset, tmp_path: Path) -> None:
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=30, progress=False)
    assert result.held_out_error < 1e-12
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated)
    physics = predictor.physics()
    # Only ratios can be known; damping is a part of the mass that Euler steps.
    mass, _ = predictor.forward_dynamics.smooth.mass_matrix(physics, torch.zeros(1, 1).double())
    mass = float(mass) + 0.02 * physics.damping
    torch.testing.assert_close(
        physics.damping / mass, torch.tensor([DAMPING]).double(), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(
        physics.gear[:, 0] / mass, torch.tensor([GAIN]).double(), rtol=1e-4, atol=0
    )
    weight = 9.81 * physics.mass[1] * physics.centre[1, [0, 2]].norm()
    torch.testing.assert_close(weight / mass, torch.tensor([STIFFNESS]).double(), rtol=1e-4, atol=0)
    state = State(torch.randn(3, 1).double(), torch.randn(3, 1).double())
    action = torch.randn(3, 1).double()
    again = load_simulator(tmp_path / "x").step(state, action)
    torch.testing.assert_close(again.qvel, result.simulator.step(state, action).qvel)
    assert "Told: the geometry of the body" in (tmp_path / "x" / "CARD.md").read_text()


def test_what_physics_leaves_over_a_corrector_learns(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", pendulum_spec(), drag=True)
    geometry = describe(mujoco.MjModel.from_xml_string(PENDULUM)).to_json()
    errors = {}
    for preset, steps in ((ARTICULATED, 30), (ARTICULATED_CORRECTED, 30 + 400)):
        recipe = dataclasses.replace(preset, batch_size=64).told(geometry)
        if preset is ARTICULATED_CORRECTED:
            first, second = recipe.stages
            shares = (first, dataclasses.replace(second, share=800.0, batch_size=128))
            recipe = dataclasses.replace(recipe, stages=shares)
        result = fit(data, out=tmp_path / preset.name, preset=recipe, steps=steps, progress=False)
        errors[preset.name] = result.held_out_error
    # Linear damping explains some of it, the corrector nearly all the rest.
    assert 1e-6 < errors["articulated"] < 1e-2
    assert errors["articulated_corrected"] < 0.05 * errors["articulated"]


def test_a_corrector_does_no_harm(pendulum: Dataset, recipe: Preset, tmp_path: Path) -> None:
    """Where physics explains all, nothing a corrector could learn is better."""
    stages = (
        Stage(Part.PREDICTOR, share=30.0),
        Stage(Part.CORRECTOR, share=50.0, optimizer="soap"),
    )
    model = dataclasses.replace(recipe.model, correctors=1)
    corrected = dataclasses.replace(recipe, model=model, stages=stages)
    result = fit(pendulum, out=tmp_path / "x", preset=corrected, steps=80, progress=False)
    assert result.held_out_error < 1e-12


def test_numbers_that_are_told_stay(pendulum: Dataset, tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    description = describe(model)
    numbers = physics_of(model, description)
    recipe = dataclasses.replace(ARTICULATED, batch_size=64).told(
        description.to_json(), numbers.to_json(), {"damping": 0.0, "motor": 0.0}
    )
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=30, progress=False)
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated)
    found = predictor.physics()
    assert torch.equal(found.damping, numbers.damping) and torch.equal(found.gear, numbers.gear)
    # With damping and motor both wrong by other factors, masses alone cannot explain the motion.
    assert result.held_out_error > 1e-4
    assert not {"damping", "gear"} & {row["kind"] for row in identified(result)["numbers"]}
    assert "told: damping, motor" in (tmp_path / "x" / "CARD.md").read_text()


def test_everything_told_leaves_nothing_to_learn(pendulum: Dataset, tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    description = describe(model)
    numbers = physics_of(model, description)
    recipe = ARTICULATED.told(description.to_json(), numbers.to_json(), {"all": 0.0})
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=3, progress=False)
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated) and not list(predictor.parameters())
    assert "identified" not in result.acceptance


def test_a_narrow_prior_counts_where_data_is_poor(pendulum: Dataset, tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    description = describe(model)
    numbers = physics_of(model, description).to_json()
    masses = {}
    for width in (1e-4, 3.0):
        recipe = dataclasses.replace(ARTICULATED, batch_size=64).told(
            description.to_json(), numbers, {"mass": width}
        )
        out = tmp_path / f"{width:g}"
        result = fit(pendulum, out=out, preset=recipe, steps=30, progress=False)
        predictor = result.simulator.predictor
        assert isinstance(predictor, Articulated)
        masses[width] = float(predictor.physics().mass[1])
    assert abs(masses[1e-4] / model.body_mass[1] - 1) < 1e-3
    assert abs(masses[3.0] / model.body_mass[1] - 1) > 1e-2


def test_what_data_tells_is_told_from_what_it_leaves_open(
    pendulum: Dataset, recipe: Preset, tmp_path: Path
) -> None:
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=30, progress=False)
    found = identified(result)
    known = {row["kind"]: row["known"] for row in found["numbers"]}
    assert found["scale"] == ["gear", "push"] and known["gear"] and known["damping"]
    # Of a pendulum about the y axis, its weight times lever is told, neither of them alone, and
    # nothing of the other axes.
    assert not known["mass"] and not known["centre y"] and not known["inertia xx"]
    # What is told: damping and motor by the inertia, and twice the lever (x, z).
    assert found["determined"] == 4
    card = (tmp_path / "x" / "CARD.md").read_text()
    assert "![numbers found](identified.png)" in card and "| damping | swing |" in card
    assert (tmp_path / "x" / "identified.png").read_bytes().startswith(b"\x89PNG")


def identified(result: FitResult) -> Any:
    return result.acceptance["identified"]


def test_without_geometry_it_is_refused(pendulum: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MosimError, match='"articulated" needs the geometry of pendulum'):
        fit(pendulum, out=tmp_path / "x", preset="articulated", steps=1, progress=False)


def test_another_body_is_refused(pendulum: Dataset, tmp_path: Path) -> None:
    ball = '<body pos="0 0 -.5"><joint type="ball"/><geom size=".1"/></body></body>'
    other = mujoco.MjModel.from_xml_string(PENDULUM.replace("</body>", ball))
    with pytest.raises(MosimError, match=r"\(nq, nv, nu\) = \(5, 4, 1\), pendulum has \(1, 1, 1\)"):
        fit(
            pendulum,
            out=tmp_path / "x",
            preset=ARTICULATED.told(describe(other).to_json()),
            progress=False,
        )


def test_joints_in_another_order_are_refused(pendulum: Dataset, tmp_path: Path) -> None:
    other = PENDULUM.replace('name="swing"', 'name="swing" type="slide"')
    geometry = describe(mujoco.MjModel.from_xml_string(other)).to_json()
    with pytest.raises(MosimError, match="joints of types slide; pendulum has hinge"):
        fit(pendulum, out=tmp_path / "x", preset=ARTICULATED.told(geometry), progress=False)


def test_motion_that_contradicts_the_geometry_is_said(pendulum: Dataset, tmp_path: Path) -> None:
    # Weightless, it cannot fall.
    other = PENDULUM.replace("<option ", '<option gravity="0 0 0" ')
    geometry = describe(mujoco.MjModel.from_xml_string(other)).to_json()
    recipe = dataclasses.replace(ARTICULATED, batch_size=64).told(geometry)
    fit(pendulum, out=tmp_path / "x", preset=recipe, steps=6, progress=False)
    assert "The motion contradicts the geometry" in (tmp_path / "x" / "CARD.md").read_text()
