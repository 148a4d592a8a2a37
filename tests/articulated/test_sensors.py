"""Touch sensors' readings from contact forces, against MuJoCo's sensordata."""

from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.description import Description, describe
from mosim_gym.articulated.forward import Forward
from mosim_gym.articulated.physics import physics_of
from mosim_gym.articulated.rays import RAYS
from mosim_gym.articulated.shapes import Shape
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.mujoco import load_dm_env
from tests.articulated.bodies import States, put
from tests.articulated.contact_oracle import moving_states

#: A hand of all dimensions of contacts, each part with sites of all shapes, partly past it.
HAND = """
<mujoco>
  <option timestep="0.004" cone="{cone}" impratio="2"/>
  <default><geom friction=".8 .02 .005" solimp=".8 .97 .02 .4 3" margin=".01" gap=".002"/></default>
  <worldbody>
    <geom type="plane" size="5 5 .1" euler="4 -3 20" condim="1"/>
    <body pos="0 0 .15"><freejoint/>
      <geom type="capsule" size=".05 .15" condim="3"/>
      <geom type="sphere" size=".06" pos="0 .1 .1" condim="4"/>
      <site name="a" type="box" size=".03 .02 .2" pos=".02 0 .05" euler="20 10 5"/>
      <site name="b" type="capsule" size=".04 .08" pos="0 .1 .1" euler="60 0 0"/>
      <site name="c" type="cylinder" size=".05 .06" pos="0 0 -.15" euler="0 40 0"/>
      <body pos="0 0 .25"><joint axis="0 1 0" damping=".1"/>
        <geom type="capsule" fromto="0 0 0 .2 0 0" size=".04" condim="6"/>
        <site name="d" type="ellipsoid" size=".06 .05 .03" pos=".2 0 0"/>
        <site name="e" size=".05" pos=".1 0 .05"/>
      </body>
    </body>
    <body pos=".1 .05 .5"><freejoint/>
      <geom type="sphere" size=".08" condim="3"/>
      <site name="f" type="box" size=".05 .05 .05" pos=".03 0 0" euler="0 30 0"/>
    </body>
  </worldbody>
  <sensor>
    <touch name="b" site="b"/> <touch name="a" site="a"/> <accelerometer site="a"/>
    <touch name="c" site="c"/> <touch name="d" site="d"/> <touch name="e" site="e"/>
    <touch name="f" site="f"/>
  </sensor>
</mujoco>
"""


