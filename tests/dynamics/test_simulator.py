"""Simulator: its contract on shapes, time, divergence and gradients."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision, Torque
from mosim_gym.dynamics.predictors import Inputs, RigidBody
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec
from mosim_gym.types import State

SPEC = RobotSpec(
    name="arm",
    joints=(
        Joint("shoulder", JointType.HINGE, 0, 0, None, True),
        Joint("wrist", JointType.HINGE, 1, 1, (-2.0, 2.0), False),
    ),
    actuators=(Actuator("a", (-1.0, 1.0)), Actuator("b", (-1.0, 1.0))),
    na=0,
    physics_dt=0.01,
    n_substeps=2,
    integrator=Integrator.EULER,
    fingerprint="arm",
)
CONFIGS = {
    "residual": ModelConfig(width=8, integrator_steps=2),
    "rigid_body": ModelConfig("rigid_body", width=8, correctors=2, integrator_steps=2),
    "mlp torque": ModelConfig("rigid_body", width=8, torque=Torque.MLP, integrator="rk4"),
    "paper": ModelConfig("rigid_body", 8, features=Flavour.RAW, integrator="dopri5", correctors=1),
}


def make(config: ModelConfig, spec: RobotSpec = SPEC) -> Simulator:
    return Simulator(spec, dataclasses.replace(config, precision=Precision.FLOAT64))


def states(n: int = 4) -> State:
    return State(torch.randn(n, 2).double(), torch.randn(n, 2).double())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_rollout_is_repeated_steps(config: ModelConfig) -> None:
    simulator = make(config)
    start, actions = states(), torch.rand(4, 5, 2).double()
    trajectory = simulator.rollout(start, actions)
    state = start
    for t in range(5):
        state = simulator.step(state, actions[:, t])
        torch.testing.assert_close(trajectory.qpos[:, t + 1], state.qpos, rtol=0, atol=0)
        torch.testing.assert_close(trajectory.qvel[:, t + 1], state.qvel, rtol=0, atol=0)
    assert trajectory.horizon == 5 and not trajectory.diverged.any()
    assert trajectory.valid_steps.tolist() == [5] * 4


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_gradients_are_those_of_finite_differences(config: ModelConfig) -> None:
    simulator = make(config).requires_grad_(False)
    start, action = states(2), torch.rand(2, 2).double().requires_grad_()

    def step(qpos: torch.Tensor, qvel: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        after = simulator.step(State(qpos, qvel), u)
        return torch.cat([after.qpos, after.qvel], 1)

    inputs = (start.qpos.requires_grad_(), start.qvel.requires_grad_(), action)
    assert torch.autograd.gradcheck(step, inputs, atol=1e-6)


def test_integrator_steps_cover_the_control_step() -> None:
    simulator = make(CONFIGS["residual"])
    assert (simulator.physics_dt, simulator.control_dt, simulator.step_dt) == (0.01, 0.02, 0.01)
    whole = make(dataclasses.replace(CONFIGS["residual"], integrator_steps=1))
    assert whole.step_dt == 0.02


def test_a_diverged_row_freezes_and_leaves_the_others_alone() -> None:
    simulator = make(CONFIGS["residual"])
    simulator.bound_speed(50.0)
    start, actions = states(), torch.rand(4, 6, 2).double()
    alone = simulator.rollout(start[:3], actions[:3])
    actions[3, 2] = 1e9
    actions[1, 3] = float("nan")
    both = simulator.rollout(start, actions)
    assert both.diverged.tolist() == [False, True, False, True]
    assert both.valid_steps.tolist() == [6, 3, 6, 2]
    assert both.qpos.isfinite().all() and both.qvel.abs().max() <= 50
    assert (both.qpos[3, 3:] == both.qpos[3, 2]).all()
    assert (both.qvel[1, 4:] == both.qvel[1, 3]).all()
    for row in (0, 2):
        torch.testing.assert_close(both.qpos[row], alone.qpos[row])


def test_a_start_that_is_not_finite_is_diverged() -> None:
    simulator = make(CONFIGS["residual"])
    start = states()
    start.qpos[2, 0] = float("inf")
    assert simulator.is_valid(start).tolist() == [True, True, False, True]
    trajectory = simulator.rollout(start, torch.zeros(4, 2, 2))
    assert trajectory.diverged.tolist() == [False, False, True, False]
    assert trajectory.valid_steps.tolist() == [2, 2, 0, 2]


def test_inputs_are_cast_and_context_passes_through() -> None:
    simulator = Simulator(SPEC, CONFIGS["residual"])
    start = dataclasses.replace(states(), context=torch.ones(4, 3).double())
    after = simulator.step(start, torch.zeros(4, 2, dtype=torch.float64))
    assert after.qpos.dtype == simulator.dtype == torch.float32
    assert after.context is not None and (after.context == 1).all()


@pytest.mark.parametrize("doubled", ["qpos", "qvel", "context"])
def test_every_field_is_cast_on_its_own(doubled: str) -> None:
    simulator = Simulator(SPEC, CONFIGS["residual"])
    start = dataclasses.replace(states(), context=torch.ones(4, 3)).to(torch.float32)
    mixed = dataclasses.replace(start, **{doubled: getattr(start, doubled).double()})
    action = torch.rand(4, 2).double()
    for after in (simulator.step(mixed, action), simulator.step(start, action.float())):
        assert {value.dtype for _, value in after.items()} == {torch.float32}
    assert (simulator.step(mixed, action).qvel == after.qvel).all()
    path = simulator.rollout(mixed, action.unsqueeze(1))
    assert (path.qvel[:, 1] == after.qvel).all()
    assert simulator.rollout(mixed, action.unsqueeze(1)[:, :0]).qvel.dtype == torch.float32


@pytest.mark.parametrize("shape", [(4, 3), (3, 2), (2,), (), (4, 1, 2)], ids=str)
def test_actions_of_a_wrong_shape_are_named(shape: tuple[int, ...]) -> None:
    # Two rows: as many as actuators, so that one action is not taken for a column of them.
    for n in (2, 4):
        with pytest.raises(MosimError, match=rf"got actions.*expected \(batch, nu\) = \({n}, 2\)"):
            make(CONFIGS["residual"]).step(states(n), torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4, 2), (3, 5, 2), (4, 5, 3), (4, 0, 3)], ids=str)
def test_action_sequences_of_a_wrong_shape_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(MosimError, match=r"expected \(batch, T, nu\) = \(4, T, 2\)"):
        make(CONFIGS["residual"]).rollout(states(), torch.zeros(shape))


@pytest.mark.parametrize("steps", [0, 3])
def test_states_of_wrong_widths_are_named(steps: int) -> None:
    wide = State(torch.zeros(4, 3), torch.zeros(4, 2), torch.zeros(4, 1))
    simulator = make(CONFIGS["residual"])
    words = r"widths \(3, 2, 1\); expected \(nq, nv, na\) = \(2, 2, 0\)"
    with pytest.raises(MosimError, match=words):
        simulator.rollout(wide, torch.zeros(4, steps, 2))
    with pytest.raises(MosimError, match=words):
        simulator.step(wide, torch.zeros(4, 2))


def test_correctors_start_at_zero() -> None:
    torch.manual_seed(1)
    plain = make(dataclasses.replace(CONFIGS["rigid_body"], correctors=0))
    torch.manual_seed(1)
    corrected = make(CONFIGS["rigid_body"])
    start, action = states(), torch.rand(4, 2).double()
    assert (plain.step(start, action).qvel == corrected.step(start, action).qvel).all()


def test_inverse_mass_is_positive_symmetric_and_blind_to_velocity() -> None:
    simulator = make(CONFIGS["rigid_body"])
    predictor = simulator.predictor
    assert isinstance(predictor, RigidBody)
    state, action = states(), torch.zeros(4, 2).double()
    inverse = [
        predictor.inverse_mass(simulator.features.encode(state.qpos, qvel, None, action))
        for qvel in (state.qvel, 10 * state.qvel)
    ]
    assert (inverse[0] == inverse[1]).all()
    torch.testing.assert_close(inverse[0], inverse[0].transpose(1, 2))
    assert (torch.linalg.eigvalsh(inverse[0]) >= 0).all()
    inputs = Inputs(
        state.qpos, state.qvel, None, action, torch.zeros(4, 12).double(), torch.ones(2).double()
    )
    assert predictor(inputs).shape == (4, 2)


def test_step_compiles_into_one_graph() -> None:
    simulator = make(CONFIGS["residual"])

    def step(qpos: torch.Tensor, qvel: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return simulator.step(State(qpos, qvel), action).qvel

    start, action = states(), torch.rand(4, 2).double()
    compiled = torch.compile(step, backend="eager", fullgraph=True)
    assert (compiled(start.qpos, start.qvel, action) == step(start.qpos, start.qvel, action)).all()


def test_unknown_predictor_and_bad_counts_are_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rigid_body'"):
        make(ModelConfig(predictor="rigidbody"))
    with pytest.raises(MosimError, match="width is 0; expected 1 or more"):
        ModelConfig(width=0)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_config_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_json(config.to_json()) == config


def test_foreign_config_is_refused() -> None:
    with pytest.raises(MosimError, match="Not a model config"):
        ModelConfig.from_json({"features": "standard"})
