"""What is kept of weights is what they are now."""

import copy

import pytest
import torch
from torch.func import functional_call

from mosim_gym.dynamics.checkpoint import load_simulator
from mosim_gym.dynamics.memo import Memo
from mosim_gym.types import State


@pytest.fixture
def counted():
    calls = []

    def double(weight):
        calls.append(1)
        return 2 * weight

    return Memo(double), calls


def test_it_is_worked_out_once_in_inference_mode(counted):
    memo, calls = counted
    weight = torch.nn.Parameter(torch.ones(3))
    with torch.inference_mode():
        assert torch.equal(memo(weight), memo(weight))
    assert len(calls) == 1
    memo(weight)
    assert len(calls) == 2


def test_what_comes_to_lie_where_others_were_is_not_taken_for_them(counted):
    """As trial weights do, one after the other."""
    memo, _ = counted
    with torch.inference_mode():
        for k in range(200):
            assert memo(torch.full((1000,), float(k)))[0] == 2 * k


@pytest.mark.parametrize(
    "change",
    [
        lambda m: torch.nn.init.constant_(m.weight, 3.0),
        lambda m: m.load_state_dict({"weight": torch.full((1, 1), 3.0)}),
        lambda m: m.double(),
    ],
    ids=["in place", "loaded", "cast"],
)
def test_changed_weights_are_seen(counted, change):
    memo, _ = counted
    module = torch.nn.Linear(1, 1, bias=False)
    with torch.inference_mode():
        memo(module.weight)
    change(module)
    with torch.inference_mode():
        assert torch.equal(memo(module.weight), 2 * module.weight)


def test_a_model_follows_its_weights_and_those_put_in_for_a_moment():
    simulator = load_simulator("acrobot")
    state, action = State(torch.rand(4, 2), torch.rand(4, 2)), torch.rand(4, 1)
    with torch.inference_mode():
        before = simulator.step(state, action)
    other = copy.deepcopy(simulator)
    with torch.no_grad():
        other.predictor.mechanics.mass.mul_(1.5)
    with torch.inference_mode():
        changed = other.step(state, action)
        assert torch.equal(simulator.step(state, action).qvel, before.qvel)
        assert not torch.equal(changed.qvel, before.qvel)
        put_in = functional_call(
            _Stepper(simulator), {"simulator." + n: p for n, p in other.named_parameters()},
            (state, action),
        )  # fmt: skip
    assert torch.equal(put_in, changed.qvel)


class _Stepper(torch.nn.Module):
    def __init__(self, simulator):
        super().__init__()
        self.simulator = simulator

    def forward(self, state, action):
        return self.simulator.step(state, action).qvel