def hand(cone: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(HAND.format(cone=cone))


def suite_body(domain: str, task: str) -> mujoco.MjModel:
    """A body of the suite; finger's without the cylinders, whose contacts are not covered."""
    model = load_dm_env(domain, task, {"random": 0}).physics.model.ptr
    left_out = model.geom_type == int(mujoco.mjtGeom.mjGEOM_CYLINDER)
    model.geom_contype[left_out] = model.geom_conaffinity[left_out] = 0
    return model


BODIES = {
    "hopper": lambda: suite_body("hopper", "hop"),
    "finger": lambda: suite_body("finger", "spin"),
    "pyramidal hand": lambda: hand("pyramidal"),
    "elliptic hand": lambda: hand("elliptic"),
}


def states_of(model: mujoco.MjModel, starts: int = 15) -> States:
    """States along motions from many starts."""
    parts = [moving_states(model, 60, seed, steps=300) for seed in range(starts)]
    columns = zip(*parts, strict=True)
    return States(*(None if c[0] is None else torch.cat(c) for c in columns))


def read(model: mujoco.MjModel, states: States) -> torch.Tensor:
    """MuJoCo's readings, its solver run to the end."""
    model.opt.tolerance, model.opt.iterations, model.opt.ls_tolerance = 0, 300, 1e-12
    data, found = mujoco.MjData(model), []
    columns = model.sensor_adr[model.sensor_type == int(mujoco.mjtSensor.mjSENS_TOUCH)]
    for row in range(len(states.qpos)):
        put(model, data, states, row)
        mujoco.mj_forward(model, data)
        found.append(data.sensordata[columns].copy())
    return torch.tensor(np.stack(found))


@pytest.mark.parametrize("name", BODIES)
def test_readings_are_mujocos(name: str) -> None:
    model = BODIES[name]()
    description = describe(model)
    forward = Forward(description, slots=None)
    prepared = forward.prepare(physics_of(model, description))
    states = states_of(model)
    true = read(model, states)
    assert description.touch is not None
    assert description.touch.names == RobotSpec.from_mujoco(model, name="body").touch
    scale = true.amax(1, keepdim=True).clamp(min=1.0)
    for differentiable in (False, True):
        told = forward.touch(prepared, *states, differentiable=differentiable)
        assert told.shape == true.shape
        torch.testing.assert_close(told / scale, true / scale, rtol=0, atol=1e-9)
    assert ((true > 0).sum(0) > 5).all()


def test_slots_and_derivatives_are_those_of_the_contacts() -> None:
    model = hand("elliptic")
    description = describe(model)
    physics, states = physics_of(model, description), states_of(model, 3)
    forward, all_slots = Forward(description, slots=1), Forward(description, slots=None)
    prepared = forward.prepare(physics)
    told = forward.touch(prepared, *states, differentiable=False)
    true = all_slots.touch(prepared, *states, differentiable=False)
    fits = told.isfinite().all(1)
    assert 0 < fits.sum() < len(fits)
    torch.testing.assert_close(told[fits], true[fits])

    some = States(*(None if v is None else v[(true > 0).any(1)][:4] for v in states))
    turned = torch.zeros(model.nv).double().requires_grad_()

    def readings(push: torch.Tensor) -> torch.Tensor:
        moved = some._replace(qvel=some.qvel + push)
        return all_slots.touch(prepared, *moved).sum()

    assert torch.autograd.gradcheck(
        readings, turned, eps=1e-6, rtol=1e-4, atol=1e-3, fast_mode=True
    )


def test_they_are_traced_as_one_graph() -> None:
    model = suite_body("hopper", "hop")
    description = describe(model)
    forward, states = Forward(description), states_of(model, 1)
    prepared = forward.prepare(physics_of(model, description))

    def run(qpos: torch.Tensor, qvel: torch.Tensor, ctrl: torch.Tensor) -> torch.Tensor:
        return forward.touch(prepared, qpos, qvel, None, ctrl, differentiable=False)

    torch.compiler.reset()
    arguments = states.qpos, states.qvel, states.ctrl
    traced = torch.compile(run, fullgraph=True, dynamic=False, backend="eager")(*arguments)
    plain, solved = run(*arguments), traced.isfinite()
    assert (plain > 0).any() and solved.float().mean() > 0.9
    torch.testing.assert_close(traced[solved], plain[solved])


@pytest.mark.parametrize("shape", list(RAYS), ids=lambda shape: shape.name)
def test_rays_meet_what_mujocos_meet(shape: Shape) -> None:
    rng = np.random.default_rng(int(shape))
    size, n = rng.uniform(0.8, 1.6, 3), 4000
    start, along = rng.normal(0, 1.5, (n, 3)), rng.normal(size=(n, 3))
    # Many along an axis, or across one.
    along[: n // 2] *= rng.integers(2, size=(n // 2, 3))
    along[~along.any(1)] = [0, 0, -1]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    pairs = zip(start, along, strict=True)
    flat = np.eye(3).ravel()
    true = [
        mujoco.mju_rayGeom(np.zeros(3), flat, size, p, v, int(shape), None) >= 0 for p, v in pairs
    ]
    rays = (torch.tensor(value.T) for value in (start, along))
    met = RAYS[shape](*rays, torch.tensor(size)[:, None])
    np.testing.assert_array_equal(met, true)
    assert n // 10 < sum(true) < n - n // 10, "both kinds are tested"


def test_a_description_keeps_its_sensors_and_an_old_one_has_none() -> None:
    description = describe(hand("elliptic"))
    plain = json.loads(json.dumps(description.to_json()))
    again = Description.from_json(plain)
    assert again.touch is not None and again.touch.names == ("b", "a", "c", "d", "e", "f")
    assert json.dumps(again.to_json()) == json.dumps(plain)
    del plain["touch"]
    assert Description.from_json(plain).touch is None


def test_sensors_that_read_something_else_are_not_told() -> None:
    assert describe(hand("elliptic"), ground=True).touch is None
    plain = HAND.format(cone="elliptic")
    for known, other in (
        ('<touch name="f" site="f"/>', '<touch name="f" site="f" cutoff="3"/>'),
        ('<geom type="sphere" size=".08" condim="3"/>', '<geom type="box" size=".1 .1 .1"/>'),
    ):
        model = mujoco.MjModel.from_xml_string(plain.replace(known, other))
        assert describe(model, force=True).touch is None
    pendulum = "<mujoco><worldbody><body><joint/><geom size='1'/></body></worldbody></mujoco>"
    assert describe(mujoco.MjModel.from_xml_string(pendulum)).touch is None
