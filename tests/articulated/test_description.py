"""What is told of a body: filters of contact, round trips, and what is refused."""

from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest
from dm_control import suite

from mosim_gym.articulated.description import Description, describe
from mosim_gym.articulated.pairs import contacts_of, pairs_of
from mosim_gym.errors import MosimError
from tests.articulated.bodies import draw, mixed, put, suite_model

#: Bodies side by side and inside each other, so that all touch that may.
CROWD = """
<mujoco>
  <option>{flag}</option>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1" friction=".2 .3 .4" solmix="3"/>
    <geom name="post" type="sphere" size=".2" contype="2" conaffinity="2"/>
    <body name="a">
      <freejoint/>
      <geom name="a1" type="sphere" size=".2" friction=".9 .1 .01" condim="4" solref=".03 .9"/>
      <geom name="a2" type="capsule" size=".2 .1" contype="2" conaffinity="1" priority="2"
            friction=".1 .2 .3" condim="6" solimp=".8 .9 .01 .4 3" margin=".02"/>
      <body name="b">
        <joint type="ball"/>
        <geom name="b1" type="sphere" size=".2" contype="3" conaffinity="3" solmix="0"/>
        <body name="c">
          <geom name="c1" type="sphere" size=".2" solref="-500 -20" gap=".01" margin=".03"/>
          <body name="d">
            <joint type="hinge"/>
            <geom name="d1" type="capsule" size=".2 .1" contype="3" conaffinity="3"/>
          </body>
        </body>
      </body>
    </body>
    <body name="e">
      <freejoint/>
      <geom name="e1" type="sphere" size=".2" condim="1"/>
      <geom name="e2" type="sphere" size=".2" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <contact>
    <exclude body1="e" body2="a"/>
    <pair geom1="e1" geom2="a1" friction=".5 .6 .7 .8 .9" condim="3" margin=".05" gap=".02"/>
    <pair geom1="e2" geom2="floor" solref=".04 1.1" solimp=".7 .8 .02 .5 2"/>
  </contact>
</mujoco>
"""
FLAGS = ["", '<flag filterparent="disable"/>', '<flag contact="disable"/>']


@pytest.mark.parametrize("flag", FLAGS)
def test_pairs_and_their_parameters_are_mujocos(flag: str) -> None:
    model = mujoco.MjModel.from_xml_string(CROWD.format(flag=flag))
    pairs = pairs_of(model)
    table = contacts_of(model, pairs)
    index = {pair: k for k, pair in enumerate(zip(pairs.geom1, pairs.geom2, strict=True))}
    data, states, seen = mujoco.MjData(model), draw(model, 40), set()
    for row in range(40):
        put(model, data, states._replace(qpos=0.2 * states.qpos), row)
        mujoco.mj_forward(model, data)
        for contact in data.contact:
            k = index[tuple(contact.geom)]
            seen.add(k)
            assert contact.dim == pairs.condim[k]
            np.testing.assert_allclose(contact.friction, table.friction[k])
            np.testing.assert_allclose(contact.solref, table.solref[k])
            np.testing.assert_allclose(contact.solimp, table.solimp[k])
    # Every candidate touched at some time, so there is none too many either.
    assert seen == set(index.values())


@pytest.mark.parametrize("name", ["mixed", "ball_in_cup", "cheetah", "humanoid", "swimmer"])
def test_a_description_survives_json(name: str) -> None:
    description = describe(mixed() if name == "mixed" else suite_model(name))
    text = json.dumps(description.to_json(), allow_nan=False)
    again = Description.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.tree.bodies.mass.sum() == 0


def test_descriptions_written_before_there_were_fluids_and_strings_are_read() -> None:
    description = describe(mixed())
    later = ("fluid", "strings", "sprung")
    fields = {k: v for k, v in description.to_json().items() if k not in later}
    old = Description.from_json(fields)
    assert (old.fluid, old.strings, old.sprung) == (None, None, None)
    # Springs of joints without limits were not there.
    assert description.may_be_sprung.sum() > old.may_be_sprung.sum() == 0


def test_a_foreign_description_is_refused() -> None:
    fields = describe(mixed()).to_json()
    with pytest.raises(MosimError, match="Not the description of a body: KeyError"):
        Description.from_json({"tree": fields["tree"]})
    with pytest.raises(MosimError, match="unknown entries"):
        Description.from_json({**fields, "colour": 1})


@pytest.mark.parametrize(
    ("domain", "task", "what"),
    [
        ("fish", "upright", "tendon 'fins_sym' has a spring"),
        ("finger", "spin", "contact between a capsule and a cylinder"),
        ("quadruped", "walk", "4 equality constraints"),
        ("manipulator", "bring_ball", "equality constraints"),
    ],
)
def test_what_is_not_covered_is_listed(domain: str, task: str, what: str) -> None:
    model = suite.load(domain, task).physics.model.ptr
    with pytest.raises(MosimError, match=f"does not cover .*{what}"):
        describe(model)
