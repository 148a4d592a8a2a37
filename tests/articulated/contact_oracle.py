"""States in which bodies touch the ground and themselves, and what MuJoCo says of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.contacts import Contacts
from mosim_gym.articulated.description import Description, describe
from mosim_gym.articulated.limits import JointRows
from mosim_gym.articulated.physics import Physics, physics_of
from mosim_gym.articulated.rows import Block
from mosim_gym.articulated.smooth import Motion, Smooth
from mosim_gym.articulated.weights import InverseWeights, Weights
from tests.articulated.bodies import States, put

#: One of each shape, on a tilted plane and beside one another; all free.
SHAPES = """
<mujoco>
  <option timestep="0.004" cone="{cone}" impratio="{impratio}"/>
  <default><geom condim="{condim}" friction=".8 .02 .005" margin=".02" gap=".004"
                 solimp=".8 .97 .02 .4 3" solref=".03 .8"/>
    <default class="on"><geom contype="2" conaffinity="0"/></default></default>
  <worldbody>
    <geom name="ground" type="plane" conaffinity="3" size="5 5 .1"
          euler="10 -5 20" pos=".3 .2 -.1"/>
    <body pos="0 0 .1"><freejoint/><geom type="sphere" size=".1"/>
      <geom type="sphere" size=".05" pos=".1 .05 0"/></body>
    <body pos=".1 .1 .1"><freejoint/><geom type="capsule" size=".05 .1"/></body>
    <body pos=".1 -.1 .1"><freejoint/><geom type="capsule" size=".06 .08" euler="40 0 10"/></body>
    <body pos="1 0 .1"><freejoint/><geom type="box" size=".1 .07 .05" class="on"/></body>
    <body pos="1 1 .1"><freejoint/><geom type="ellipsoid" size=".1 .07 .05" class="on"/></body>
    <body pos="0 1 .1"><freejoint/><geom type="cylinder" size=".1 .07" class="on"/></body>
  </worldbody>
</mujoco>
"""

#: Limits of hinges, slides and balls with margins, dry friction, direct solref; no contacts.
LIMITS = """
<mujoco>
  <option timestep="0.004"/>
  <worldbody>
    <body pos="0 0 1">
      <joint type="hinge" axis="0 1 0" range="-20 30" limited="true" margin=".05"
             solimplimit=".5 .97 .2 .3 4" solreflimit=".05 .7" frictionloss=".3"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".05" contype="0" conaffinity="0"/>
      <body pos=".3 0 0">
        <joint type="ball" range="0 40" limited="true" margin=".1" solreflimit="-500 -20"/>
        <geom type="capsule" fromto="0 0 0 .2 .1 0" size=".04" contype="0" conaffinity="0"/>
        <body pos=".2 .1 0">
          <joint type="slide" axis="0 .6 .8" range="-.05 .1" limited="true" frictionloss=".7"
                 solreffriction=".05 1" solimpfriction=".7 .9 .01"/>
          <geom type="sphere" size=".05" contype="0" conaffinity="0"/>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""

#: A capsule over two planes: of a body that is lowered and pitched, and of one fixed to it.
LOWERED = """
<mujoco>
  <option timestep="0.004" tolerance="0" iterations="200"/>
  <worldbody>
    <body name="ground" pos=".1 0 -.5" euler="0 8 0">
      <geom type="plane" size="5 5 .1" pos="0 0 .04" euler="0 -2 0"/>
      <body name="wall" pos="1 0 .2" euler="0 -100 0">
        <geom type="plane" size="5 5 .1" pos=".1 0 0"/>
      </body>
    </body>
    <body name="capsule" pos="0 0 -.3">{joints}<geom type="capsule" size=".1 .2"/></body>
  </worldbody>
</mujoco>
"""
_IN_PLANE = (
    '<joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 0 1"/><joint axis="0 1 0"/>'
)


def lowered(*, planar: bool) -> mujoco.MjModel:
    joints = _IN_PLANE if planar else "<freejoint/>"
    return mujoco.MjModel.from_xml_string(LOWERED.format(joints=joints))


