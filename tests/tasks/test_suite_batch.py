"""Rows of `mujoco.batch` against dm_control's own environments, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from dm_control import suite

from mosim_gym.registration import ROWS, find_row
from mosim_gym.tasks.mujoco import load_dm_env, never_draw, state_of
from mosim_gym.tasks.own import OWN_BODIES
from mosim_gym.tasks.suite_batch import SuiteBatch

SEED, EPISODES = 5, 2


def flat(observation):
    return np.concatenate([np.ravel(part) for part in observation.values()])


def reference(row, seed):
    load = load_dm_env if row.domain in OWN_BODIES else suite.load
    env = load(row.domain, row.task, {"random": seed})
    never_draw(env)
    return env


def actions(env, steps, rows):
    spec = env.action_spec()
    low, high = np.maximum(spec.minimum, -1), np.minimum(spec.maximum, 1)
    return np.random.default_rng(0).uniform(low, high, (steps, rows, *spec.shape))


def play(row, steps, rows):
    """Every row of a batch beside the environment of its seed, over some episodes."""
    batch = SuiteBatch(row.domain, row.task, None, rows)
    true = [reference(row, SEED + k) for k in range(rows)]
    for k in range(rows):
        batch.seed(k, SEED + k)
    for episode in range(EPISODES):
        for k, env in enumerate(true):
            np.testing.assert_array_equal(batch.begin(k, {}), flat(env.reset().observation))
        for action in actions(true[0], steps, rows):
            # The second episode is stepped with its physics steps recorded.
            diverged = batch.step(action) if episode == 0 else batch.step_recorded(action)[0]
            assert not diverged.any()
            seen = batch.read()
            for k, env in enumerate(true):
                timestep = env.step(action[k])
                np.testing.assert_array_equal(seen.observation[k], flat(timestep.observation))
                assert seen.reward[k] == timestep.reward
                assert seen.terminated[k] == timestep.last()
    for name, value in batch.state().items():
        np.testing.assert_array_equal(value, [state_of(env)[name] for env in true])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_task_of_the_suite_is_dm_controls(row):
    play(row, steps=15, rows=2)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_task_of_the_suite_is_dm_controls_to_the_end(row):
    play(row, steps=1000, rows=2)


@pytest.mark.parametrize("name", ["hopper-hop", "acrobot-swingup", "quadruped-walk"])
def test_physics_steps_are_those_of_the_control_step(name):
    row = find_row(*name.split("-"))
    batch, env = SuiteBatch(row.domain, row.task, None, 1), reference(row, SEED)
    batch.seed(0, SEED)
    batch.begin(0, {})
    env.reset()
    n = batch.robot.n_substeps
    for action in actions(env, 20, 1):
        _, trace = batch.step_recorded(action)
        env.step(action[0])
        assert trace.keys() == {name for name in state_of(env) if name != "context"}
        for field, value in trace.items():
            assert value.shape == (1, n, len(state_of(env)[field]))
            np.testing.assert_array_equal(value[0, -1], state_of(env)[field])


def test_a_row_that_fails_goes_back_and_leaves_the_others_alone(caplog):
    batch, env = SuiteBatch("reacher", "easy", None, 2), reference(find_row("reacher", "easy"), 6)
    batch.seed(1, 6)
    start = {"qpos": np.array([0.1, 0.2]), "qvel": np.array([1e9, 0.0])}
    batch.begin(0, start)
    batch.begin(1, {})
    env.reset()
    for _ in range(3):
        assert batch.step(np.ones((2, 2))).tolist() == [True, False]
        env.step(np.ones(2))
    assert batch.state()["qvel"][0].tolist() == [1e9, 0.0]
    for name, value in state_of(env).items():
        np.testing.assert_array_equal(batch.state()[name][1], value)
    assert "unstable" in caplog.text


def test_a_body_drawn_at_load_is_that_of_its_seed():
    """LQR's springs are drawn when it is loaded, and stay over its episodes."""
    batch = SuiteBatch("lqr", "lqr_6_2", None, 2)
    for k, seed in enumerate((1, 2)):
        batch.seed(k, seed)
    batch.begin(0, {})
    batch.begin(1, {})
    drawn = batch.state()["context"]
    assert not np.allclose(drawn[0], drawn[1])
    batch.begin(0, {})
    np.testing.assert_array_equal(batch.state()["context"], drawn)
    for k, seed in enumerate((1, 2)):
        model = suite.load("lqr", "lqr_6_2", task_kwargs={"random": seed}).physics.model
        np.testing.assert_array_equal(drawn[k][:6], model.jnt_stiffness)


def test_a_given_body_is_given_once():
    """A context that was given does not stay for the episodes after it."""
    batch = SuiteBatch("lqr", "lqr_2_1", None, 2)
    for k in range(2):
        batch.begin(k, {})  # never seeded: each has a draw of its own
    own = batch.state()["context"]
    assert not np.allclose(own[0], own[1])
    batch.begin(0, {"context": 2 * own[0]})
    np.testing.assert_array_equal(batch.state()["context"][0], 2 * own[0])
    batch.begin(0, {})
    np.testing.assert_array_equal(batch.state()["context"], own)


@pytest.mark.parametrize("recorded", [False, True])
def test_touch_is_of_the_moment(recorded):
    batch, env = SuiteBatch("hopper", "hop", None, 2), reference(find_row("hopper", "hop"), 3)
    batch.seed(1, 3)
    batch.begin(0, {})
    for _ in range(2):
        batch.begin(1, {})
        env.reset()
        columns = [env.physics.model.name2id(name, "sensor") for name in batch.robot.touch]
        adr = env.physics.model.sensor_adr[columns]
        np.testing.assert_array_equal(batch.touch()[1], env.physics.data.sensordata[adr])
        seen = False
        for action in actions(env, 60, 2):
            batch.step_recorded(action) if recorded else batch.step(action)
            env.step(action[1])
            np.testing.assert_array_equal(batch.touch()[1], env.physics.data.sensordata[adr])
            seen |= batch.touch()[1].any()
        assert seen


def test_only_terrain_costs_a_model_a_row():
    assert not SuiteBatch("quadruped", "walk", None, 2)._terrains
    assert len(SuiteBatch("quadruped", "escape", None, 2)._terrains) == 2


CONTEXTS = ["reacher-easy", "panda-reach", "fish-swim", "swimmer-swimmer6", "finger-turn_hard",
            "point_mass-hard", "manipulator-bring_peg", "manipulator-insert_ball",
            "stacker-stack_2", "lqr-lqr_2_1", "quadruped-run", "dog-walk"]  # fmt: skip


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_recorded_state_replays_with_its_context_and_activations(name):
    row = find_row(*name.split("-"))
    batch = SuiteBatch(row.domain, row.task, None, 2)
    for k in range(2):
        batch.seed(k, k)
        batch.begin(k, {})
    for action in actions(batch.env, 10, 2):
        batch.step(action)
    recorded = {field: value[0] for field, value in batch.state().items()}
    first = batch.read()
    batch.begin(1, recorded)
    for field, value in batch.state().items():
        np.testing.assert_array_equal(value[1], value[0], err_msg=field)
    batch.step(np.tile(actions(batch.env, 1, 1)[0], (2, 1)))
    for field, value in batch.state().items():
        # What is lost is the warm start of the solver.
        np.testing.assert_allclose(value[1], value[0], atol=1e-5, rtol=1e-5, err_msg=field)
    assert not np.array_equal(batch.read().observation[0], first.observation[0])
