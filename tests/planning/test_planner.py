"""The planner on a body of which the best plan is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mosim_gym.errors import MosimError
from mosim_gym.planning.planner import Planner, PlannerSettings
from mosim_gym.planning.rollout import WORST, rollout_returns
from mosim_gym.planning.rules import Cem, Mppi
from mosim_gym.types import State
from tests.planning.fakes import Parking, Puck, best_plan

SETTINGS = PlannerSettings(horizon=15, samples=64, iterations=2, noise=0.5, memory=0.3, fine=0.1)
RULES = pytest.mark.parametrize("rule", [Mppi(), Cem()], ids=["mppi", "cem"])


def states(*positions: float, goal: float = 0.0) -> State:
    qpos = torch.tensor(positions, dtype=torch.float64)[:, None]
    return State(qpos, torch.zeros_like(qpos), None, torch.full_like(qpos, goal))


def planner(dynamics: Puck | None = None, **changes) -> Planner:
    rule, seed = changes.pop("rule", Mppi()), changes.pop("seed", 0)
    terminal = changes.pop("terminal", None)
    settings = replace(SETTINGS, **changes)
    return Planner(dynamics or Puck(), Parking(), settings, rule, terminal=terminal, seed=seed)


def drive(planner: Planner, state: State, steps: int) -> tuple[State, torch.Tensor]:
    """The last state and the returns of acting for some steps."""
    body, task = Puck(), Parking()
    returns = torch.zeros(len(state), dtype=torch.float64)
    for _ in range(steps):
        action = planner.act(state)
        state = body.step(state, action)
        returns += task.reward(task.measure(state, action))
    return state, returns


@pytest.mark.parametrize(("rule", "fine"), [(Mppi(), 0.1), (Cem(), 1.0)], ids=["mppi", "cem"])
def test_a_plan_comes_to_the_known_optimum(rule, fine):
    start, task = states(0.5), Parking()
    best = best_plan(start, SETTINGS.horizon)
    # Limits that play no part: the optimum is that of the free system.
    wide = Puck(limits=(-5.0, 5.0))
    assert best.abs().max() < 2
    search = planner(wide, rule=rule, fine=fine, iterations=30, samples=256, noise=0.3, memory=0.2)
    found = search.improve(start).mean[0, :, 0]

    def value(plan: torch.Tensor) -> float:
        return rollout_returns(wide, task, start, plan[None, :, None]).item()

    nothing, optimum = value(torch.zeros_like(best)), value(best)
    assert optimum - 0.01 * (optimum - nothing) < value(found) <= optimum
    assert (found[0] - best[0]).abs() < 0.15 * best[0].abs()


@RULES
def test_it_parks_where_random_pushes_do_not(rule):
    start = states(-1.0, 1.0, goal=0.25)
    end, returns = drive(planner(rule=rule), start, 60)
    assert (end.qpos - 0.25).abs().max() < 0.05
    assert end.qvel.abs().max() < 0.05
    pushes = torch.rand(2, 60, 1, dtype=torch.float64) * 2 - 1
    random = rollout_returns(Puck(), Parking(), start, pushes)
    assert (returns > random / 3).all()


@RULES
def test_the_seed_decides_everything(rule):
    start = states(1.0, -0.5)
    first, again, other = (drive(planner(rule=rule, seed=s), start, 5)[0] for s in (3, 3, 4))
    assert torch.equal(first.qpos, again.qpos)
    assert not torch.equal(first.qpos, other.qpos)


@RULES
def test_bodies_are_planned_for_as_if_alone(rule):
    together, _ = drive(planner(rule=rule), states(1.0, -0.5, 0.1), 8)
    for k, position in enumerate((1.0, -0.5, 0.1)):
        alone, _ = drive(planner(rule=rule), states(position), 8)
        torch.testing.assert_close(together.qpos[k : k + 1], alone.qpos, rtol=0, atol=1e-9)


@RULES
def test_every_action_is_within_the_limits(rule):
    body = Puck(limits=(-0.2, 0.7))
    search = planner(body, rule=rule, noise=3.0)
    actions = torch.stack([search.act(states(5.0, -5.0)) for _ in range(4)])
    tried = torch.stack(body.tried)
    assert (tried.min(), tried.max()) == (-0.2, 0.7)
    assert -0.2 <= actions.min() < -0.15
    assert 0.65 < actions.max() <= 0.7


def test_without_limits_noise_is_in_units_of_the_control():
    body = Puck(limits=None)
    planner(body, noise=0.5, iterations=1, fine=1.0, samples=2000).improve(states(0.0))
    tried = torch.stack(body.tried)
    assert tried.std().item() == pytest.approx(0.5, rel=0.05)


def test_all_rows_of_all_bodies_are_stepped_in_one_call():
    body = Puck()
    planner(body).act(states(1.0, 2.0, 3.0))
    assert body.rows == {3 * SETTINGS.samples}
    assert body.steps == SETTINGS.horizon * SETTINGS.iterations


def test_the_next_plan_goes_on_from_the_last_one_shifted():
    search, start = planner(), states(1.0)
    found = planner().improve(start).mean
    action = search.act(start)
    assert torch.equal(action, found[:, 0])
    assert torch.equal(search.plan[:, :-1], found[:, 1:])
    assert torch.equal(search.plan[:, -1], found[:, -1])
    body = Puck()
    search.dynamics = body
    search.improve(start)
    # What was planned is the first of what is tried.
    assert torch.equal(torch.stack([a[0] for a in body.tried[:15]]), search.plan[0])


def test_a_warm_start_needs_fewer_iterations():
    start = states(1.0)
    cold = planner(iterations=1, noise=0.2)
    warm = planner(iterations=1, noise=0.2)
    value = {}
    for name, search in (("cold", cold), ("warm", warm)):
        for _ in range(10):
            search.act(start)
            if search is cold:
                search.forget()
        plan = search.improve(start).mean
        value[name] = rollout_returns(Puck(), Parking(), start, plan).item()
    assert value["warm"] > value["cold"] + 0.1


def test_other_bodies_need_a_fresh_plan():
    search = planner()
    search.act(states(1.0))
    with pytest.raises(MosimError, match="given 2 bodies, 1 before; call forget"):
        search.act(states(1.0, 2.0))
    search.forget()
    assert search.act(states(1.0, 2.0)).shape == (2, 1)


@RULES
def test_futures_that_diverge_are_avoided(rule):
    # Beyond the cliff at 0.3 the model is lost; the goal lies beyond.
    start = states(0.0, goal=2.0)
    body = Puck(cliff=0.3)
    search = planner(body, rule=rule)
    state = start
    for _ in range(30):
        state = Puck(cliff=0.3).step(state, search.act(state))
    assert state.isfinite().all()
    assert state.qpos.item() > 0.1


@RULES
def test_nothing_but_divergence_still_gives_an_action(rule):
    action = planner(Puck(cliff=-1.0), rule=rule).act(states(0.0))
    assert action.isfinite().all()


def test_a_diverged_rollout_has_the_worst_return():
    actions = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)[:, None].expand(2, 5, 1)
    returns = rollout_returns(Puck(cliff=0.05), Parking(), states(0.0, 0.0), actions)
    assert returns[0] == WORST
    assert returns[1] > -1


def test_nothing_counts_after_the_end():
    class Ending(Parking):
        def terminated(self, measured):
            return measured > 1.0

    start, still = states(2.0, 0.5), torch.zeros(2, 4, 1, dtype=torch.float64)
    plain = rollout_returns(Puck(), Parking(), start, still)
    ended = rollout_returns(Puck(), Ending(), start, still, lambda state: state.qpos[:, 0])
    assert plain.tolist() == [-16.0, -1.0]
    assert ended.tolist() == [-4.0, -0.5]


def test_a_terminal_value_shows_what_lies_beyond_the_horizon():
    def far(state: State) -> torch.Tensor:
        return 100 * state.qpos[:, 0]

    toward = planner(horizon=3, terminal=far, iterations=4).act(states(0.0))
    assert toward.item() > 0.5
    assert planner(horizon=3, iterations=4).act(states(0.0)).abs().item() < 0.2


def test_touch_is_not_asked_for():
    class Feeling(Parking):
        touch = ("left", "right")

        def measure(self, state, action, touch=None):
            assert touch.shape == (len(state), 2)
            return super().measure(state, action)

    action = Planner(Puck(), Feeling(), SETTINGS).act(states(1.0))
    assert action.shape == (1, 1)


def test_planning_leaves_no_autograd_graph():
    assert planner().act(states(1.0)).is_inference()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"horizon": 0}, "horizon is 0; expected 1"),
        ({"samples": 1}, "samples is 1; expected 2"),
        ({"iterations": 0}, "iterations is 0; expected 1"),
        ({"noise": 0.0}, "noise above 0"),
        ({"fine": 0.0}, "fine above 0"),
        ({"memory": -1.0}, "memory 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, match):
    with pytest.raises(MosimError, match=match):
        PlannerSettings(**wrong)


def test_rules_that_make_no_sense_are_refused():
    with pytest.raises(MosimError, match=r"temperature is 0; expected more than 0"):
        Mppi(temperature=0)
    with pytest.raises(MosimError, match=r"elites=0 and memory=0.1; expected shares"):
        Cem(elites=0)
    assert np.isfinite(WORST)
