"""True physics as a function of the state, against dm_control's own step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mosim_gym.errors import MosimError
from mosim_gym.planning.rollout import rollout_returns
from mosim_gym.registration import find_row
from mosim_gym.tasks import mujoco as suite
from mosim_gym.tasks.true_simulator import TrueSimulator
from mosim_gym.types import State

BODIES = [
    ("acrobot", "swingup"),
    ("cartpole", "swingup"),
    ("pendulum", "swingup"),
    ("reacher", "easy"),
    ("point_mass", "hard"),
    ("ball_in_cup", "catch"),
    ("cheetah", "run"),
    ("hopper", "hop"),
    ("walker", "walk"),
    ("finger", "turn_hard"),
    ("swimmer", "swimmer6"),
    # A body with activations.
    ("fish", "swim"),
    # Bodies beyond the suite.
    ("go2", "walk"),
    ("panda", "reach"),
]


def visited(domain: str, task: str, n: int):
    """States along random episodes of dm_control, the actions there, and the states after."""
    env = suite.load_dm_env(domain, task, {"random": 3})
    suite.never_draw(env)
    rng = np.random.default_rng(1)
    limits = env.action_spec()
    before, actions, after = [], [], []
    for _ in range(n):
        env.reset()
        for _ in range(rng.integers(1, 40)):
            env.step(rng.uniform(limits.minimum, limits.maximum))
        # What is stepped from is entered, as a planner enters it.
        fields = suite.state_of(env)
        suite.enter_state(env, fields)
        action = rng.uniform(limits.minimum, limits.maximum)
        env.step(action)
        before.append(fields)
        actions.append(action)
        after.append(suite.state_of(env))
    return _stacked(before), torch.from_numpy(np.array(actions)), _stacked(after)


def _stacked(rows):
    return State.from_numpy({name: np.stack([row[name] for row in rows]) for name in rows[0]})


@pytest.mark.parametrize(("domain", "task"), BODIES, ids=lambda name: name)
def test_a_step_is_dm_controls_from_an_imported_state(domain, task):
    before, actions, after = visited(domain, task, 8)
    simulator = TrueSimulator(domain, task, threads=1)
    assert simulator.spec == suite.robot_of(domain, task)
    reached = simulator.step(before, actions)
    for name, value in reached.items():
        torch.testing.assert_close(value, getattr(after, name), rtol=0, atol=1e-6, msg=name)
    assert simulator.is_valid(reached).all()


def test_a_step_depends_on_nothing_but_its_arguments():
    before, actions, _ = visited("walker", "walk", 6)
    simulator = TrueSimulator("walker", "walk", threads=1)
    first = simulator.step(before, actions)
    simulator.step(first, -actions)
    simulator.step(before[:2], actions[:2])
    again = simulator.step(before, actions)
    assert torch.equal(first.qpos, again.qpos)
    assert torch.equal(first.qvel, again.qvel)


def test_states_of_a_learned_model_are_taken_as_they_are():
    before, actions, after = visited("acrobot", "swingup", 3)
    reached = TrueSimulator("acrobot", "swingup").step(before.to(torch.float32), actions.float())
    assert reached.qpos.dtype == torch.float64
    torch.testing.assert_close(reached.qpos, after.qpos, rtol=0, atol=1e-5)


def test_a_row_that_is_lost_stays_lost_and_harms_no_other():
    before, actions, after = visited("cartpole", "swingup", 3)
    before.qvel[1] = torch.nan
    simulator = TrueSimulator("cartpole", "swingup", threads=1)
    reached = simulator.step(before, actions)
    assert simulator.is_valid(reached).tolist() == [True, False, True]
    assert torch.equal(reached.qpos[::2], after.qpos[::2])
    assert simulator.is_valid(simulator.step(reached, actions)).tolist() == [True, False, True]
    exploding = before[::2]
    exploding.qvel[0] = 1e9
    assert simulator.is_valid(simulator.step(exploding, actions[::2])).tolist() == [False, True]


def test_a_return_is_that_of_dm_control():
    row = find_row("cartpole", "swingup")
    env = suite.load_dm_env("cartpole", "swingup", {"random": 5})
    env.reset()
    start = State.from_numpy(suite.state_of(env))
    actions = torch.rand(1, 20, 1, dtype=torch.float64) * 2 - 1
    rewards = [env.step(action.numpy()).reward for action in actions[0]]
    simulator = TrueSimulator("cartpole", "swingup", threads=1)
    planned = rollout_returns(simulator, row.native_task(), start, actions)
    assert planned.item() == pytest.approx(sum(rewards), abs=1e-6)


def test_what_does_not_fit_the_body_is_refused():
    simulator = TrueSimulator("point_mass", "hard", threads=1)
    state = State(torch.zeros(2, 2), torch.zeros(2, 2), None, torch.ones(2, 4))
    with pytest.raises(MosimError, match=r"point_mass needs \(2, 2, 0, 2, 2\)"):
        simulator.step(state, torch.zeros(3, 2))
    with pytest.raises(MosimError, match="holds 0 numbers; point_mass needs 4"):
        simulator.step(State(state.qpos, state.qvel), torch.zeros(2, 2))
