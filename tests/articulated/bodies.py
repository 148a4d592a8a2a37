"""Bodies to test the articulated dynamics on, and what MuJoCo says of them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from mosim_gym.tasks.mujoco import load_dm_env

#: Bodies of tasks that are covered, with a task each.
SUITE = {
    "acrobot": "swingup",
    "ball_in_cup": "catch",
    "cartpole": "two_poles",
    "cheetah": "run",
    "go2": "walk",
    "hopper": "hop",
    "humanoid": "run",
    "panda": "reach",
    "pendulum": "swingup",
    "point_mass": "easy",
    "reacher": "easy",
    "swimmer": "swimmer6",
    "walker": "walk",
}

#: Every joint type, several joints a body, two trees, a fixed tendon, all kinds of activations,
#: affine gains and biases, force limits, springs and armature; nothing touches.
MIXED = """
<mujoco>
  <option timestep="0.004" integrator="{integrator}">
    <flag contact="disable"/>
  </option>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <body name="trunk" pos="0 .1 1" quat="1 .2 0 .1">
      <freejoint name="root"/>
      <geom type="box" size=".2 .1 .05" pos=".03 .01 0" euler="10 20 30"/>
      <body name="head" pos=".3 0 .1" quat=".9 .1 .2 .3">
        <joint name="neck" type="ball" pos="-.05 .02 0" damping=".3" armature=".02"/>
        <geom type="ellipsoid" size=".08 .05 .06" pos=".02 0 0"/>
        <body name="fixed" pos="0 .1 0"><geom type="sphere" size=".03"/></body>
      </body>
      <body name="arm" pos="0 0 .2" euler="0 30 0">
        <joint name="lift" type="slide" axis="0 .6 .8" damping=".4" stiffness="20"
               springref=".1"/>
        <joint name="yaw" axis="0 0 1" pos=".02 0 0" stiffness="1" damping=".05"/>
        <joint name="pitch" axis=".6 .8 0" pos="0 .03 0" ref=".2" armature=".01"/>
        <geom type="capsule" fromto="0 0 0 .3 0 .1" size=".03"/>
        <body name="hand" pos=".3 0 .1">
          <joint name="wrist" axis="0 1 0" damping=".02"/>
          <geom type="cylinder" size=".04 .02" pos=".05 0 0" euler="0 90 0"/>
        </body>
      </body>
    </body>
    <body name="cart" pos="2 0 1">
      <joint name="cart" type="slide" axis="1 0 0" damping="1" frictionloss="0"/>
      <geom type="box" size=".1 .1 .1"/>
      <body name="pole" pos="0 0 .1">
        <joint name="pole" axis="0 1 0" armature=".003"/>
        <geom type="capsule" fromto="0 0 0 0 0 .5" size=".03"/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <fixed name="both"><joint joint="yaw" coef=".5"/><joint joint="wrist" coef="-2"/></fixed>
  </tendon>
  <actuator>
    <motor joint="cart" gear="3" ctrlrange="-1 1" ctrllimited="true"/>
    <position joint="pitch" kp="5" kv=".3" forcerange="-1 2" forcelimited="true"/>
    <velocity joint="wrist" kv=".7"/>
    <general tendon="both" gainprm="2" biastype="affine" biasprm=".1 -.4 -.2" dyntype="filter"
             dynprm=".05"/>
    <general joint="lift" gaintype="affine" gainprm="2 .3 .1" gear="1.5"/>
    <general joint="pole" dyntype="integrator" gainprm=".4"/>
  </actuator>
</mujoco>
"""


def mixed(integrator: str = "Euler") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(MIXED.format(integrator=integrator))


@cache
def suite_model(domain: str) -> mujoco.MjModel:
    environment = load_dm_env(domain, SUITE[domain], {"random": 0})
    environment.reset()
    return environment.physics.model.ptr


class States(NamedTuple):
    """States and controls, ``(rows, n)``."""

    qpos: Tensor
    qvel: Tensor
    act: Tensor | None
    ctrl: Tensor


def draw(model: mujoco.MjModel, rows: int = 6, seed: int = 0) -> States:
    """Random states within joint ranges, and controls beyond theirs."""
    rng = np.random.default_rng(seed)
    qpos = model.qpos0 + rng.normal(0, 0.7, (rows, model.nq))
    for joint in range(model.njnt):
        at = model.jnt_qposadr[joint]
        if model.jnt_limited[joint] and model.jnt_type[joint] >= 2:
            low, high = model.jnt_range[joint]
            qpos[:, at] = rng.uniform(low, high, rows)
        elif model.jnt_type[joint] < 2:
            start = at + (3 if model.jnt_type[joint] == 0 else 0)
            turn = rng.normal(size=(rows, 4))
            qpos[:, start : start + 4] = turn / np.linalg.norm(turn, axis=1, keepdims=True)
    qvel = rng.normal(0, 2, (rows, model.nv))
    ctrl = rng.uniform(-1.5, 1.5, (rows, model.nu))
    act = rng.uniform(-1, 1, (rows, model.na)) if model.na else None
    return States(*(None if v is None else torch.tensor(v) for v in (qpos, qvel, act, ctrl)))


def answers(model: mujoco.MjModel, states: States) -> dict[str, Tensor]:
    """What `mj_forward` says, by the names of MjData, and the mass matrix; stacked over rows."""
    data = mujoco.MjData(model)
    found: dict[str, list[np.ndarray]] = {}
    names = ("qfrc_bias", "qfrc_passive", "qfrc_actuator", "qacc_smooth", "qacc", "xpos", "xmat",
             "qfrc_smooth", "act_dot")  # fmt: skip
    for row in range(len(states.qpos)):
        put(model, data, states, row)
        mujoco.mj_forward(model, data)
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, mass)
        for name in names:
            found.setdefault(name, []).append(np.array(getattr(data, name)))
        found.setdefault("mass", []).append(mass)
    return {name: torch.tensor(np.stack(values)) for name, values in found.items()}


def put(model: mujoco.MjModel, data: mujoco.MjData, states: States, row: int) -> None:
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = states.qpos[row].numpy(), states.qvel[row].numpy()
    data.ctrl[:] = states.ctrl[row].numpy()
    if states.act is not None:
        data.act[:] = states.act[row].numpy()


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Largest error relative to the largest entry of each row."""
    scale = theirs.flatten(1).abs().amax(1).clamp(min=1e-12)
    return float(((ours - theirs.view_as(ours)).flatten(1).abs().amax(1) / scale).max())
