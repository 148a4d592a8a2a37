"""Context that changes the dynamics is an input; any other is not."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mosim_gym.dynamics.config import Flavour
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.errors import MosimError
from mosim_gym.types import State
from tests.dynamics.test_simulator import CONFIGS, SPEC, make, states

MOVED = dataclasses.replace(SPEC, context_inputs=3)


def with_context(context: torch.Tensor | None) -> State:
    torch.manual_seed(3)
    return dataclasses.replace(states(), context=context)


@pytest.mark.parametrize("flavour", [Flavour.STANDARD, Flavour.RAW])
def test_it_stands_with_the_controls_and_is_whitened(flavour: Flavour) -> None:
    plain, moved = FeatureMap(SPEC, flavour).double(), FeatureMap(MOVED, flavour).double()
    assert moved.n_control == plain.n_control + 3
    assert moved.n_position + moved.n_velocity == plain.n_position + plain.n_velocity
    state, action = states(300), torch.rand(300, 2).double()
    context = 5 + 2 * torch.randn(300, 3).double()
    raw = moved.unwhitened(state.qpos, state.qvel, None, action, context)
    first = moved.n_position + moved.n_velocity
    assert torch.equal(raw[:, first:], torch.cat([context, action], 1))
    moved.learn_scales(raw)
    white = moved.encode(state.qpos, state.qvel, None, action, context)
    if flavour is Flavour.STANDARD:
        torch.testing.assert_close(white.std(0)[first:], torch.ones(5).double())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_it_moves_the_body(config: object) -> None:
    simulator = make(config, MOVED)  # type: ignore[arg-type]
    action, one, two = torch.rand(4, 2), torch.ones(4, 3), 2 * torch.ones(4, 3)
    after = simulator.step(with_context(one), action)
    assert after.context is not None and (after.context == 1).all()
    assert not torch.equal(after.qvel, simulator.step(with_context(two), action).qvel)
    path = simulator.rollout(with_context(one), action.unsqueeze(1).repeat(1, 3, 1))
    assert torch.equal(path.qvel[:, 1], after.qvel)


def test_other_context_does_not() -> None:
    simulator, action = make(CONFIGS["residual"]), torch.rand(4, 2)
    moved = [
        simulator.step(with_context(c), action).qvel for c in (None, torch.ones(4, 9).double())
    ]
    assert torch.equal(*moved)


@pytest.mark.parametrize(("context", "width"), [(None, 0), (torch.ones(4, 2), 2)])
def test_a_missing_one_is_named(context: torch.Tensor | None, width: int) -> None:
    simulator = make(CONFIGS["residual"], MOVED)
    words = f"arm got states with a context of {width} numbers; expected State.context with the 3"
    for actions in (torch.zeros(4, 2), torch.zeros(4, 1, 2)):
        with pytest.raises(MosimError, match=words):
            (simulator.step if actions.ndim == 2 else simulator.rollout)(
                with_context(context), actions
            )
