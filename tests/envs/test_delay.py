"""Actions that arrive late: the same on every face, and forgotten when an episode begins."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import mosim_gym  # noqa: F401
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import MosimError

ENV_ID = "MoSim/cartpole-swingup-v0"


@pytest.mark.parametrize("dynamics", ["learned", "mujoco"])
@pytest.mark.parametrize("delay", [1, 3])
def test_an_action_acts_so_many_steps_after_it_was_chosen(dynamics: str, delay: int) -> None:
    late = gym.make(ENV_ID, dynamics=dynamics, action_delay=delay)
    prompt = gym.make(ENV_ID, dynamics=dynamics)
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 1)).astype(np.float32)
    arriving = np.concatenate([np.zeros((delay, 1), np.float32), actions])
    for episode in range(2):
        first, _ = late.reset(seed=episode)
        np.testing.assert_array_equal(first, prompt.reset(seed=episode)[0])
        for chosen, acting in zip(actions, arriving, strict=False):
            ours, theirs = late.step(chosen), prompt.step(acting)
            np.testing.assert_array_equal(ours[0], theirs[0])
            assert ours[1] == theirs[1]
    late.close()
    prompt.close()


def test_rows_that_begin_anew_forget_what_was_on_its_way() -> None:
    env = make_sb3_vec_env(ENV_ID, n_envs=2, seed=0, horizon=3, action_delay=2)
    single = make_sb3_vec_env(ENV_ID, n_envs=2, seed=0, horizon=3)
    start = [{"qpos": np.array([0.1, 0.2]), "qvel": np.zeros(2)}] * 2
    for world in (env, single):
        world.unwrapped.set_options(start)
        world.reset()
    push = np.ones((2, 1), np.float32)
    for acting in (0, 0, 1):
        seen, *_ = env.step(push)
        expected, *_ = single.step(acting * push)
        np.testing.assert_array_equal(seen, expected)
    # A new episode has begun: two controls of zero before the next push arrives.
    still = make_sb3_vec_env(ENV_ID, n_envs=1, horizon=3)
    state = env.unwrapped.world.engine.state()
    still.unwrapped.set_options([{name: value[0] for name, value in state.items()}])
    still.reset()
    for _ in range(2):
        seen, *_ = env.step(push)
        expected, *_ = still.step(np.zeros((1, 1), np.float32))
        np.testing.assert_allclose(seen[0], expected[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("wrong", [-1, 1.5, True, None])
def test_a_delay_is_a_number_of_steps(wrong: object) -> None:
    with pytest.raises(MosimError, match="action_delay is .* expected a whole number of 0 or more"):
        make_sb3_vec_env(ENV_ID, n_envs=1, action_delay=wrong)
