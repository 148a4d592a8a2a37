"""The exact readout of a state alone against dm_control's own code."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.registration import ROWS
from mosim_gym.tasks.mujoco import enter_state, load_dm_env, never_draw
from mosim_gym.tasks.readout import ExactReadout
from mosim_gym.types import State

#: More rows than one call takes, so that there are whole and broken chunks.
ROWS_AT_ONCE, N = 3, 7
CHECKED = [next(row for row in ROWS if row.domain == name) for name in {r.domain: 0 for r in ROWS}]


def flat(observation):
    return np.concatenate([np.ravel(part) for part in observation.values()])


def moved(states, rng):
    """States off the start distribution, still of the body: velocities and activations."""
    fields = states.numpy()
    fields["qvel"] += rng.normal(0, 0.5, fields["qvel"].shape)
    if "act" in fields:
        fields["act"] = rng.uniform(-0.5, 0.5, fields["act"].shape)
    return State.from_numpy(fields)


@pytest.mark.parametrize("row", CHECKED, ids=lambda row: row.name)
def test_it_is_what_dm_control_shows_at_a_state(row):
    task, rng = ExactReadout(row.domain, row.task, ROWS_AT_ONCE), np.random.default_rng(0)
    state = moved(task.initial_states(N, rng), rng)
    env = load_dm_env(row.domain, row.task)
    never_draw(env)
    env.reset()
    model, data = env.physics.model.ptr, env.physics.data.ptr
    action = rng.uniform(-1, 1, (N, model.nu))
    seen = task.measure(state, torch.from_numpy(action))
    assert task.observe(seen).shape == (N, task.layout.size)
    for k in range(N):
        enter_state(env, {name: value[0] for name, value in state[k : k + 1].numpy().items()})
        data.ctrl[:] = action[k]
        mujoco.mj_forward(model, data)
        shown = flat(env.task.get_observation(env.physics))
        np.testing.assert_allclose(task.observe(seen)[k], shown, rtol=1e-9, atol=1e-9)
        assert task.reward(seen)[k] == pytest.approx(env.task.get_reward(env.physics), abs=1e-12)
        ended = env.task.get_termination(env.physics) is not None
        assert bool(task.terminated(seen)[k]) is ended


def test_reading_leaves_nothing_behind():
    task, rng = ExactReadout("quadruped", "fetch", ROWS_AT_ONCE), np.random.default_rng(1)
    state = task.initial_states(N, rng)
    action = torch.zeros(N, 12, dtype=torch.float64)
    forth = task.observe(task.measure(state, action))
    back = task.observe(task.measure(state[torch.arange(N - 1, -1, -1)], action))
    # The solver starts from where it was before: that is all rows share.
    np.testing.assert_allclose(back.flip(0), forth, rtol=1e-6, atol=1e-6)


def test_starts_follow_the_generator():
    task = ExactReadout("stacker", "stack_2", 2)
    one, same, other = (task.initial_states(3, np.random.default_rng(k)) for k in (0, 0, 1))
    assert torch.equal(one.qpos, same.qpos) and torch.equal(one.context, same.context)
    assert not torch.equal(one.qpos, other.qpos)


@pytest.mark.parametrize("lost", [np.nan, np.inf, 1e12])
def test_a_state_mujoco_refuses_is_observed_as_nan(lost, caplog):
    task = ExactReadout("dog", "fetch", 2)
    state = task.initial_states(2, np.random.default_rng(0))
    qpos = state.qpos.clone()
    qpos[0, 3] = lost
    broken = State(qpos, state.qvel, state.act, state.context)
    seen = task.observe(task.measure(broken, torch.zeros(2, 38, dtype=torch.float64)))
    assert torch.isnan(seen[0]).all() and torch.isfinite(seen[1]).all()


def test_an_activation_that_is_not_given_is_zero():
    task = ExactReadout("quadruped", "walk", 2)
    state = task.initial_states(2, np.random.default_rng(0))
    action = torch.zeros(2, 12, dtype=torch.float64)
    busy = State(state.qpos, state.qvel, torch.full((2, 12), 0.5, dtype=torch.float64))
    task.measure(busy, action)  # leaves its activations in the rows
    given = task.observe(task.measure(State(state.qpos, state.qvel, 0 * busy.act), action))
    left_out = task.observe(task.measure(State(state.qpos, state.qvel), action))
    np.testing.assert_allclose(left_out, given, rtol=1e-6, atol=1e-6)


def test_touch_can_be_told():
    plain, told = (ExactReadout("dog", "walk", 2, touch=touch) for touch in (False, True))
    assert plain.touch == () and len(told.touch) == 4
    state = plain.initial_states(1, np.random.default_rng(0))
    readings = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    action = torch.zeros(1, 38, dtype=torch.float64)
    before = plain.observe(plain.measure(state, action))
    after = told.observe(told.measure(state, action, readings))
    parts = told.layout.split(after.numpy())
    changed = [name for name, part in plain.layout.split(before.numpy()).items()
               if not np.array_equal(part, parts[name])]  # fmt: skip
    assert changed == ["touch_sensors"]
