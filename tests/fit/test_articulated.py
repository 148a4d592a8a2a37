"""Fitting physics to motion where the geometry is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import save_episode
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.checkpoint import load_simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit import fit
from mosim_gym.fit.presets import ARTICULATED, ARTICULATED_CORRECTED
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Part, Stage
from mosim_gym.types import State
from tests.fit import fakes
from tests.fit.fakes import (
    DAMPING,
    GAIN,
    PENDULUM,
    STIFFNESS,
    pendulum_spec,
    recorded,
    write_dataset,
)


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


def test_a_number_that_is_zero_is_found_to_be_zero(
    recipe: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes, "DAMPING", 0.0)
    data = write_dataset(tmp_path / "data", pendulum_spec())
    result = fit(data, out=tmp_path / "x", preset=recipe, steps=30, progress=False)
    assert result.held_out_error < 1e-20
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated)
    # To rounding: whether the last step lands on zero itself depends on the processor.
    assert 0.0 <= predictor.physics().damping.item() < 1e-12


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


#: A motor with a filter, a servo, a limit, and ground to fall on.
ARM = """
<mujoco>
  <option timestep=".01"/>
  <worldbody>
    <geom type="plane" size="5 5 .1"/>
    <body pos="0 0 .4">
      <joint name="a" axis="0 1 0" damping=".3" range="-60 60" limited="true"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
      <body pos=".3 0 0">
        <joint name="b" axis="0 1 0" damping=".1"/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <general joint="a" gainprm="3" dyntype="filter" dynprm=".08" ctrlrange="-1 1"/>
    <position joint="b" kp="2" kv=".1" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


def test_filters_and_servos_are_recovered(tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(ARM)
    recipe = dataclasses.replace(ARTICULATED, batch_size=200).told(describe(model).to_json())
    data = recorded(model, tmp_path / "data")
    result = fit(data, out=tmp_path / "x", preset=recipe, steps=40, progress=False)
    assert result.held_out_error < 1e-6
    assert result.acceptance["long"]["by_horizon"]["150"]["mse_median"] < 1e-6
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated)
    found = predictor.physics()
    # What the servo pulls with for each radian, by what the motor does; kp and kv as in the MJCF.
    scale = 3.0 / found.gear[0, 0]
    torch.testing.assert_close(
        scale * torch.stack([found.gain[1, 0], -found.bias[1, 1]]),
        torch.tensor([2.0, 2.0]).double(),
        rtol=1e-2,
        atol=0,
    )


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


def test_motion_in_other_units_is_said(recipe: Preset, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", pendulum_spec())
    for index, episode in enumerate(data.episodes):
        degrees = {name: np.degrees(getattr(episode, name)) for name in ("qpos", "qvel")}
        save_episode(episode_path(data.path, index), dataclasses.replace(episode, **degrees))
    fit(data.path, out=tmp_path / "x", preset=recipe, steps=6, progress=False)
    assert "in metres and radians?" in (tmp_path / "x" / "CARD.md").read_text()
