"""Random MJCF bodies: any joints in any number and order, anchors, references, fixed turns."""

from __future__ import annotations

import mujoco
import numpy as np

#: Few, so that parallel axes are met often.
_AXES = ("1 0 0", "0 1 0", "0 0 1", "0 -1 0", ".6 0 .8", ".2 -.5 .3")
#: A quarter turn keeps axes parallel to those ahead of it.
_TURNS = ("1 0 0 0", "1 0 0 0", "1 0 0 1", ".8 .1 -.4 .2")
#: Joints that repeat one another would make the inertia singular.
_REGULAR = '<default><joint armature="1"/></default>'


def random_tree(rng: np.random.Generator) -> mujoco.MjModel:
    """A tree of at most eight bodies, among them some that nothing moves."""
    parents = [int(rng.integers(0, body + 1)) for body in range(int(rng.integers(1, 9)))]
    worldbody = _children(0, parents, rng)
    return mujoco.MjModel.from_xml_string(
        f'<mujoco><compiler angle="radian"/>{_REGULAR}<worldbody>{worldbody}</worldbody></mujoco>'
    )


def _children(body: int, parents: list[int], rng: np.random.Generator) -> str:
    children = [child + 1 for child, parent in enumerate(parents) if parent == body]
    return "".join(_body(child, body, parents, rng) for child in children)


def _body(body: int, parent: int, parents: list[int], rng: np.random.Generator) -> str:
    return f"""
      <body name="b{body}" pos="{_vector(rng)}" quat="{rng.choice(_TURNS)}">
        {_joints(parent, rng)}
        <geom name="g{body}" type="box" size=".1 .2 .3" pos="{_vector(rng)}"/>
        <site name="s{body}" pos="{_vector(rng)}"/>
        {_children(body, parents, rng)}
      </body>"""


def _joints(parent: int, rng: np.random.Generator) -> str:
    if parent == 0 and rng.random() < 0.3:
        return "<freejoint/>"
    ball = rng.random() < 0.3
    n = int(rng.integers(0, 3 if ball else 4))
    joints = [_joint(kind, rng) for kind in rng.choice(["hinge", "hinge", "slide"], n).tolist()]
    if ball:
        # MuJoCo takes hinges ahead of a ball on one body, behind it only slides; 6 dofs in all.
        joints.append(_joint("ball", rng))
        joints += [_joint("slide", rng) for _ in range(int(rng.integers(0, 2)))]
    return "".join(joints)


def _joint(kind: str, rng: np.random.Generator) -> str:
    anchor = rng.choice(["0 0 0", _vector(rng)])
    if kind == "ball":
        return f'<joint type="ball" pos="{anchor}"/>'
    axis, reference = rng.choice(_AXES), f"{rng.normal():.3f}"
    return f'<joint type="{kind}" pos="{anchor}" axis="{axis}" ref="{reference}"/>'


def _vector(rng: np.random.Generator) -> str:
    return " ".join(f"{value:.3f}" for value in rng.normal(0, 0.3, 3))
