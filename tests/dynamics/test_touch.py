"""The head for touch readings: optional, never negative, and apart from all else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from mosim_gym.dynamics.checkpoint import load_checkpoint, save_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.types import State
from tests.dynamics.test_simulator import CONFIGS, SPEC, states

TOUCHING = dataclasses.replace(SPEC, touch=("toe", "heel", "palm"))


def make(name: str, *, touch: bool = True) -> Simulator:
    torch.manual_seed(0)
    return Simulator(TOUCHING, dataclasses.replace(CONFIGS[name], touch=touch))


@pytest.mark.parametrize("name", CONFIGS)
def test_readings_are_newtons_a_row_and_differentiable(name: str) -> None:
    simulator = make(name).requires_grad_(False)
    state, action = states(5), torch.rand(5, 2).double().requires_grad_()
    reading = simulator.touch(state, action)
    assert reading.shape == (5, 3) and reading.dtype == torch.float32
    assert (reading >= 0).all()
    (gradient,) = torch.autograd.grad(reading.sum(), action)
    assert gradient.isfinite().all() and gradient.abs().max() > 0
    far = State(100 * state.qpos, 100 * state.qvel)
    assert (simulator.touch(far, action) >= 0).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_head_leaves_the_motion_as_it_is(name: str) -> None:
    plain, touching = make(name, touch=False).state_dict(), make(name).state_dict()
    assert {key for key in touching if key not in plain} == {
        key for key in touching if key.startswith("touch_head.")
    }
    assert all(torch.equal(touching[key], value) for key, value in plain.items())


def test_a_body_without_sensors_gets_no_head() -> None:
    simulator = Simulator(SPEC, dataclasses.replace(CONFIGS["residual"], touch=True))
    assert simulator.touch_head is None
    with pytest.raises(MosimError, match="arm has no touch sensors"):
        simulator.touch(states(), torch.zeros(4, 2))


def test_a_model_that_never_learned_it_says_what_to_do() -> None:
    simulator = make("residual", touch=False)
    with pytest.raises(
        MosimError, match="toe, heel, palm read: the data .* held no touch.*Collect the data anew"
    ):
        simulator.touch(states(), torch.zeros(4, 2))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(MosimError, match=r"expected \(batch, nu\) = \(4, 2\)"):
        make("residual").touch(states(), torch.zeros(1, 2))


@pytest.mark.parametrize("touch", [True, False])
def test_the_checkpoint_knows(tmp_path: Path, touch: bool) -> None:
    simulator = make("rigid_body", touch=touch)
    save_checkpoint(tmp_path / "x", simulator, acceptance={}, provenance={}, card="")
    loaded = load_checkpoint(tmp_path / "x")
    assert loaded.config.touch is touch and loaded.spec == TOUCHING
    if touch:
        state, action = states(), torch.rand(4, 2)
        assert torch.equal(loaded.simulator.touch(state, action), simulator.touch(state, action))


def test_a_checkpoint_from_before_there_were_heads_loads(tmp_path: Path) -> None:
    simulator = Simulator(SPEC, CONFIGS["rigid_body"])
    save_checkpoint(tmp_path / "x", simulator, acceptance={}, provenance={}, card="")
    file = tmp_path / "x" / "config.json"
    fields = json.loads(file.read_text())
    del fields["model"]["touch"], fields["robot"]["touch"], fields["robot"]["context_inputs"]
    file.write_text(json.dumps(fields))
    loaded = load_checkpoint(tmp_path / "x").simulator
    state, action = states(), torch.rand(4, 2)
    assert torch.equal(loaded.step(state, action).qvel, simulator.step(state, action).qvel)
