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
from mosim_gym.registration import ROWS

#: What the design expects: dm_control bounds no observation; some actions are asymmetric.
EXPECTED = (
    "observation space minimum value is -infinity",
    "observation space maximum value is infinity",
    "symmetric and normalized Box action space",
)
ENV_IDS = pytest.mark.parametrize("env_id", [row.env_id for row in ROWS])
ORDERS = pytest.mark.parametrize("order", ["native", "sorted", "dict"])


@pytest.fixture
def only_expected():
    """Every warning is an error (see pyproject), but for the expected ones."""
    with warnings.catch_warnings():
        for text in EXPECTED:
            warnings.filterwarnings("ignore", message=f".*{text}")
        yield


@ENV_IDS
@ORDERS
@pytest.mark.usefixtures("only_expected")
def test_gymnasiums_checker(env_id, order, dynamics):
    env = gym.make(env_id, obs_order=order, **dynamics)
    # Rendering is checked where there is OpenGL (test_render.py).
    check_gymnasium(env.unwrapped, skip_render_check=True)
    env.close()


@ENV_IDS
@ORDERS
@pytest.mark.usefixtures("only_expected")
def test_sb3s_checker(env_id, order, dynamics):
    env = gym.make(env_id, obs_order=order, **dynamics)
    check_sb3(env)
    check_sb3(env.unwrapped)
    env.close()


@ENV_IDS
def test_gymnasium_finds_two_of_the_same_alike(env_id, dynamics):
    one, other = (gym.make(env_id, **dynamics) for _ in range(2))
    check_environments_match(one, other, num_steps=60, seed=3)


@ENV_IDS
def test_gymnasium_make_checks_passively_without_a_warning(env_id, dynamics):
    env = gym.make(env_id, max_episode_steps=5, **dynamics)
    env.reset(seed=0)
    for _ in range(5):
        *_, truncated, _ = env.step(env.action_space.sample())
    assert truncated


@ENV_IDS
@ORDERS
def test_what_a_vector_environment_shows_lies_in_its_spaces(env_id, order, dynamics):
    """Gymnasium has no checker for vector environments; this asks what its checker asks of one."""
    env = gym.make_vec(env_id, num_envs=3, horizon=4, obs_order=order, **dynamics)
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


@pytest.mark.parametrize("task", ["easy", "hard"])
def test_dm_envs_checker(task, dynamics):
    class Checked(dm_env.test_utils.EnvironmentTestMixin, unittest.TestCase):
        def make_object_under_test(self):
            return mosim_gym.load("reacher", task, {"time_limit": 0.3}, **dynamics)

        def make_action_sequence(self):
            rng = np.random.default_rng(0)
            for _ in range(40):  # past the end of two episodes
                yield rng.uniform(-1, 1, 2)

    names = unittest.TestLoader().getTestCaseNames(Checked)
    assert len(names) >= 4
    result = unittest.TestResult()
    for name in names:
        Checked(name).run(result)
    assert not result.failures and not result.errors, result.failures + result.errors
