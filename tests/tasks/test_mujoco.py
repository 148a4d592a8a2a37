"""dm_control's tasks with their full state: reading, entering, seeding."""

import numpy as np
import pytest
from dm_control import suite

from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.tasks.mujoco import (
    context_of,
    domain_of,
    enter_state,
    load_dm_env,
    seed,
    state_of,
)
from tests.robots.bodies import suite_tasks


def drive(env, steps, value=0):
    """Random actions; the last time step."""
    rng, spec = np.random.default_rng(value), env.action_spec()
    low, high = np.maximum(spec.minimum, -1), np.minimum(spec.maximum, 1)
    for _ in range(steps):
        timestep = env.step(rng.uniform(low, high))
    return timestep


def assert_same_state(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name], err_msg=name)


@pytest.mark.parametrize("domain,task", suite_tasks(one_per_domain=True))
def test_entering_the_own_state_changes_nothing(domain, task):
    env = load_dm_env(domain, task)
    seed(env, 1)
    env.reset()
    drive(env, 5)
    assert domain_of(env) == domain
    state = state_of(env)
    enter_state(env, state)
    assert_same_state(state_of(env), state)
    state["qpos"][:] = 9.0  # a copy: this moves nothing
    assert not (state_of(env)["qpos"] == 9.0).all()


@pytest.mark.parametrize(
    "domain,task",
    [("reacher", "easy"), ("cheetah", "run"), ("acrobot", "swingup"), ("walker", "walk"),
     ("hopper", "hop"), ("humanoid", "walk"), ("quadruped", "walk"), ("cartpole", "swingup"),
     ("pendulum", "swingup"), ("finger", "spin")],
)  # fmt: skip
def test_the_first_step_from_an_imported_state_agrees(domain, task):
    one, other = load_dm_env(domain, task), load_dm_env(domain, task)
    for env, value in ((one, 1), (other, 2)):
        seed(env, value)
        env.reset()
    drive(one, 30)
    enter_state(other, state_of(one))
    here, there = drive(one, 1, 7), drive(other, 1, 7)
    for name in ("qpos", "qvel", "act"):
        if name in state_of(one):
            np.testing.assert_allclose(state_of(other)[name], state_of(one)[name], atol=1e-6)
    assert there.reward == pytest.approx(here.reward, abs=1e-6)


def test_a_partial_state_leaves_the_rest():
    env = load_dm_env("reacher", "easy")
    env.reset()
    before = state_of(env)
    enter_state(env, {"qvel": [1.0, 2.0], "act": None})
    assert_same_state(state_of(env), {**before, "qvel": np.array([1.0, 2.0])})
    enter_state(env, {"context": [0.1, -0.1]})
    assert context_of(env).tolist() == [0.1, -0.1]
    np.testing.assert_allclose(
        env.task.get_observation(env.physics)["to_target"],
        [0.1, -0.1] - env.physics.named.data.geom_xpos["finger", :2],
    )


def test_reacher_has_a_context_and_cheetah_none():
    cheetah = load_dm_env("cheetah", "run")
    cheetah.reset()
    assert context_of(cheetah) is None
    assert "context" not in state_of(cheetah) and "act" not in state_of(cheetah)
    with pytest.raises(MosimError, match="This task of cheetah has no context; leave it out"):
        enter_state(cheetah, {"context": [1.0]})


@pytest.mark.parametrize("domain,task", [("reacher", "hard"), ("walker", "run"), ("fish", "swim")])
def test_seeding_gives_the_episode_of_suite_load(domain, task):
    env = load_dm_env(domain, task)
    env.reset()
    for value in (0, 7):
        seed(env, value)
        reference = suite.load(domain, task, task_kwargs={"random": value})
        for _ in range(2):
            ours, theirs = env.reset(), reference.reset()
            assert_same_state(ours.observation, theirs.observation)
            assert_same_state(state_of(env), state_of(reference))
            assert_same_state(drive(env, 5).observation, drive(reference, 5).observation)


def test_time_is_not_limited():
    env = load_dm_env("reacher", "easy")
    env.reset()
    assert not any(env.step(np.zeros(2)).last() for _ in range(1500))


@pytest.mark.parametrize(
    ("domain", "task", "message"),
    [
        ("reachr", "easy", "Unknown domain 'reachr'. Did you mean 'reacher'"),
        ("reacher", "eazy", "Unknown task of reacher 'eazy'. Did you mean 'easy'.*hard"),
    ],
)
def test_unknown_names_list_near_ones(domain, task, message):
    with pytest.raises(UnknownNameError, match=message):
        load_dm_env(domain, task)
