"""Start states of every torch-native task against dm_control's own resets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from mosim_gym.robots.spec import JointType
from mosim_gym.tasks.mujoco import state_of
from mosim_gym.types import State
from tests.tasks.parity import TWINS

THEIRS, OURS = 1000, 5000
#: With fixed seeds. Were the laws the same, one in 10,000 comparisons would fall below.
SIGNIFICANT = 1e-4


def flat(fields):
    return np.concatenate(
        [fields[name] for name in ("qpos", "qvel", "context") if name in fields], 1
    )


@pytest.fixture(scope="module", params=TWINS, ids=str)
def twin(request):
    return request.param


def resets(twin, n):
    """The states of dm_control's resets, not those the banks were made from."""
    env = twin.load_env(value=12345)
    states = []
    for _ in range(n):
        env.reset()
        states.append(State.from_numpy(state_of(env)))
    return flat(State.cat(states).numpy())


def score(mine, theirs):
    """By how many standard errors two means differ."""
    return abs(mine.mean() - theirs.mean()) / np.hypot(
        mine.std() / len(mine) ** 0.5, theirs.std() / len(theirs) ** 0.5
    )


def assert_same_law(mine, theirs, what):
    assert ks_2samp(mine, theirs).pvalue > SIGNIFICANT, what
    # The squares tell a width that is a little off, to which the first test is nearly blind.
    assert score(mine**2, theirs**2) < 4.5, what


def test_they_are_distributed_as_dm_controls(twin):
    theirs = resets(twin, THEIRS)
    rng = np.random.default_rng(1)
    ours = flat(twin.make().initial_states(OURS, rng).numpy())
    centre, spread = theirs.mean(0), theirs.std(0)
    moves = spread > 1e-12
    assert (ours[:, ~moves] == theirs[0, ~moves]).all()
    mine, others = ((values - centre)[:, moves] / spread[moves] for values in (ours, theirs))
    for column in range(mine.shape[1]):
        assert_same_law(mine[:, column], others[:, column], column)
    # Products of two coordinates show how they hang together; one alone does not.
    for one, other in rng.integers(mine.shape[1], size=(20, 2)):
        mixed = (values[:, one] * values[:, other] for values in (mine, others))
        assert ks_2samp(*mixed).pvalue > SIGNIFICANT, (one, other)


def test_they_belong_to_the_generator(twin):
    task = twin.make()
    one, same, other = (task.initial_states(7, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for (name, value), (_, again) in zip(one.items(), same.items(), strict=True):
        assert value.dtype == torch.float64, name
        assert torch.equal(value, again), name
    assert not torch.equal(one.qpos, other.qpos)
    assert len(task.initial_states(1, np.random.default_rng(0))) == 1


def test_they_are_states_of_their_own(twin):
    task = twin.make()
    once = task.initial_states(50, np.random.default_rng(3))
    for _, value in once.items():
        value.fill_(7.0)
    again = task.initial_states(50, np.random.default_rng(3))
    assert not (again.qpos == 7).any()


def test_they_fit_the_body(twin):
    robot, task = twin.robot, twin.make()
    state = task.initial_states(2000, np.random.default_rng(5))
    assert state.qpos.shape == (2000, robot.nq) and state.qvel.shape == (2000, robot.nv)
    assert state.isfinite().all()
    assert (0 if state.context is None else state.context.shape[1]) == task.context_size
    # A body that has settled may press a joint a little past its stop: MuJoCo's limits are soft.
    slack = 0.05 if state.qvel.any() else 1e-12
    for joint in robot.joints:
        values = state.qpos[:, joint.qpos_index : joint.qpos_index + joint.type.nq]
        if joint.range is not None and joint.type in (JointType.HINGE, JointType.SLIDE):
            assert (values >= joint.range[0] - slack).all(), joint.name
            assert (values <= joint.range[1] + slack).all(), joint.name
        if joint.type in (JointType.FREE, JointType.BALL):
            assert ((values[:, -4:].norm(dim=1) - 1).abs() < 1e-9).all(), joint.name
