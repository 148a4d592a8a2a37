"""dynamics="mujoco" is dm_control, step for step, on every face."""

import gymnasium as gym
import numpy as np
import pytest
from dm_control import suite

import mosim_gym
from tests.envs.faces import ENV_ID, FACES, Singles, Vector, flat

STEPS = 1000
#: How far actions go beyond the action space: dm_control itself would not clip them.
REACH = 1.3


def action_sequence(seed, rows=1, steps=STEPS):
    """Held random actions, so that the arm gets somewhere."""
    rng = np.random.default_rng(seed)
    held = rng.uniform(-REACH, REACH, (steps // 10 + 1, rows, 2))
    return np.repeat(held, 10, axis=0)[:steps].astype(np.float32)


def reference(task, seed, actions):
    """Observations, rewards, ends, and the first observation of the next episode."""
    env = suite.load("reacher", task, task_kwargs={"random": seed})
    observations, rewards = [flat(env.reset().observation)], []
    for action in np.clip(actions.astype(np.float64), -1, 1):
        step = env.step(action)
        observations.append(flat(step.observation))
        rewards.append(step.reward)
    assert step.last() and step.discount == 1.0
    return np.stack(observations), np.array(rewards), flat(env.reset().observation)


@pytest.mark.parametrize("task", ["easy", "hard"])
@pytest.mark.parametrize(("face", "rows"), [("single", 1), ("vector", 3), ("sb3", 3), ("dm", 1)])
def test_whole_episodes_equal_dm_controls(face, rows, task):
    env = FACES[face](rows, f"mosim_gym:MoSim/reacher-{task}-v0", dynamics="mujoco")
    for seed in (0, 11):
        actions = action_sequence(seed, rows)
        expected = [reference(task, seed + i, actions[:, i]) for i in range(rows)]
        observations = np.stack([obs for obs, _, _ in expected], 1)
        np.testing.assert_array_equal(env.reset(seed=seed), observations[0])
        rewards = []
        for t in range(STEPS):
            seen = env.step(actions[t])
            np.testing.assert_array_equal(seen.last, observations[t + 1])
            rewards.append(seen.reward)
            assert not seen.terminated.any()
            assert (seen.truncated == (t == STEPS - 1)).all()
        np.testing.assert_array_equal(rewards, np.stack([r for _, r, _ in expected], 1))
        assert np.sum(rewards) > 0
        # The episode after it, too, is the one that dm_control would start.
        np.testing.assert_array_equal(seen.shown, np.stack([start for *_, start in expected]))


def test_dm_face_is_the_drop_in_for_suite_load():
    ours = mosim_gym.load("reacher", "easy", {"random": 5, "time_limit": 0.5}, dynamics="mujoco")
    theirs = suite.load("reacher", "easy", {"random": 5, "time_limit": 0.5})
    assert ours.action_spec() == theirs.action_spec()
    assert ours.observation_spec() == theirs.observation_spec()
    assert ours.reward_spec() == theirs.reward_spec()
    assert ours.discount_spec() == theirs.discount_spec()
    rng = np.random.default_rng(0)
    for _ in range(60):  # two time limits, and a step that starts an episode instead
        action = rng.uniform(-1, 1, 2)
        mine, other = ours.step(action), theirs.step(action)
        assert mine.step_type == other.step_type
        assert (mine.reward, mine.discount) == (other.reward, other.discount)
        assert list(mine.observation) == list(other.observation)
        for name, value in other.observation.items():
            np.testing.assert_array_equal(mine.observation[name], value)
            assert mine.observation[name].dtype == value.dtype


def test_rows_keep_their_own_warm_start_and_random_numbers():
    """A row of a batch is the single environment of its seed, whatever the others do."""
    batch, alone = Vector(3, dynamics="mujoco"), Singles(1, dynamics="mujoco")
    actions = action_sequence(1, 3, 120)
    batch.reset(seed=4)
    alone.reset(seed=6)
    for t in range(120):
        if t == 50:
            mask = np.array([True, False, False])
            batch.env.reset(options={"reset_mask": mask})
        here = batch.step(actions[t])
        np.testing.assert_array_equal(here.last[2:], alone.step(actions[t, 2:]).last)


def test_the_state_info_is_the_state():
    env = suite.load("reacher", "easy", task_kwargs={"random": 2})
    env.reset()
    singles = Singles(1, dynamics="mujoco")
    _, info = singles.envs[0].reset(seed=2)
    for action in action_sequence(3)[:20, 0]:
        for name in ("qpos", "qvel"):
            np.testing.assert_array_equal(
                info["mosim/state"][name], getattr(env.physics.data, name)
            )
        target = env.physics.named.model.geom_pos["target", :2]
        np.testing.assert_array_equal(info["mosim/state"]["context"], target)
        before = info["mosim/state"]
        env.step(np.clip(action.astype(np.float64), -1, 1))
        *_, info = singles.envs[0].step(action)
        for name, value in before.items():
            np.testing.assert_array_equal(info["mosim/state_before"][name], value)


@pytest.mark.parametrize("face", ["single", "vector", "sb3"])
def test_an_imported_state_goes_on_as_it_would_have(face):
    """The first step agrees to 1e-6: re-entering loses MuJoCo's warm start, nothing else."""
    going = suite.load("reacher", "easy", task_kwargs={"random": 2})
    going.reset()
    actions = action_sequence(8)[:, 0]
    for action in actions[:100]:
        going.step(np.clip(action, -1, 1).astype(np.float64))
    data = going.physics.data
    start = {
        "qpos": np.array([data.qpos]),
        "qvel": np.array([data.qvel]),
        "context": np.array([going.physics.named.model.geom_pos["target", :2]]),
    }
    env = FACES[face](1, dynamics="mujoco")
    now = flat(going.task.get_observation(going.physics))
    np.testing.assert_allclose(env.reset(seed=0, start=start)[0], now, atol=1e-6)
    step = going.step(np.clip(actions[100], -1, 1).astype(np.float64))
    seen = env.step(actions[100:101])
    np.testing.assert_allclose(seen.last[0], flat(step.observation), atol=1e-6)
    assert seen.reward[0] == step.reward


@pytest.mark.parametrize("face", ["single", "vector"])
def test_substeps_change_nothing_and_end_in_the_state(face):
    plain, traced = (FACES[face](1, dynamics="mujoco", substeps=s) for s in (False, True))
    np.testing.assert_array_equal(plain.reset(seed=0), traced.reset(seed=0))
    for action in action_sequence(0)[:30]:
        env = traced.envs[0] if face == "single" else traced.env
        *_, info = env.step(action[0] if face == "single" else action)
        np.testing.assert_array_equal(plain.step(action).last, observation_of(info))
        last = info["mosim/substeps"]["qpos"][..., -1, :]
        np.testing.assert_array_equal(last, info["mosim/state"]["qpos"])


def observation_of(info):
    """Reacher's observation, computed from the state in the info."""
    import torch

    from mosim_gym.tasks import reacher
    from mosim_gym.types import State

    task = reacher.easy()
    measured = task.measure(State.from_numpy(info["mosim/state"]), torch.zeros(1, 2))
    return task.observe(measured).numpy().astype(np.float32)


def test_physics_that_diverges_truncates_at_the_last_finite_state(caplog):
    env = Singles(1, dynamics="mujoco").envs[0]
    start = {"qpos": [0.1, 0.2], "qvel": [1e9, 0.0], "context": [0.1, 0.1]}
    observation, _ = env.reset(seed=0, options=start)
    for _ in range(2):  # whoever does not reset stays there
        last, reward, terminated, truncated, info = env.step(np.ones(2, np.float32))
        np.testing.assert_array_equal(last, observation)
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert info["mosim/truncation"] == "diverged"
        for name, value in start.items():
            np.testing.assert_array_equal(info["mosim/state"][name], value)
    assert "unstable" in caplog.text
    env.reset(seed=0)
    assert not env.step(np.zeros(2, np.float32))[3]


def test_a_seeded_reset_of_some_rows_leaves_the_others_alone():
    def next_starts(masked):
        env = gym.make_vec(ENV_ID, num_envs=2, dynamics="mujoco", horizon=1)
        env.reset(seed=3)
        if masked:
            mask = np.array([True, False])
            env.reset(seed=8, options={"reset_mask": mask})
        return env.step(np.zeros((2, 2)))[0]

    alone, touched = next_starts(False), next_starts(True)
    np.testing.assert_array_equal(alone[1], touched[1])
    assert not np.array_equal(alone[0], touched[0])


def test_load_goes_on_with_a_random_state_as_dm_control_does():
    ours = mosim_gym.load(
        "reacher", "easy", {"random": np.random.RandomState(3)}, dynamics="mujoco"
    )
    theirs = suite.load("reacher", "easy", {"random": np.random.RandomState(3)})
    for _ in range(2):
        here, there = ours.reset().observation, theirs.reset().observation
        for name, part in there.items():
            np.testing.assert_array_equal(here[name], part)
