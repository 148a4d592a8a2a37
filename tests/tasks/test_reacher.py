"""The torch-native reacher against dm_control's, its oracle."""

import numpy as np
import pytest
import torch
from dm_control import suite
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from mosim_gym.tasks import reacher
from mosim_gym.tasks.base import Task
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.mujoco import enter_state, load_dm_env, state_of
from mosim_gym.types import State

TASKS = {"easy": reacher.easy(), "hard": reacher.hard()}
RADII = {"easy": 0.06, "hard": 0.025}
ACTION = torch.zeros(1, 2, dtype=torch.float64)  # reacher looks at none


@pytest.fixture(scope="module", params=TASKS)
def pair(request):
    """Name, torch task and dm_control environment."""
    env = load_dm_env("reacher", request.param)
    env.reset()
    return request.param, TASKS[request.param], env


def oracle(env, state: State):
    """dm_control's observations and rewards of a batch of states."""
    observations, rewards = [], []
    for row in range(len(state)):
        fields = {name: value[0] for name, value in state[row : row + 1].numpy().items()}
        enter_state(env, fields)
        parts = env.task.get_observation(env.physics)
        observations.append(np.concatenate([np.ravel(part) for part in parts.values()]))
        rewards.append(env.task.get_reward(env.physics))
    return np.array(observations), np.array(rewards)


def random_states(n, rng):
    """Wide: many turns of the shoulder, the wrist past its stops, any target, fast."""
    qpos = rng.uniform([-12, -3], [12, 3], (n, 2))
    angle, distance = rng.uniform(0, 2 * np.pi, n), rng.uniform(0, 0.25, n)
    context = (distance * np.stack([np.sin(angle), np.cos(angle)])).T
    fields = {"qpos": qpos, "qvel": rng.normal(0, 8, (n, 2)), "context": context}
    return State.from_numpy(fields)


def edge_states(name, n, rng):
    """The finger as far from the target's centre as the radii, a ten-millionth more or less."""
    state = random_states(n, rng)
    offset = RADII[name] + rng.choice([-1e-7, 1e-7], n)
    angle = rng.uniform(0, 2 * np.pi, n)
    finger = state.context - reacher.easy().measure(state, ACTION).to_target
    aside = np.stack([offset * np.cos(angle), offset * np.sin(angle)], 1)
    return State(state.qpos, state.qvel, None, finger + torch.from_numpy(aside))


def test_it_is_a_task(pair):
    name, task, env = pair
    shown: Task = task
    assert shown.layout == ObservationLayout.of(env.reset().observation)
    assert list(shown.layout.shapes) == list(env.observation_spec())
    assert shown.context_size == 2
    assert (
        shown.terminated(shown.measure(random_states(3, np.random.default_rng(0)), ACTION)) is None
    )


@pytest.mark.parametrize("kind", ["random", "edge"])
def test_observation_and_reward_equal_dm_controls(pair, kind):
    name, task, env = pair
    rng = np.random.default_rng(0)
    state = random_states(1500, rng) if kind == "random" else edge_states(name, 500, rng)
    observations, rewards = oracle(env, state)
    np.testing.assert_allclose(
        task.observe(task.measure(state, ACTION)).numpy(), observations, rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(task.reward(task.measure(state, ACTION)).numpy(), rewards)
    assert 0.0 in rewards and 1.0 in rewards


def test_they_agree_along_a_trajectory(pair):
    name, task, _ = pair
    env = suite.load("reacher", name, task_kwargs={"random": 3})
    rng = np.random.default_rng(1)
    env.reset()
    states, observations, rewards = [], [], []
    for step in range(900):
        if step % 10 == 0:
            action = rng.uniform(-1, 1, 2)
        timestep = env.step(action)
        states.append({key: value[None] for key, value in state_of(env).items()})
        observations.append(np.concatenate(list(timestep.observation.values())))
        rewards.append(timestep.reward)
    state = State.cat([State.from_numpy(fields) for fields in states])
    np.testing.assert_allclose(
        task.observe(task.measure(state, ACTION)).numpy(), observations, rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(task.reward(task.measure(state, ACTION)).numpy(), rewards)


def test_float32_is_as_good_as_float32_can_be(pair):
    _, task, env = pair
    state = random_states(200, np.random.default_rng(2))
    observations, _ = oracle(env, state)
    single = task.observe(task.measure(state.to(torch.float32), ACTION))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), observations, rtol=1e-6, atol=2e-6)
    assert task.reward(task.measure(state.to(torch.float32), ACTION)).dtype == torch.float32


def test_it_starts_like_dm_control(pair):
    name, task, env = pair
    n = 2500
    env.task._random = np.random.RandomState(0)
    theirs = {"qpos": [], "qvel": [], "context": []}
    for _ in range(n):
        env.reset()
        for key, value in state_of(env).items():
            theirs[key].append(value)
    drawn = task.initial_states(n, np.random.default_rng(0))
    ours = drawn.numpy()
    assert drawn.qpos.dtype == torch.float64 and drawn.act is None
    np.testing.assert_array_equal(ours["qvel"], theirs["qvel"])
    radius = {who: np.hypot(*np.transpose(who_["context"])) for who, who_ in (
        ("ours", ours), ("theirs", theirs))}  # fmt: skip
    bearing = {who: np.arctan2(*np.transpose(who_["context"])) for who, who_ in (
        ("ours", ours), ("theirs", theirs))}  # fmt: skip
    samples = [
        (ours["qpos"][:, 0], np.array(theirs["qpos"])[:, 0]),
        (ours["qpos"][:, 1], np.array(theirs["qpos"])[:, 1]),
        (radius["ours"], radius["theirs"]),
        (bearing["ours"], bearing["theirs"]),
        # Rewarded starts: how the finger and the target are placed together.
        (task.observe(task.measure(drawn, ACTION))[:, 2:4].norm(dim=1).numpy(),
         task.observe(task.measure(State.from_numpy(theirs), ACTION))[:, 2:4].norm(dim=1).numpy()),
    ]  # fmt: skip
    for mine, other in samples:
        # Five fixed-seed comparisons; were the law the same, one would fall below in 1 of 200.
        assert ks_2samp(mine, other).pvalue > 1e-3
    # The law of the wrong range (the whole circle for the wrist) would be seen.
    assert ks_2samp(samples[1][0] * 180 / 160, samples[1][1]).pvalue < 1e-3


@given(st.integers(1, 7), st.integers(0, 2**31))
def test_starts_are_in_range_and_belong_to_the_generator(n, value):
    task = reacher.easy()
    state = task.initial_states(n, np.random.default_rng(value))
    again = task.initial_states(n, np.random.default_rng(value))
    assert len(state) == n
    assert torch.equal(state.qpos, again.qpos) and torch.equal(state.context, again.context)
    assert (state.qpos[:, 0].abs() <= np.pi).all()
    assert (state.qpos[:, 1].abs() <= np.deg2rad(160)).all()
    distance = state.context.norm(dim=1)
    assert ((distance >= 0.05 - 1e-12) & (distance <= 0.20 + 1e-12)).all()


def test_the_observation_is_differentiable():
    state = random_states(4, np.random.default_rng(0))
    task = reacher.easy()

    def observe(qpos):
        return task.observe(task.measure(State(qpos, state.qvel, None, state.context), ACTION))

    assert torch.autograd.gradcheck(observe, state.qpos.requires_grad_())


def test_a_missing_target_is_named():
    with pytest.raises(ValueError, match=r"needs the target's \(x, y\) in State.context"):
        reacher.easy().measure(State(torch.zeros(1, 2), torch.zeros(1, 2)), ACTION)
