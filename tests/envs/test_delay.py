"""Actions that arrive late: the same on every face, and forgotten when an episode begins."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import mosim_gym
from mosim_gym import PendingActions
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


@pytest.mark.parametrize("order", ["native", "sorted", "dict"])
@pytest.mark.parametrize("dynamics", ["learned", "mujoco"])
def test_observations_can_end_with_what_is_on_its_way(dynamics: str, order: str) -> None:
    how = {"dynamics": dynamics, "action_delay": 2, "obs_order": order}
    env, plain = gym.make(ENV_ID, observe_pending=True, **how), gym.make(ENV_ID, **how)
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 1)).astype(np.float32)
    under_way = np.concatenate([np.zeros((2, 1), np.float32), actions])
    seen, unaware = env.reset(seed=1)[0], plain.reset(seed=1)[0]
    for t, chosen in enumerate(actions):
        assert env.observation_space.contains(seen)
        if order == "dict":
            np.testing.assert_array_equal(seen.pop("pending_actions"), under_way[t : t + 2])
            assert seen.keys() == unaware.keys()
        else:
            # Sorted by name: "orientation", "pending_actions", "position", ...
            rest = np.setdiff1d(np.arange(len(seen)), at := pending_columns(order))
            np.testing.assert_array_equal(seen[at], under_way[t : t + 2, 0])
            np.testing.assert_array_equal(seen[rest], unaware)
        seen, unaware = env.step(chosen)[0], plain.step(chosen)[0]
    env.close()
    plain.close()


def pending_columns(order: str) -> np.ndarray:
    """Of cartpole: position (3) and velocity (2) come after it where names are sorted."""
    return np.array([5, 6]) if order == "native" else np.array([0, 1])


def test_a_row_that_ends_tells_its_own_actions_and_one_that_begins_none() -> None:
    env = make_sb3_vec_env(
        ENV_ID, n_envs=3, horizon=4, action_delay=3, observe_pending=True, seed=0
    )
    env.reset()
    for t in range(4):
        seen, _, done, infos = env.step(np.full((3, 1), (t + 1) / 8, np.float32))
    assert done.all() and not seen[:, -3:].any()
    for info in infos:
        np.testing.assert_array_equal(info["terminal_observation"][-3:], [2 / 8, 3 / 8, 4 / 8])


@pytest.mark.parametrize("steps", [1, 3])
def test_a_system_that_is_late_of_itself_is_observed_as_ours(steps: int) -> None:
    how = {"dynamics": "mujoco", "action_delay": steps}
    ours = gym.make("MoSim/cheetah-run-v0", observe_pending=True, **how)
    theirs = PendingActions(gym.make("MoSim/cheetah-run-v0", **how), steps)
    assert ours.observation_space == theirs.observation_space
    rng = np.random.default_rng(steps)
    for episode in range(2):
        np.testing.assert_array_equal(ours.reset(seed=episode)[0], theirs.reset(seed=episode)[0])
        for _ in range(6):
            # What is beyond the range is told as it acts.
            action = rng.uniform(-2, 2, 6).astype(np.float32)
            np.testing.assert_array_equal(ours.step(action)[0], theirs.step(action)[0])
    ours.close()
    theirs.close()


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(MosimError, match="observe_pending=True needs action_delay=1 or more"):
        gym.make(ENV_ID, observe_pending=True)
    with pytest.raises(MosimError, match="does not take observe_pending"):
        mosim_gym.load("cartpole", "swingup", action_delay=1, observe_pending=True)
    with pytest.raises(MosimError, match="observations are Dict.* expected a flat Box"):
        PendingActions(gym.make(ENV_ID, obs_order="dict"), 1)
