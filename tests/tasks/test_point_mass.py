"""How the hard point mass draws the directions of its motors."""

import numpy as np
from scipy.stats import ks_2samp

from mosim_gym.tasks import point_mass
from mosim_gym.tasks.mujoco import context_of, load_dm_env, seed


def described(context):
    """Both bearings, and the second as seen from the first, in [0, 2 pi)."""
    first = np.arctan2(context[:, 1], context[:, 0])
    second = np.arctan2(context[:, 3], context[:, 2])
    return [first, second, (second - first) % (2 * np.pi)]


def test_the_directions_are_distributed_as_dm_controls():
    env = load_dm_env("point_mass", "hard")
    seed(env, 3)
    theirs = []
    for _ in range(2000):
        env.reset()
        theirs.append(context_of(env))
    ours = point_mass.hard().initial_states(20_000, np.random.default_rng(0)).numpy()["context"]
    for mine, other in zip(described(ours), described(np.array(theirs)), strict=True):
        assert ks_2samp(mine, other).pvalue > 1e-3
    pairs = ours.reshape(-1, 2, 2)
    np.testing.assert_allclose(np.linalg.norm(pairs, axis=2), 1, rtol=0, atol=1e-12)
    assert np.abs((pairs[:, 0] * pairs[:, 1]).sum(1)).max() <= 0.9 + 1e-12


def test_the_easy_one_has_no_context():
    assert point_mass.easy().initial_states(3, np.random.default_rng(0)).context is None
