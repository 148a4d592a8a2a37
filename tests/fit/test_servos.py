"""Fits of bodies whose servos are at the limit of their force."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mujoco
import pytest
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit import fit
from mosim_gym.fit.ensemble import fit_ensemble
from mosim_gym.fit.levenberg import LevenbergMarquardt
from mosim_gym.fit.loop import Trainer
from mosim_gym.fit.presets import ARTICULATED, ARTICULATED_ROBUST
from mosim_gym.fit.refit import Refit
from mosim_gym.fit.stages import Part, Stage
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State
from tests.fit.fakes import recorded
from tests.fit.recipes import interrupt_at, kill

STRONG = """
<mujoco>
  <option timestep=".004" integrator="implicitfast"><flag contact="disable"/></option>
  <worldbody>
    <body pos="0 0 .4">
      <joint name="a" axis="0 1 0" damping=".3" armature=".05"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
      <body pos=".3 0 0">
        <joint name="b" axis="0 1 0" damping=".1" armature=".02"/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="a" kp="1500" kv="120" ctrlrange="-1 1" forcerange="-30 30"/>
    <position joint="b" kp="600" kv="60" ctrlrange="-1 1" forcerange="-10 10"/>
  </actuator>
</mujoco>
"""


def test_servos_at_the_limit_of_their_force_are_recovered(tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(STRONG)
    recipe = dataclasses.replace(ARTICULATED, batch_size=300).told(describe(model).to_json())
    data = recorded(model, tmp_path / "data")
    result = fit(data, out=tmp_path / "x", preset=recipe, steps=60, progress=False)
    assert result.held_out_error < 1e-6
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated)
    # The limits tell the scale.
    torch.testing.assert_close(
        predictor.physics().gain[:, 0], torch.tensor([1500.0, 600.0]).double(), rtol=1e-2, atol=0
    )


def test_a_model_that_goes_on_learning_finds_servos_first_too(tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(STRONG)
    recipe = dataclasses.replace(ARTICULATED, batch_size=300).told(describe(model).to_json())
    data = recorded(model, tmp_path / "data")
    refit = Refit(data.spec, recipe)
    refit.learn(data, 60)
    assert refit.error(data) < 1e-6 and refit.steps == 60
    refit.learn(data, 2)
    assert refit.error(data) < 1e-6 and refit.steps == 62


def test_what_a_servo_moves_is_learned_before_the_servo() -> None:
    stages = ARTICULATED.around_details().stages
    assert [(stage.part, stage.share, stage.tame) for stage in stages] == [
        (Part.OUTLINE, 0.25, 0.9),
        (Part.PREDICTOR, 0.5, 0.9),
        (Part.PREDICTOR, 0.25, 0.99),
    ]
    unrolled = dataclasses.replace(ARTICULATED, stages=(Stage(Part.PREDICTOR, unroll=10),))
    assert unrolled.around_details() is unrolled
    # Tamed from the start, servos and all else are learned at once.
    assert ARTICULATED_ROBUST.around_details() is ARTICULATED_ROBUST


def test_fits_around_servos_go_on_and_finished_members_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mujoco.MjModel.from_xml_string(STRONG)
    recipe = dataclasses.replace(ARTICULATED, batch_size=50).told(describe(model).to_json())
    data = recorded(model, tmp_path / "data")
    whole = fit(data, out=tmp_path / "whole", preset=recipe, steps=8, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_step", interrupt_at(5, kill))
        with pytest.raises(RuntimeError, match="killed"):
            fit(data, out=tmp_path / "x", preset=recipe, steps=8, progress=False)
    again = fit(data, out=tmp_path / "x", preset=recipe, steps=8, progress=False)
    assert again.held_out_error == whole.held_out_error
    made = fit_ensemble(data, out=tmp_path / "e", members=2, preset=recipe, steps=4)
    monkeypatch.setattr(LevenbergMarquardt, "step", None)  # Nothing is learned again.
    kept = fit_ensemble(data, out=tmp_path / "e", members=2, preset=recipe, steps=4)
    assert [m.held_out_error for m in kept] == [m.held_out_error for m in made]


def test_servos_are_left_where_they_cannot_be_looked_for() -> None:
    description = describe(mujoco.MjModel.from_xml_string(STRONG))
    spec = RobotSpec.from_mujoco(mujoco.MjModel.from_xml_string(STRONG), name="arm", n_substeps=5)
    rows = State(torch.randn(50, 2).double(), torch.randn(50, 2).double())
    action, acceleration = torch.randn(50, 2).double(), 100 * torch.randn(50, 2).double()
    for widths, n_steps, looked in (
        (None, 1, True),
        (None, 5, False),
        ({"motor": 0.0}, 1, False),
        ({"all": 0.0, "mass": 1.0}, 1, False),
    ):
        preset = ARTICULATED.told(description.to_json(), widths=widths)
        predictor = Simulator(spec, preset.model_config(spec)).predictor
        assert isinstance(predictor, Articulated)
        before = predictor.physics().gain.clone()
        predictor.look_at(rows, action, acceleration, n_steps)
        assert torch.equal(predictor.physics().gain, before) != looked
        assert bool(predictor.details()) == looked
