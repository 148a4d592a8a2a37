"""Models that know the forces their body's touch sensors read."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from dm_control.rl.control import Environment

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.dynamics.checkpoint import load_checkpoint, save_checkpoint
from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision
from mosim_gym.dynamics.predictors import Feeling
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.scored import MemberEngine
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.hopper import stand
from mosim_gym.tasks.mujoco import load_dm_env, robot_of
from mosim_gym.types import State
from mosim_gym.uncertainty.disagreement import Disagreement


def hopping() -> Environment:
    """True physics, its solver run to the end."""
    environment = load_dm_env("hopper", "hop", {"random": 0})
    option = environment.physics.model.ptr.opt
    option.tolerance, option.iterations, option.ls_tolerance = 0, 300, 1e-12
    environment.reset()
    return environment


@cache
def hopper() -> tuple[RobotSpec, ModelConfig]:
    """A body with touch sensors and four physics steps a control step, and the truth about it."""
    model = hopping().physics.model.ptr
    description = describe(model)
    config = ModelConfig(
        predictor="articulated",
        features=Flavour.RAW,
        integrator_steps=4,
        precision=Precision.FLOAT64,
        touch=True,
        geometry=description.to_json(),
        numbers=physics_of(model, description).to_json(),
    )
    return robot_of("hopper", "hop"), config


def state_of(environment: Environment) -> State:
    data = environment.physics.data
    return State(torch.tensor(data.qpos)[None], torch.tensor(data.qvel)[None])


@pytest.mark.parametrize("inference", [True, False])
def test_control_steps_read_what_dm_control_observes(inference: bool) -> None:
    spec, config = hopper()
    simulator = Simulator(spec, config).requires_grad_(False)
    assert spec.n_substeps == 4 and simulator.feels and simulator.tells_touch
    environment, rng, steps = hopping(), np.random.default_rng(1), 800
    states, actions, true, starts, at_start = [], [], [], [], []
    for step in range(steps):
        if step % 100 == 0:
            at_start.append(np.expm1(environment.reset().observation["touch"]))
            starts.append(state_of(environment))
        if step % 10 == 0:
            action = rng.uniform(-1, 1, spec.nu)
        states.append(state_of(environment))
        actions.append(torch.tensor(action))
        true.append(np.expm1(environment.step(action).observation["touch"]))
    state, control = State.cat(states), torch.stack(actions)
    newtons, newtons_at_start = (torch.tensor(np.stack(seen)) for seen in (true, at_start))
    with torch.inference_mode(inference):
        after, told = simulator.step_and_touch(state, control)
        plain, late = simulator.step(state, control), simulator.touch(after, control)
        first = simulator.touch(State.cat(starts), torch.zeros(len(starts), spec.nu))
    assert torch.equal(after.qpos, plain.qpos) and torch.equal(after.qvel, plain.qvel)
    assert ((newtons > 0).sum(0) > 10).all()
    assert (late - newtons).abs().max() > 0.1 * newtons.max(), "the moment matters"
    for ours, theirs in ((told, newtons), (first, newtons_at_start)):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_readings_are_differentiable() -> None:
    spec, config = hopper()
    simulator = Simulator(spec, config).requires_grad_(False)
    environment = hopping()
    for _ in range(100):
        environment.step(np.zeros(spec.nu))
    state, action = state_of(environment), torch.zeros(1, spec.nu).double().requires_grad_()
    _, reading = simulator.step_and_touch(state, action)
    (gradient,) = torch.autograd.grad(reading.sum(), action)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_what_feels_needs_no_head_and_its_checkpoint_says_so(tmp_path: Path) -> None:
    spec, config = hopper()
    simulator = Simulator(spec, config)
    assert isinstance(simulator.predictor, Feeling) and simulator.touch_head is None
    save_checkpoint(tmp_path / "x", simulator, acceptance={}, provenance={}, card="")
    loaded = load_checkpoint(tmp_path / "x").simulator
    state, action = state_of(hopping()), torch.zeros(1, spec.nu)
    assert loaded.feels and torch.equal(loaded.touch(state, action), simulator.touch(state, action))


def test_an_old_checkpoint_has_its_head_or_nothing(tmp_path: Path) -> None:
    spec, config = hopper()
    assert config.geometry is not None
    geometry = {name: value for name, value in config.geometry.items() if name != "touch"}
    old = Simulator(spec, dataclasses.replace(config, geometry=geometry))
    assert not old.feels and old.touch_head is not None
    save_checkpoint(tmp_path / "x", old, acceptance={}, provenance={}, card="")
    loaded = load_checkpoint(tmp_path / "x").simulator
    state, action = state_of(hopping()), torch.zeros(1, spec.nu)
    after, reading = loaded.step_and_touch(state, action)
    assert torch.equal(reading, old.touch(after, action))
    silent = Simulator(spec, dataclasses.replace(config, geometry=geometry, touch=False))
    assert not silent.tells_touch
    with pytest.raises(MosimError, match="cannot tell what the touch sensors touch_toe"):
        silent.step_and_touch(state, action)


def test_a_row_that_a_member_moves_reads_what_the_model_does() -> None:
    spec, config = hopper()
    members = [Simulator(spec, config).requires_grad_(False) for _ in range(2)]
    task = stand()
    one = LearnedEngine(members[0], task, 4)
    engine = MemberEngine(Disagreement(members, torch.ones(spec.nv)), members[1], task, 4)
    lying = {"qpos": np.zeros((4, spec.nq)), "qvel": np.zeros((4, spec.nv))}
    lying["qpos"][:, 1] = np.linspace(-0.075, -0.06, 4)
    for each in (one, engine):
        each.begin(np.arange(4), lying, np.random.default_rng(0))
    assert (one.observe()[:, -2:] > 0).any(), "it stands on its foot"
    np.testing.assert_allclose(engine.observe(), one.observe())
    for _ in range(3):
        found = [each.step(np.zeros((4, spec.nu))).observation for each in (one, engine)]
        assert (found[0][:, -2:] > 0).any()
        np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("steps", "touch"), [(2, ("touch_toe", "touch_heel")), (4, ()), (4, ("left", "right"))]
)
def test_other_sensors_and_other_steps_are_not_felt(steps: int, touch: tuple[str, ...]) -> None:
    spec, config = hopper()
    model = dataclasses.replace(config, integrator_steps=steps)
    simulator = Simulator(dataclasses.replace(spec, touch=touch), model)
    assert not simulator.feels and (simulator.touch_head is not None) == bool(touch)
