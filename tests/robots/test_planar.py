"""Closed-form kinematics of planar bodies against MuJoCo's, and what they refuse."""

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.errors import MosimError
from mosim_gym.robots.planar import PlanarKinematics, Plane
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.mujoco import load_dm_env

#: A slide and a hinge with references, anchors, bodies turned as fixed, one that nothing turns.
BENT = """
<mujoco>
  <worldbody>
    <body name="cart" pos=".1 0 .2" euler="0 30 0">
      <joint name="rail" type="slide" axis="1 0 .5" ref=".3"/>
      <joint name="lift" type="slide" axis="0 0 1"/>
      <geom name="cart" size=".1" pos=".05 0 0"/>
      <body name="mast" pos="0 .1 .3" euler="0 -50 0"><geom name="mast" size=".05" pos="0 0 .1"/>
        <body name="arm" pos="0 0 .2" euler="0 70 0">
          <joint name="elbow" axis="0 -2 0" pos=".03 .2 .02" ref="25"/>
          <geom name="arm" size=".03" pos=".1 0 0"/>
          <site name="tip" pos=".2 .01 .03"/>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
SUITE = {
    ("acrobot", "swingup"): Plane.XZ,
    ("cartpole", "three_poles"): Plane.XZ,
    ("cheetah", "run"): Plane.XZ,
    ("hopper", "hop"): Plane.XZ,
    ("swimmer", "swimmer15"): Plane.XY,
    ("walker", "run"): Plane.XZ,
}
ROWS = 20


@pytest.fixture(scope="module", params=[None, *SUITE], ids=str)
def body(request):
    """Model, axes of the plane, kinematics, positions and velocities."""
    if request.param is None:
        model, plane = mujoco.MjModel.from_xml_string(BENT), Plane.XZ
    else:
        model, plane = load_dm_env(*request.param).physics.model.ptr, SUITE[request.param]
    rng = np.random.default_rng(0)
    qpos, qvel = rng.normal(0, 2, (ROWS, model.nq)), rng.normal(0, 3, (ROWS, model.nv))
    kinematics = PlanarKinematics(Tree.from_mujoco(model), plane)
    return model, list(plane.value), kinematics, qpos, qvel


def mujoco_says(model, qpos, qvel, read):
    """What `read` makes of MuJoCo's data, row by row."""
    data, rows = mujoco.MjData(model), []
    for row in range(ROWS):
        data.qpos[:], data.qvel[:] = qpos[row], qvel[row]
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        rows.append(np.array(read(data)))
    return np.array(rows)


def velocities(model, data, kind, number):
    found = np.zeros((number, 6))
    for index in range(number):
        mujoco.mj_objectVelocity(model, data, kind, index, found[index], 0)
    return found


def same(ours, theirs):
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-12)


def test_headings_and_spins(body):
    model, axes, kinematics, qpos, qvel = body
    poses = kinematics(torch.from_numpy(qpos), torch.from_numpy(qvel))
    frames = mujoco_says(model, qpos, qvel, lambda data: data.xmat[1:].reshape(-1, 3, 3))
    first, second = axes
    same(poses.cosine, frames[..., first, first])
    same(poses.sine, frames[..., second, first])
    normal = np.cross(*np.eye(3)[axes])
    kind = mujoco.mjtObj.mjOBJ_XBODY
    found = mujoco_says(model, qpos, qvel, lambda data: velocities(model, data, kind, model.nbody))
    same(poses.spin, found[:, 1:, :3] @ normal)


def test_points_and_their_velocities(body):
    model, axes, kinematics, qpos, qvel = body
    poses = kinematics(torch.from_numpy(qpos), torch.from_numpy(qvel))
    bodies, geoms = kinematics.tree.bodies.names, kinematics.tree.geoms.names
    sites, kinds = kinematics.tree.sites.names, mujoco.mjtObj
    cases = [
        (kinematics.bodies(*bodies), "xpos", kinds.mjOBJ_XBODY, model.nbody),
        (kinematics.centres(*bodies), "xipos", kinds.mjOBJ_BODY, model.nbody),
        (kinematics.geoms(*geoms), "geom_xpos", kinds.mjOBJ_GEOM, model.ngeom),
    ]
    if sites:
        cases.append((kinematics.sites(*sites), "site_xpos", kinds.mjOBJ_SITE, model.nsite))
    for points, field, kind, number in cases:
        places = mujoco_says(model, qpos, qvel, lambda data, field=field: getattr(data, field))
        same(poses.points(points), places[..., axes])
        found = mujoco_says(
            model, qpos, qvel, lambda data, of=(kind, number): velocities(model, data, *of)
        )
        same(poses.point_velocities(points), found[..., 3:][..., axes])


def test_centres_of_mass_of_subtrees(body):
    model, axes, kinematics, qpos, qvel = body
    poses = kinematics(torch.from_numpy(qpos), torch.from_numpy(qvel))
    for index, name in enumerate(kinematics.tree.bodies.names):
        centre = kinematics.subtree_centre(name)
        places = mujoco_says(model, qpos, qvel, lambda data, i=index: data.subtree_com[i])
        same(poses.points(centre)[:, 0], places[:, axes])
        moves = mujoco_says(model, qpos, qvel, lambda data, i=index: data.subtree_linvel[i])
        same(poses.point_velocities(centre)[:, 0], moves[:, axes])


def test_it_is_differentiable_after_a_call_in_inference_mode(body):
    _, _, kinematics, qpos, qvel = body
    q, v = torch.from_numpy(qpos[:2]), torch.from_numpy(qvel[:2])
    centre = kinematics.subtree_centre(kinematics.tree.bodies.names[1])
    with torch.inference_mode():
        kinematics(q.clone(), v).point_velocities(centre)

    def speed(q):
        return kinematics(q, v).point_velocities(centre)

    assert torch.autograd.gradcheck(speed, q.clone().requires_grad_())


#: What hangs from the world, and what is said of it.
REFUSED = {
    "tilted hinge": ('<joint name="odd" axis="1 1 0"/>', "joint 'odd' leaves it"),
    "sideways slide": ('<joint name="odd" type="slide" axis="0 1 0"/>', "joint 'odd' leaves it"),
    "ball": ('<joint name="odd" type="ball"/>', "joint 'odd' leaves it"),
    "two hinges": ('<joint axis="0 1 0"/><joint name="odd" axis="0 1 0"/>', "'odd' comes after"),
    "late slide": ('<joint axis="0 1 0"/><joint name="odd" type="slide"/>', "'odd' comes after"),
    "turned slide": (
        '<joint axis="0 1 0"/><body><joint name="odd" type="slide" axis="1 0 0"/>'
        '<geom size=".1"/></body>',
        "joint 'odd' leaves it, or is a slide that a hinge turns",
    ),
    "tilted body": ('<body name="odd" euler="20 0 0"><geom size=".1"/></body>', "'odd' is tilted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_that_leaves_the_plane_is_refused(name):
    inside, words = REFUSED[name]
    xml = f'<mujoco><worldbody><body>{inside}<geom size=".1"/></body></worldbody></mujoco>'
    tree = Tree.from_mujoco(mujoco.MjModel.from_xml_string(xml))
    with pytest.raises(MosimError, match=f"does not move in a plane: .*{words}.*Use Kinematics"):
        PlanarKinematics(tree, Plane.XZ)
