"""Tree: the arrays of a compiled model, by name."""

import mujoco
import numpy as np
import pytest

from mosim_gym.errors import UnknownNameError
from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Tree
from tests.robots.bodies import BODY, compiled


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return compiled(BODY)


@pytest.fixture(scope="module")
def tree(model) -> Tree:
    return Tree.from_mujoco(model)


def test_it_holds_what_the_model_holds(tree, model):
    assert (tree.nq, tree.nv) == (model.nq, model.nv)
    pairs = [
        (tree.bodies.parent, model.body_parentid),
        (tree.bodies.mass, model.body_mass),
        (tree.bodies.centre, model.body_ipos),
        (tree.bodies.inertia, model.body_inertia),
        (tree.bodies.inertia_quaternion, model.body_iquat),
        (tree.joints.axis, model.jnt_axis),
        (tree.joints.range, model.jnt_range),
        (tree.joints.limited, model.jnt_limited),
        (tree.geoms.size, model.geom_size),
        (tree.geoms.shape, model.geom_type),
        (tree.geoms.quaternion, model.geom_quat),
        (tree.sites.position, model.site_pos),
        (tree.qpos0, model.qpos0),
    ]
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)
    kinds = (JointType.FREE, JointType.BALL, JointType.SLIDE, JointType.HINGE, JointType.HINGE)
    assert tree.joints.types == kinds


def test_it_is_a_copy():
    model = compiled(BODY)
    tree = Tree.from_mujoco(model)
    before = tree.geoms.position.copy()
    model.geom_pos[:] += 1
    np.testing.assert_array_equal(tree.geoms.position, before)


def test_names_are_found(tree, model):
    assert tree.body("world") == 0
    assert tree.body("arm") == model.body("arm").id
    assert tree.geom("arm") == model.geom("arm").id
    assert tree.site("tip") == model.site("tip").id
    assert tree.joint("neck") == model.joint("neck").id
    assert tree.joint("joint3") == 3, "one without a name"


def test_unknown_names_are_answered_with_near_ones(tree):
    with pytest.raises(UnknownNameError, match="Unknown body 'trunc'. Did you mean 'trunk'"):
        tree.body("trunc")
    with pytest.raises(UnknownNameError, match="Unknown site 'top'"):
        tree.site("top")


def test_subtrees(tree):
    def named(body):
        return [tree.bodies.names[index] for index in tree.subtree(body)]

    assert named("mast") == ["mast", "arm"]
    assert named("trunk") == ["trunk", "head", "mast", "arm"]
    assert named("world") == list(tree.bodies.names)


def test_a_geom_at_the_centre_of_mass_is_put_there():
    """MuJoCo places what is within 1e-6 of the centre of mass at the centre itself."""
    body = """<mujoco><worldbody><body>
        <inertial pos="1 0 0" quat=".8 .6 0 0" mass="1" diaginertia="1 1.5 2"/>
        <geom type="sphere" size=".1" pos="1.0000002 0 0" quat=".8 .6 0 0"/>
    </body></worldbody></mujoco>"""
    model = compiled(body)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    tree = Tree.from_mujoco(model)
    np.testing.assert_array_equal(tree.geoms.position, data.geom_xpos)
    assert tree.geoms.position[0, 0] == 1.0
