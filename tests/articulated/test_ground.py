"""What a network is told of the ground, of bodies whose physics is not covered."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.description import Description, describe
from mosim_gym.dynamics.approaches import approaches_of
from mosim_gym.errors import MosimError
from mosim_gym.tasks.mujoco import model_of
from tests.articulated.bodies import draw, put


def test_quadrupeds_feet_are_as_near_the_ground_as_mujoco_says() -> None:
    model = model_of("quadruped", "walk")
    with pytest.raises(MosimError, match='equality constraints.*preset "contact"'):
        describe(model)
    told = describe(model, ground=True)
    description = Description.from_json(told.to_json())
    moves = description.weld[description.tree.geoms.body] != 0
    pairs = description.pairs
    assert len(pairs) and (moves[pairs.geom1] != moves[pairs.geom2]).all()
    states = draw(model, 20)
    states.qpos[:, 2] = 0.3
    approaches = approaches_of(description)
    distance, _ = approaches(states.qpos, states.qvel)
    data, seen = mujoco.MjData(model), 0
    for row in range(20):
        put(model, data, states, row)
        mujoco.mj_forward(model, data)
        floor = {int(g) for g in pairs.geom1}
        dist = [c.dist for c in data.contact if set(c.geom.tolist()) & floor]
        seen += len(dist)
        if dist:
            np.testing.assert_allclose(float(distance[row].min()), min(dist), atol=1e-9)
        else:
            assert float(distance[row].min()) > 0
    assert seen > 20


def test_actuators_may_be_of_any_kind() -> None:
    model = mujoco.MjModel.from_xml_string(
        """
        <mujoco>
          <worldbody>
            <geom type="plane" size="1 1 .1"/>
            <body name="a" pos="0 0 1">
              <joint name="j"/><geom size=".1" pos=".2 0 0"/><site name="s"/>
              <site name="end" pos="0 0 .1"/>
            </body>
          </worldbody>
          <tendon><spatial name="t"><site site="s"/><site site="end"/></spatial></tendon>
          <actuator>
            <adhesion body="a" ctrlrange="0 1"/>
            <motor site="s"/>
            <motor tendon="t"/>
            <muscle joint="j" lengthrange="0 1"/>
          </actuator>
        </mujoco>
        """
    )
    description = Description.from_json(describe(model, ground=True).to_json())
    assert len(description.actuators.names) == 4
    distance, _ = approaches_of(description)(torch.zeros(1, 1), torch.zeros(1, 1))
    assert float(distance.min()) == pytest.approx(0.9, abs=1e-6)


def test_what_shapes_are_not_covered_is_said() -> None:
    model = mujoco.MjModel.from_xml_string(
        """
        <mujoco>
          <worldbody>
            <geom type="box" size="1 1 .1"/>
            <body pos="0 0 1"><freejoint/><geom type="cylinder" size=".1 .1"/></body>
          </worldbody>
        </mujoco>
        """
    )
    with pytest.raises(MosimError, match='cylinder and a box.*preset "default"'):
        describe(model, ground=True)
