"""One physics step of a simulator that was told everything, against `mj_step`."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jvp, vjp

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.forward import Forward
from mosim_gym.articulated.guess import guess
from mosim_gym.articulated.learned import LearnedPhysics
from mosim_gym.articulated.physics import physics_of
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.robots.spec import Integrator, RobotSpec
from mosim_gym.types import State
from tests.articulated.bodies import SUITE, States, apart, draw, mixed, put, suite_model
from tests.articulated.contact_oracle import lowered, moving_states


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
    simulator, state = simulator_of(model), State(states.qpos, states.qvel, states.act)
    qpos, qvel = stepped(model, states)
    scale = np.abs(qvel).max(1, keepdims=True) + 1
    with torch.inference_mode():
        snug = simulator.step(state, states.ctrl)
    # Of fixed size, a step may run out of iterations where a body is deep in the ground.
    whole = simulator.step(state, states.ctrl)
    there = whole.isfinite().numpy()
    assert there.mean() > (0.8 if name == "go2" else 0.99)
    for after, rows in ((snug, slice(None)), (whole, there)):
        assert np.abs((after.qvel.numpy() - qvel) / scale)[rows].max() < 1e-7
        assert np.abs(after.qpos.numpy() - qpos)[rows].max() < 1e-7


@pytest.mark.parametrize("planar", [True, False])
def test_bodies_on_a_ground_that_is_moved_and_turned_step_as_mujocos(planar: bool) -> None:
    model = lowered(planar=planar)
    states = moving_states(model, 50)
    qpos, qvel = stepped(model, states)
    after = simulator_of(model).step(State(states.qpos, states.qvel), states.ctrl)
    np.testing.assert_allclose(after.qpos, qpos, atol=1e-7)
    np.testing.assert_allclose(after.qvel, qvel, atol=1e-7)


PUPPET = """
<mujoco>
  <option timestep="0.002" tolerance="0" iterations="100"/>
  <worldbody>
    <site name="hook" pos="0 .1 1"/>
    <body name="weight" pos=".1 0 .7">
      <freejoint/>
      <geom type="box" size=".05 .03 .04"/>
      <site name="eye" pos="0 0 .05"/>
      <body name="arm" pos=".05 0 0">
        <joint axis="0 1 0" damping=".01"/>
        <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02"/>
        <site name="hand" pos=".2 0 .01"/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <spatial name="long" limited="true" range=".2 .6" margin=".03" solreflimit=".03 .8"
             solimplimit=".8 .9 .01"><site site="hook"/><site site="eye"/><site site="hand"/>
    </spatial>
    <spatial name="loose"><site site="hook"/><site site="hand"/></spatial>
    <spatial name="short" limited="true" range="0 .4"><site site="hook"/><site site="hand"/>
    </spatial>
  </tendon>
</mujoco>
"""


def test_strings_hold_as_mujocos() -> None:
    model = mujoco.MjModel.from_xml_string(PUPPET)
    states = draw(model, 40)
    states.qpos[:, :3] = torch.tensor(model.qpos0[:3]) + 0.3 * states.qvel[:, :3] / 2
    qpos, qvel = stepped(model, states)
    simulator = simulator_of(model)
    after = simulator.step(State(states.qpos, states.qvel), states.ctrl)
    np.testing.assert_allclose(after.qvel, qvel, atol=1e-8)
    np.testing.assert_allclose(after.qpos, qpos, atol=1e-10)
    rows = [len(held(model, states, row)) for row in range(40)]
    # None, some and several ends of strings are reached.
    assert {0, 1, 2} <= set(rows)


def held(model: mujoco.MjModel, states: States, row: int) -> np.ndarray:
    data = mujoco.MjData(model)
    put(model, data, states, row)
    mujoco.mj_forward(model, data)
    return np.array(data.efc_D)


@pytest.mark.parametrize("name", ["acrobot", "cheetah", "humanoid", "mixed"])
def test_without_derivatives_only_what_is_needed_is_done(name: str) -> None:
    """As many slots and iterations as a batch needs give what all of them give, row by row."""
    model = mixed("implicitfast") if name == "mixed" else suite_model(name)
    states = draw(model, 24) if name == "mixed" else moving_states(model, 24)
    description = describe(model)
    forward = Forward(description, iterations=20)
    prepared = forward.prepare(physics_of(model, description))
    # One is broken: the others are not held up.
    states.qvel[5] = torch.nan
    arguments = (prepared, states.qpos, states.qvel, states.act, states.ctrl)
    whole, snug = forward(*arguments), forward(*arguments, differentiable=False)
    assert not snug.converged[5]
    torch.testing.assert_close(snug.converged, whole.converged)
    torch.testing.assert_close(
        snug.acceleration, whole.acceleration, rtol=1e-7, atol=1e-7, equal_nan=True
    )
    high = states.qpos.clone()
    if name == "cheetah":
        high[:, 1] += 10.0  # Nothing touches.
        airborne = forward(prepared, high, states.qvel, None, states.ctrl, differentiable=False)
        expected = forward(prepared, high, states.qvel, None, states.ctrl)
        torch.testing.assert_close(
            airborne.acceleration, expected.acceleration, rtol=1e-9, atol=1e-9, equal_nan=True
        )


def test_rows_take_the_iterations_they_need() -> None:
    """A step that is lost once in a hundred states ends every episode of a learned robot."""
    model = suite_model("go2")
    states, description = moving_states(model, 3000, steps=6000), describe(model)
    forward = Forward(description)
    prepared = forward.prepare(physics_of(model, description))
    assert forward(prepared, *states, differentiable=False).converged.all()


# Loading its own rules for derivatives, torch uses what it deprecates.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["mixed", "cheetah"])
def test_derivatives_are_those_of_differences(name: str) -> None:
    """By physics, state and control, forwards and backwards, with constraints at work."""
    model = mixed("implicitfast") if name == "mixed" else suite_model(name)
    states = draw(model, 6) if name == "mixed" else moving_states(model, 6)
    description = describe(model)
    forward, learned = Forward(description), LearnedPhysics(description, guess(description))
    start = physics_of(model, description)
    # Away from the shortest time constant, twice the time step, where derivatives have a jump.
    softer = {key: 1.5 * getattr(start, key) for key in ("limit_solref", "pair_solref")}
    learned.restart(start._replace(**softer))
    names = [key for key, _ in learned.named_parameters()]
    moved = [*learned.parameters(), states.qpos, states.qvel, states.ctrl]
    point = [value.detach() for value in moved]
    generator = torch.Generator().manual_seed(0)
    direction = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in point]

    def accelerations(*values: Tensor) -> Tensor:
        numbers = dict(zip(names, values, strict=False))
        physics = functional_call(learned, numbers, ())
        qpos, qvel, ctrl = values[len(names) :]
        found = forward(forward.prepare(physics), qpos, qvel, states.act, ctrl)
        assert found.converged.all()
        return found.acceleration

    def moved_by(step: float) -> Tensor:
        pairs = zip(point, direction, strict=True)
        with torch.no_grad():
            return accelerations(*(value + step * along for value, along in pairs))

    step = 1e-7
    expected = (moved_by(step) - moved_by(-step)) / (2 * step)
    value, tangent = jvp(accelerations, tuple(point), tuple(direction))
    assert apart(tangent, expected) < 1e-5
    weights = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    _, pull = vjp(accelerations, *point)
    backwards = sum((g * d).sum() for g, d in zip(pull(weights), direction, strict=True))
    torch.testing.assert_close(backwards, (weights * tangent).sum(), rtol=1e-8, atol=1e-8)