def shapes(cone: str = "pyramidal", condim: int = 3, impratio: float = 1.0) -> mujoco.MjModel:
    xml = SHAPES.format(cone=cone, condim=condim, impratio=impratio)
    return mujoco.MjModel.from_xml_string(xml)


def limits() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(LIMITS)


@dataclass(frozen=True)
class Parts:
    """A body of ours at a batch of states."""

    description: Description
    physics: Physics
    weights: Weights
    motion: Motion
    blocks: list[Block]
    overflow: Tensor


@cache
def described(model: mujoco.MjModel) -> tuple[Description, Physics, Smooth]:
    description = describe(model)
    return description, physics_of(model, description), Smooth(description)


def parts(model: mujoco.MjModel, states: States, slots: int | None = None) -> Parts:
    description, physics, smooth = described(model)
    weights = InverseWeights(description, smooth)(physics)
    motion = smooth(physics, states.qpos, states.qvel, states.act, states.ctrl)
    rows = Contacts(description, slots)(physics, weights, motion.kinetics, states.qvel)
    joints = JointRows(description)(physics, weights, states.qpos, states.qvel)
    return Parts(description, physics, weights, motion, [*joints, *rows.blocks], rows.overflow)


def moving_states(model: mujoco.MjModel, rows: int, seed: int = 0, steps: int = 400) -> States:
    """States along a motion under random controls, falling over and lying included."""
    rng = np.random.default_rng(seed)
    data = mujoco.MjData(model)
    found: list[tuple[np.ndarray, ...]] = []
    keep = set(np.linspace(1, steps, rows).astype(int).tolist())
    data.qvel[:] = rng.normal(0, 0.5, model.nv)
    for step in range(1, steps + 1):
        if step % 10 == 1:
            data.ctrl[:] = rng.uniform(-1, 1, model.nu)
        mujoco.mj_step(model, data)
        if step in keep:
            found.append((data.qpos.copy(), data.qvel.copy(), data.act.copy(), data.ctrl.copy()))
    qpos, qvel, act, ctrl = (torch.tensor(np.stack(column)) for column in zip(*found, strict=True))
    return States(qpos, qvel, act if model.na else None, ctrl)


@dataclass(frozen=True)
class Answer:
    """MuJoCo's of one state."""

    contacts: list[tuple[int, int, float, np.ndarray, np.ndarray]]
    jacobian: np.ndarray
    reference: np.ndarray
    firmness: np.ndarray
    force: np.ndarray
    smooth: np.ndarray
    acceleration: np.ndarray


def ask(model: mujoco.MjModel, states: States) -> list[Answer]:
    """MuJoCo's answers, its solver run to the end."""
    data = mujoco.MjData(model)
    tolerance, iterations = model.opt.tolerance, model.opt.iterations
    model.opt.tolerance, model.opt.iterations = 0, 300
    found = []
    for row in range(len(states.qpos)):
        put(model, data, states, row)
        mujoco.mj_forward(model, data)
        found.append(_answer(model, data))
    model.opt.tolerance, model.opt.iterations = tolerance, iterations
    return found


def _answer(model: mujoco.MjModel, data: mujoco.MjData) -> Answer:
    contacts = [
        (int(c.geom[0]), int(c.geom[1]), float(c.dist), c.pos.copy(), c.frame.reshape(3, 3).copy())
        for c in data.contact[: data.ncon]
        if c.dist < c.includemargin
    ]
    jacobian = np.zeros((data.nefc, model.nv))
    if mujoco.mj_isSparse(model):
        mujoco.mju_sparse2dense(
            jacobian, data.efc_J, data.efc_J_rownnz, data.efc_J_rowadr, data.efc_J_colind
        )
    else:
        jacobian[:] = data.efc_J.reshape(data.nefc, model.nv)
    rows = (data.efc_aref, data.efc_D, data.efc_force)
    return Answer(
        contacts,
        jacobian,
        *(value.copy() for value in rows),
        data.qacc_smooth.copy(),
        data.qacc.copy(),
    )
