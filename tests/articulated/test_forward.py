"""One physics step of a simulator that was told everything, against `mj_step`."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.robots.spec import Integrator, RobotSpec
from mosim_gym.types import State
from tests.articulated.bodies import SUITE, States, draw, mixed, put, suite_model


def simulator_of(model: mujoco.MjModel) -> Simulator:
    """A simulator of the physics step with the physics of the model."""
    spec = RobotSpec.from_mujoco(model, name="body")
    description = describe(model)
    method = "rk4" if spec.integrator is Integrator.RK4 else "semi_implicit_euler"
    config = ModelConfig(
        predictor="articulated",
        features=Flavour.RAW,
        integrator=method,
        precision=Precision.FLOAT64,
        geometry=description.to_json(),
    )
    simulator = Simulator(spec, config)
    assert isinstance(simulator.predictor, Articulated)
    simulator.predictor.start_from(physics_of(model, description))
    return simulator.eval().requires_grad_(False)


def stepped(model: mujoco.MjModel, states: States) -> tuple[np.ndarray, np.ndarray]:
    """States after `mj_step`, from cold starts of its solver."""
    data, found = mujoco.MjData(model), []
    for row in range(len(states.qpos)):
        put(model, data, states, row)
        mujoco.mj_step(model, data)
        found.append((data.qpos.copy(), data.qvel.copy()))
    qpos, qvel = (np.stack(values) for values in zip(*found, strict=True))
    return qpos, qvel


@pytest.mark.parametrize("integrator", ["Euler", "RK4", "implicitfast"])
def test_every_integrator_steps_as_mujocos(integrator: str) -> None:
    model = mixed(integrator)
    states = draw(model)
    if integrator == "RK4":
        # Activations are stepped by the simulator's own rule, which is learned.
        states = states._replace(act=0 * states.act, ctrl=0 * states.ctrl)
    state = State(states.qpos, states.qvel, states.act)
    simulator = simulator_of(model)
    simulator.activation.weight.zero_()
    simulator.activation.bias.zero_()
    after = simulator.step(state, states.ctrl)
    qpos, qvel = stepped(model, states)
    np.testing.assert_allclose(after.qpos, qpos, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(after.qvel, qvel, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(SUITE))
def test_bodies_of_the_suite_step_as_mujocos(name: str) -> None:
    model = suite_model(name)
    model.opt.tolerance, model.opt.iterations, model.opt.ls_tolerance = 0, 200, 1e-12
    states = draw(model, 16)
    after = simulator_of(model).step(State(states.qpos, states.qvel, states.act), states.ctrl)
    qpos, qvel = stepped(model, states)
    scale = np.abs(qvel).max(1, keepdims=True) + 1
    assert np.abs((after.qvel.numpy() - qvel) / scale).max() < 1e-7
    assert np.abs(after.qpos.numpy() - qpos).max() < 1e-7
