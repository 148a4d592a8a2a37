"""Random poses against dm_control's own randomizer, on a body with every kind of joint."""

import numpy as np
from dm_control import mujoco
from dm_control.suite.utils import randomizers
from scipy.stats import ks_2samp

from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.randomizers import randomize_joints

BODY = """
<mujoco>
  <worldbody>
    <body pos="1 2 3"><freejoint name="free"/><geom size=".1"/>
      <body><joint name="ball" type="ball"/><geom size=".1"/>
        <body><joint name="short" type="ball" range="0 40" limited="true"/><geom size=".1"/>
          <body><joint name="hinge" ref="20"/><geom size=".1"/>
            <body><joint name="stop" range="-10 70" limited="true"/><geom size=".1"/></body>
          </body>
        </body>
      </body>
    </body>
    <body><joint name="rail" type="slide" range="-.2 .5" limited="true"/><geom size=".1"/>
      <body><joint name="far" type="slide" ref=".3"/><geom size=".1"/></body>
    </body>
  </worldbody>
</mujoco>
"""
THEIRS, OURS = 2000, 8000


def test_every_kind_of_joint_is_drawn_as_dm_control_draws_it():
    physics, random = mujoco.Physics.from_xml_string(BODY), np.random.RandomState(0)
    theirs = []
    for _ in range(THEIRS):
        physics.reset()
        randomizers.randomize_limited_and_rotational_joints(physics, random)
        theirs.append(physics.data.qpos.copy())
    theirs = np.array(theirs)
    state = randomize_joints(Tree.from_mujoco(physics.model.ptr), OURS, np.random.default_rng(0))
    ours = state.qpos.numpy()
    assert not state.qvel.any() and state.act is None and state.context is None
    still = np.ptp(theirs, axis=0) == 0
    assert still.sum() == 4  # where the free body is, and the slide without limits
    np.testing.assert_array_equal(ours[:, still], np.tile(theirs[0, still], (OURS, 1)))
    rng = np.random.default_rng(1)
    moving = np.flatnonzero(~still)
    for column in moving:
        # 14 columns and 30 products; were the laws the same, one in 200 runs would fail.
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-4, column
    for one, other in rng.choice(moving, (30, 2)):
        products = (values[:, one] * values[:, other] for values in (ours, theirs))
        assert ks_2samp(*products).pvalue > 1e-4, (one, other)


def test_it_would_see_a_free_joint_turned_uniformly():
    tree = Tree.from_mujoco(mujoco.Physics.from_xml_string(BODY).model.ptr)
    drawn = randomize_joints(tree, 500, np.random.default_rng(0)).qpos
    assert (drawn[:, 3:7] >= 0).all() and (drawn[:, 7:11] < 0).any()
