"""The smooth dynamics against MuJoCo, quantity by quantity."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.description import Description, describe
from mosim_gym.articulated.kinetics import jacobian_of_points, jacobian_of_turns
from mosim_gym.articulated.physics import physics_of
from mosim_gym.articulated.smooth import Smooth, State
from mosim_gym.articulated.weights import InverseWeights
from tests.articulated.bodies import MIXED, SUITE, answers, apart, draw, mixed, put, suite_model

BODIES = ["mixed", *SUITE]


def model_of(name: str) -> mujoco.MjModel:
    return mixed() if name == "mixed" else suite_model(name)


@pytest.mark.parametrize("name", BODIES)
def test_every_force_is_mujocos(name: str) -> None:
    model = model_of(name)
    description = Description.from_json(describe(model).to_json())
    states = draw(model)
    expected = answers(model, states)
    smooth = Smooth(description)
    motion = smooth(physics_of(model, description), *states)
    assert apart(motion.kinetics.position, expected["xpos"]) < 1e-12
    assert apart(motion.mass, expected["mass"]) < 1e-12
    scale = expected["qfrc_bias"].abs().max() + 1
    for ours, theirs in (
        (motion.bias, expected["qfrc_bias"]),
        (motion.passive, expected["qfrc_passive"]),
        (motion.actuator, expected["qfrc_actuator"]),
        (motion.force, expected["qfrc_smooth"]),
    ):
        assert float((ours - theirs).abs().max() / scale) < 1e-11
    solved = torch.linalg.solve(motion.mass, motion.force)
    assert apart(solved, expected["qacc_smooth"]) < 1e-8
    if states.act is not None:
        rates = smooth.actuation.rates(physics_of(model, description), states.act, states.ctrl)
        assert apart(rates, expected["act_dot"]) < 1e-12


@pytest.mark.parametrize(
    "fluid",
    [
        'viscosity=".3"',
        'density="80" viscosity=".1" wind="1 -2 .5"',
    ],
)
@pytest.mark.parametrize("flags", ["", 'spring="disable"', 'spring="disable" damper="disable"'])
def test_a_fluid_drags_as_mujocos(fluid: str, flags: str) -> None:
    text = MIXED.format(integrator="Euler").replace("<option ", f"<option {fluid} ")
    text = text.replace("<flag ", f"<flag {flags} ")
    model = mujoco.MjModel.from_xml_string(text)
    description = Description.from_json(describe(model).to_json())
    states, smooth = draw(model), Smooth(description)
    physics, expected = physics_of(model, description), answers(model, states)
    motion = smooth(physics, *states)
    assert apart(motion.passive, expected["qfrc_passive"]) < 1e-12
    missing = smooth.inverse(physics, motion.kinetics, State(*states), expected["qacc_smooth"])
    assert float(missing.abs().max()) < 1e-9 * float(motion.force.abs().max())


@pytest.mark.parametrize("name", ["mixed", "humanoid"])
def test_jacobians_are_mujocos(name: str) -> None:
    model = model_of(name)
    description, states = describe(model), draw(model, 3)
    kinetics = Smooth(description).links(states.qpos)
    bodies = torch.arange(model.nbody)
    offsets = torch.randn(3, model.nbody, 3, dtype=torch.float64)
    points = kinetics.position + offsets
    shifts = jacobian_of_points(kinetics, bodies, points)
    turns = jacobian_of_turns(kinetics, bodies)
    data = mujoco.MjData(model)
    jacp, jacr = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    for row in range(3):
        put(model, data, states, row)
        mujoco.mj_forward(model, data)
        for body in range(1, model.nbody):
            mujoco.mj_jac(model, data, jacp, jacr, points[row, body].numpy(), body)
            np.testing.assert_allclose(shifts[row, body], jacp, atol=1e-12)
            np.testing.assert_allclose(turns[row, body], jacr, atol=1e-12)


@pytest.mark.parametrize("name", BODIES)
def test_inverse_weights_are_mujocos(name: str) -> None:
    model = model_of(name)
    description = describe(model)
    weights = InverseWeights(description, Smooth(description))(physics_of(model, description))
    np.testing.assert_allclose(weights.dof, model.dof_invweight0, rtol=1e-8)
    np.testing.assert_allclose(weights.body, model.body_invweight0, rtol=1e-8, atol=1e-12)


def test_single_precision_and_inference_mode_agree() -> None:
    model = mixed()
    description, states = describe(model), draw(model)
    smooth, exact = Smooth(description), physics_of(model, description)
    motion = smooth(exact, *states)
    single = [None if v is None else v.float() for v in states]
    with torch.inference_mode():
        rough = smooth(physics_of(model, description, torch.float32), *single)
    assert rough.mass.dtype is torch.float32
    assert apart(rough.mass.double(), motion.mass) < 1e-5
    assert apart(rough.force.double(), motion.force) < 1e-4


def test_derivatives_are_right() -> None:
    model = mixed()
    description, states = describe(model), draw(model, 2)
    smooth, physics = Smooth(description), physics_of(model, description)

    def force(mass, centre, qpos, qvel):
        changed = physics._replace(mass=mass, centre=centre)
        motion = smooth(changed, qpos, qvel, states.act, states.ctrl)
        return motion.mass.sum(2) + motion.force

    inputs = (physics.mass, physics.centre, states.qpos, states.qvel)
    assert torch.autograd.gradcheck(force, [v.clone().requires_grad_() for v in inputs])
