"""Small MJCF bodies, and the tasks of the suite."""

from __future__ import annotations

import mujoco

#: Free, ball, slide and hinge joints; limits; actuators with and without activations and limits.
BODY = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.005" integrator="RK4"/>
  <worldbody>
    <light name="sun" pos="0 0 3"/>
    <camera name="eye" pos="0 -2 1"/>
    <geom name="floor" type="plane" size="5 5 .1"/>
    <geom name="mark" type="sphere" size=".1" contype="0" conaffinity="0" pos="1 1 1"/>
    <body name="trunk" pos="0 0 1">
      <freejoint name="root"/>
      <geom name="trunk" type="box" size=".2 .1 .1" rgba="1 0 0 1"/>
      <body name="head" pos=".3 0 0">
        <joint name="neck" type="ball" damping=".3"/>
        <geom name="head" type="sphere" size=".08"/>
      </body>
      <body name="mast" pos="0 0 .2">
        <joint name="lift" type="slide" axis="0 0 1" range="-.1 .3" limited="true"/>
        <geom name="mast" type="capsule" size=".03 .1"/>
        <body name="arm" pos="0 0 .2">
          <joint type="hinge" axis="0 1 0" range="-1.5707963267948966 .7853981633974483"
                 limited="true" damping=".1"/>
          <geom name="arm" type="capsule" fromto="0 0 0 .3 0 0" size=".02"/>
          <site name="tip" pos=".3 0 0"/>
        </body>
      </body>
    </body>
    <body name="wheel" pos="2 0 1">
      <joint name="wheel" type="hinge" axis="1 0 0"/>
      <geom name="wheel" type="cylinder" size=".2 .05"/>
    </body>
  </worldbody>
  <contact><exclude body1="head" body2="arm"/></contact>
  <actuator>
    <motor name="motor" joint="wheel" ctrlrange="-1 2" ctrllimited="true"/>
    <general joint="lift" dyntype="integrator" biastype="affine"/>
    <general name="piston" joint="wheel" dyntype="filter" dynprm=".1" ctrlrange="0 1"
             ctrllimited="true"/>
  </actuator>
</mujoco>
"""


def compiled(xml: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(xml)


def suite_tasks(*, one_per_domain: bool = False) -> list[tuple[str, str]]:
    """Tasks of dm_control's suite, but for the one that needs OpenGL at reset."""
    from dm_control import suite

    tasks = [pair for pair in suite.ALL_TASKS if pair != ("quadruped", "escape")]
    if one_per_domain:
        tasks = list({domain: (domain, task) for domain, task in reversed(tasks)}.values())
    return tasks
