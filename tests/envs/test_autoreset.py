"""SAME_STEP, step by step: what each face shows while rows end and begin."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import mosim_gym
from tests.envs.faces import ENV_ID

ZERO = np.zeros((2, 2), np.float32)
#: Which rows are done after each step with horizon 3. Row 1 is reset by mask after the first step,
#: so that the rows end at different times.
DONE = [(False, False), (False, False), (True, False), (False, True), (False, False), (True, False)]


def test_the_mode_is_declared(dynamics):
    env = gym.make_vec(ENV_ID, num_envs=2, **dynamics)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_truth_table_of_the_vector_face(dynamics):
    env = gym.make_vec(ENV_ID, num_envs=2, horizon=3, state_info=True, **dynamics)
    _, infos = env.reset(seed=0)
    assert set(infos) == {"mosim/state", "_mosim/state"}
    assert infos["_mosim/state"].tolist() == [True, True]
    for t, done in enumerate(DONE):
        if t == 1:
            _, infos = env.reset(options={"reset_mask": np.array([False, True])})
            assert infos["_mosim/state"].tolist() == [False, True]
        shown, _, terminated, truncated, infos = env.step(ZERO)
        assert terminated.tolist() == [False, False]
        assert tuple(truncated.tolist()) == done
        assert env.observation_space.contains(shown)
        if not any(done):
            assert set(infos) == {
                "mosim/state", "_mosim/state", "mosim/state_before", "_mosim/state_before"
            }  # fmt: skip
            continue
        for key in ("final_obs", "final_info", "mosim/truncation"):
            assert infos[f"_{key}"].tolist() == list(done), key
        assert infos["final_obs"].dtype == object
        assert infos["mosim/truncation"].tolist() == ["horizon" if d else None for d in done]
        final = infos["final_info"]
        assert final["mosim/truncation"].tolist() == ["horizon" if d else None for d in done]
        assert final["_mosim/state"].tolist() == list(done)
        for row in range(2):
            if not done[row]:
                assert infos["final_obs"][row] is None
                continue
            last = infos["final_obs"][row]
            assert env.single_observation_space.contains(last)
            # The last observation is of the old episode, the returned one of the new.
            np.testing.assert_allclose(last[:2], final["mosim/state"]["qpos"][row], atol=1e-6)
            np.testing.assert_array_equal(
                final["mosim/state"]["qpos"][row], infos["mosim/state"]["qpos"][row]
            )
            assert (shown[row] != last).any()
            np.testing.assert_array_equal(shown[row, 4:], [0, 0])  # reacher starts at rest


def test_truth_table_of_the_sb3_face(dynamics):
    env = mosim_gym.make_sb3_vec_env(ENV_ID, 2, seed=0, horizon=3, state_info=True, **dynamics)
    env.reset()
    world, reset_infos = env.unwrapped.world, env.unwrapped.reset_infos
    before = [info["mosim/state"]["qpos"] for info in reset_infos]
    for t, done in enumerate(DONE):
        if t == 1:
            world.reset(np.array([1]))
        shown, rewards, dones, infos = env.step(ZERO)
        assert tuple(dones.tolist()) == done
        for row, info in enumerate(infos):
            expected = {"mosim/state", "mosim/state_before"}
            if done[row]:
                expected |= {"mosim/truncation", "terminal_observation", "TimeLimit.truncated",
                             "episode"}  # fmt: skip
            assert set(info) == expected
            if not done[row]:
                continue
            last = info["terminal_observation"]
            assert env.observation_space.contains(last)
            np.testing.assert_allclose(last[:2], info["mosim/state"]["qpos"], atol=1e-6)
            assert info["TimeLimit.truncated"] is True
            assert info["mosim/truncation"] == "horizon"
            start = reset_infos[row]["mosim/state"]
            np.testing.assert_allclose(shown[row, :2], start["qpos"], atol=1e-6)
            assert (start["qpos"] != before[row]).any()
            before[row] = start["qpos"]


def test_monitor_reports_whole_episodes(dynamics):
    env = mosim_gym.make_sb3_vec_env(ENV_ID, 3, seed=0, max_episode_steps=4, **dynamics)
    env.reset()
    # The finger on the target: every step is worth 1.
    start = {"qpos": np.zeros(2), "qvel": np.zeros(2), "context": np.array([0.24, 0.0])}
    env.set_options(start)
    env.reset()
    for t in range(1, 9):
        _, rewards, dones, infos = env.step(np.zeros((3, 2)))
        if t <= 4:
            assert rewards.tolist() == [1.0, 1.0, 1.0]
        assert dones.tolist() == [t % 4 == 0] * 3
        for info in infos:
            assert ("episode" in info) == (t % 4 == 0)
        if t == 4:
            assert [(i["episode"]["r"], i["episode"]["l"]) for i in infos] == [(4.0, 4)] * 3
            assert infos[0]["mosim/truncation"] == "time_limit"


def test_options_and_seeds_are_used_once(dynamics):
    env = mosim_gym.make_sb3_vec_env(ENV_ID, 2, seed=0, **dynamics)
    first = env.reset()
    assert (env.reset() != first).any()
    env.set_options({"qpos": np.array([0.5, 0.5]), "qvel": None, "else": 1})
    np.testing.assert_allclose(env.reset()[:, :2], 0.5)
    assert (env.reset()[:, :2] != 0.5).all()
    env.seed(0)
    np.testing.assert_array_equal(env.reset(), first)


@pytest.mark.parametrize("order", ["native", "dict"])
def test_final_observations_have_the_order_asked_for(order, dynamics):
    options = {"horizon": 1, "obs_order": order, **dynamics}
    vector = gym.make_vec(ENV_ID, num_envs=2, **options)
    vector.reset(seed=0)
    *_, infos = vector.step(ZERO)
    assert all(vector.single_observation_space.contains(last) for last in infos["final_obs"])
    sb3 = mosim_gym.make_sb3_vec_env(ENV_ID, 2, **options)
    sb3.reset()
    for info in sb3.step(ZERO)[3]:
        assert sb3.observation_space.contains(info["terminal_observation"])


def test_gymnasiums_vector_wrappers_work_on_it(dynamics):
    env = gym.make_vec(ENV_ID, num_envs=2, horizon=3, **dynamics)
    env = gym.wrappers.vector.RecordEpisodeStatistics(env)
    env.reset(seed=0)
    for t in range(1, 7):
        *_, infos = env.step(ZERO)
        assert ("episode" in infos) == (t % 3 == 0)
    assert infos["episode"]["l"].tolist() == [3, 3]
