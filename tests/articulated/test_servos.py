"""Servos whose limits hide them, found in the motion of their own joints."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.guess import guess
from mosim_gym.articulated.servos import Motion, all_found, servos_from_motion

ARM = """
<mujoco>
  <option timestep="0.004" integrator="{integrator}"><flag contact="disable"/></option>
  <worldbody>
    <body>
      <joint name="shoulder" axis="0 0 1" armature=".2" damping=".5"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
      <body pos=".3 0 0">
        <joint name="elbow" axis="0 0 1" armature=".05"/>
        <geom type="capsule" fromto="0 0 0 .1 0 0" size=".01"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="shoulder" kp="{kp}" kv="{kv}" forcerange="-20 20" ctrlrange="-2 2"/>
    <motor joint="elbow" gear=".3" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


def moved(model: mujoco.MjModel, steps: int = 4000) -> Motion:
    rng, data = np.random.default_rng(0), mujoco.MjData(model)
    rows = []
    for step in range(steps):
        if step % 20 == 0:
            data.ctrl[:] = rng.uniform(*model.actuator_ctrlrange.T)
        qpos, qvel = data.qpos.copy(), data.qvel.copy()
        mujoco.mj_step(model, data)
        acceleration = (data.qvel - qvel) / model.opt.timestep
        rows.append((qpos, qvel, acceleration, data.ctrl.copy()))
    return Motion(*(torch.tensor(np.stack(column)) for column in zip(*rows, strict=True)))


@pytest.mark.parametrize("integrator", ["Euler", "implicitfast"])
@pytest.mark.parametrize(("kp", "kv"), [(1000.0, 80.0), (15.0, 2.0)])
def test_strong_and_weak_servos_are_found(integrator: str, kp: float, kv: float) -> None:
    model = mujoco.MjModel.from_xml_string(ARM.format(integrator=integrator, kp=kp, kv=kv))
    description = describe(model)
    start = guess(description)
    found = servos_from_motion(description, start, moved(model))
    assert 0.5 < found.gain[0, 0] / kp < 2
    assert found.bias[0, 1] == -found.gain[0, 0]
    assert -found.bias[0, 2] / found.gain[0, 0] == pytest.approx(kv / kp, rel=0.4)
    # With the arm hanging from it, in the middle of its range.
    assert 0.15 < found.armature[0] < 0.4
    # A motor is left as it was, and so is everything else.
    assert torch.equal(found.gain[1], start.gain[1])
    assert found.armature[1] == start.armature[1]
    assert torch.equal(found.mass, start.mass)


@pytest.mark.parametrize("gear", [10.0, -1.0])
def test_the_gear_of_a_servo_is_told(gear: float) -> None:
    reach = 2 * abs(gear)
    servo = f'kp="{1000 / gear**2}" kv="{80 / gear**2}" gear="{gear}"'
    text = ARM.format(integrator="Euler", kp=1000, kv=80).replace('kp="1000" kv="80"', servo)
    limit = 20 / abs(gear)
    text = text.replace('"-20 20"', f'"-{limit} {limit}"').replace('"-2 2"', f'"-{reach} {reach}"')
    model = mujoco.MjModel.from_xml_string(text)
    description = describe(model)
    start = guess(description)
    assert start.gear[0, 0] == gear
    found = servos_from_motion(description, start, moved(model))
    assert 0.5 < found.gain[0, 0] * gear**2 / 1000 < 2
    assert 0.15 < found.armature[0] < 0.4


def test_what_has_no_target_is_no_position_servo() -> None:
    text = ARM.format(integrator="Euler", kp=1, kv=1).replace(
        '<position joint="shoulder" kp="1"', '<velocity joint="shoulder"'
    )
    model = mujoco.MjModel.from_xml_string(text)
    description = describe(model)
    start = guess(description)
    found = servos_from_motion(description, start, moved(model, 200))
    assert torch.equal(found.gain, start.gain)
    assert torch.equal(found.armature, start.armature)
    assert not all_found(description)
