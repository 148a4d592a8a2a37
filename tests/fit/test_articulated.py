"""Fitting physics to motion where the geometry is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mujoco
import pytest
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.checkpoint import load_simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit import fit
from mosim_gym.fit.presets import ARTICULATED, Preset
from mosim_gym.types import State
from tests.fit.fakes import DAMPING, GAIN, STIFFNESS

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
