"""The checkers of Gymnasium, Stable-Baselines3 and dm_env, with no warning but the expected."""

import unittest
import warnings

import dm_env.test_utils
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from gymnasium.utils.env_match import check_environments_match
from stable_baselines3.common.env_checker import check_env as check_sb3

import mosim_gym
from mosim_gym.registration import BODIES as BODIES_THERE_ARE
from mosim_gym.registration import ROWS, find_row

#: What the design expects: dm_control bounds no observation; some actions are not in [-1, 1].
EXPECTED = (
    "observation space minimum value is -infinity",
    "observation space maximum value is infinity",
    "symmetric and normalized Box action space",
    "a symmetric and normalized space",
)
#: One task of every body.
BODIES = pytest.mark.parametrize(
    "row", [next(row for row in ROWS if row.body is body) for body in BODIES_THERE_ARE],
    ids=lambda row: row.name,
)  # fmt: skip
ORDER_ROWS = pytest.mark.parametrize(
    "row",
    [find_row(*names) for names in (("reacher", "easy"), ("walker", "walk"), ("dog", "fetch"))],
    ids=lambda row: row.name,
)  # fmt: skip
ORDERS = pytest.mark.parametrize("order", ["native", "sorted", "dict"])


@pytest.fixture
def only_expected():
    """Every warning is an error (see pyproject), but for the expected ones."""
    with warnings.catch_warnings():
        for text in EXPECTED:
            warnings.filterwarnings("ignore", message=f".*{text}")
        yield


@BODIES
@pytest.mark.usefixtures("only_expected")
def test_gymnasiums_and_sb3s_checkers(row, dynamics_of):
    check_both(gym.make(row.env_id, **dynamics_of(row)))


@ORDER_ROWS
@ORDERS
@pytest.mark.usefixtures("only_expected")
def test_the_checkers_in_every_order(row, order, dynamics_of):
    check_both(gym.make(row.env_id, obs_order=order, **dynamics_of(row)))


def check_both(env):
    # Rendering is checked where there is OpenGL (test_render.py).
    check_gymnasium(env.unwrapped, skip_render_check=True)
    check_sb3(env)
    check_sb3(env.unwrapped)
    env.close()


@ORDER_ROWS
def test_gymnasium_finds_two_of_the_same_alike(row, dynamics_of):
    one, other = (gym.make(row.env_id, **dynamics_of(row)) for _ in range(2))
    check_environments_match(one, other, num_steps=60, seed=3)


@ORDER_ROWS
def test_gymnasium_make_checks_passively_without_a_warning(row, dynamics_of):
    env = gym.make(row.env_id, max_episode_steps=5, **dynamics_of(row))
    env.reset(seed=0)
    for _ in range(5):
        *_, truncated, _ = env.step(env.action_space.sample())
    assert truncated


@ORDER_ROWS
@ORDERS
def test_what_a_vector_environment_shows_lies_in_its_spaces(row, order, dynamics_of):
    """Gymnasium has no checker for vector environments; this asks what its checker asks of one."""
    env = gym.make_vec(row.env_id, num_envs=3, horizon=4, obs_order=order, **dynamics_of(row))
    env.action_space.seed(0)
    for seed in (None, 1):
        observation, infos = env.reset(seed=seed)
        assert env.observation_space.contains(observation) and isinstance(infos, dict)
    for _ in range(9):
        observation, reward, terminated, truncated, infos = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert reward.shape == terminated.shape == truncated.shape == (3,)
        for key in infos:
            assert key.startswith("_") or infos[f"_{key}"].shape == (3,)
    env.close()
    assert env.closed


@BODIES
def test_dm_envs_checker(row, dynamics_of):
    options = dynamics_of(row)
    seconds = {} if row.max_episode_steps is None else {"time_limit": 0.3}

    class Checked(dm_env.test_utils.EnvironmentTestMixin, unittest.TestCase):
        def make_object_under_test(self):
            return mosim_gym.load(row.domain, row.task, {"random": 0, **seconds}, **options)

        def make_action_sequence(self):
            rng = np.random.default_rng(0)
            nu = self.environment.action_spec().shape
            for _ in range(40):  # past the end of two episodes, where episodes are short
                yield rng.uniform(-1, 1, nu)

    names = unittest.TestLoader().getTestCaseNames(Checked)
    assert len(names) >= 4
    result = unittest.TestResult()
    for name in names:
        Checked(name).run(result)
    assert not result.failures and not result.errors, result.failures + result.errors
