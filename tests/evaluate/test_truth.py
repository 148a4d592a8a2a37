"""Jacobians and energies against arithmetic by hand and against MuJoCo."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset
from mosim_gym.evaluate.baselines import ConstantVelocity
from mosim_gym.evaluate.energy import energy_drift
from mosim_gym.evaluate.jacobian import JacobianError, in_float64, jacobian_error, step_jacobian
from mosim_gym.tasks.energy import EnergyReader
from mosim_gym.tasks.mujoco import load_dm_env, robot_of
from mosim_gym.tasks.true_simulator import TrueSimulator
from mosim_gym.types import State, Trajectory
from tests.fit.fakes import DAMPING, GAIN, STIFFNESS, Pendulum, pendulum_spec, write_dataset


class Truth(TrueSimulator):
    """True physics as a model of itself."""

    def rollout(self, state: State, actions: Tensor) -> Trajectory:
        states = [state]
        for t in range(actions.shape[1]):
            states.append(self.step(states[-1], actions[:, t]))
        qpos, qvel = (torch.stack([getattr(s, f) for s in states], 1) for f in ("qpos", "qvel"))
        never = torch.zeros(len(state), dtype=torch.bool)
        return Trajectory(qpos, qvel, None, never, torch.full((len(state),), actions.shape[1]))


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("data") / "pendulum", pendulum_spec(), episodes=2)


def test_the_jacobian_by_hand(pendulum: Dataset) -> None:
    data = pendulum.transitions()
    found = step_jacobian(Pendulum(pendulum.spec).step, data.state, data.action)
    h = pendulum.spec.control_dt
    by_q = -h * STIFFNESS * data.state.qpos[:, 0].cos()
    by_v, by_u = torch.full_like(by_q, 1 - h * DAMPING), torch.full_like(by_q, h * GAIN)
    of_v = torch.stack([by_q, by_v, by_u], 1)
    of_q = torch.tensor([1.0, 0.0, 0.0]) + h * of_v
    torch.testing.assert_close(found, torch.stack([of_q, of_v], 1), atol=1e-8, rtol=0)


def test_the_jacobian_is_mujocos_own() -> None:
    env = load_dm_env("reacher", "easy")
    env.reset()
    model, data = env.physics.model.ptr, env.physics.data.ptr
    rng = np.random.default_rng(0)
    qpos, qvel, ctrl = rng.normal(size=(3, 1, 2))
    data.qpos[:], data.qvel[:], data.ctrl[:] = qpos[0], qvel[0], ctrl[0]
    a, b = np.zeros((4, 4)), np.zeros((4, 2))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, a, b, None, None)
    true = TrueSimulator("reacher", "easy", threads=1)
    state = State(torch.from_numpy(qpos), torch.from_numpy(qvel))
    found = step_jacobian(true.step, state, torch.from_numpy(ctrl))
    np.testing.assert_allclose(found[0], np.concatenate([a, b], 1), atol=1e-7)


def test_jacobian_errors(pendulum: Dataset) -> None:
    data, exact = pendulum.transitions(), Pendulum(pendulum.spec)
    assert jacobian_error(exact, exact.step, data).relative.max() < 1e-9
    error = jacobian_error(ConstantVelocity(pendulum.spec), exact.step, data, count=50)
    assert len(error.relative) == 50 and 0.02 < float(error.relative.median()) < 1
    assert error.summary()["states"] == 50
    float32 = in_float64(exact.float())
    assert jacobian_error(float32, exact.double().step, data).relative.max() < 1e-6
    broken = JacobianError(torch.tensor([0.1, 0.2, torch.inf]))
    assert broken.summary() == {
        "states": 3, "mean": None, "median": pytest.approx(0.2), "0.95": pytest.approx(0.2)
    }  # fmt: skip


def test_energies_are_mechanical() -> None:
    """The pendulum of the suite: a mass of 1 kg at 0.5 m, turned by armature and damped."""
    energy = EnergyReader("pendulum", "swingup")
    angles = torch.linspace(-3, 3, 7, dtype=torch.float64).unsqueeze(1)
    still = energy(State(angles, torch.zeros_like(angles)))
    moving = energy(State(angles, 2 * torch.ones_like(angles)))
    kinetic = moving.joules - still.joules
    np.testing.assert_allclose(kinetic, kinetic[0], rtol=1e-9)
    height = np.cos(angles[:, 0].numpy())
    slope, _ = np.polyfit(height, still.joules, 1)
    np.testing.assert_allclose(
        still.joules - still.joules[0], slope * (height - height[0]), atol=1e-9
    )
    assert slope > 0 and kinetic[0] > 0 and not still.touching


def test_truth_has_no_drift_and_constant_velocity_has() -> None:
    truth, energy = Truth("acrobot", "swingup", threads=1), EnergyReader("acrobot", "swingup")
    generator = torch.Generator().manual_seed(0)
    qpos, qvel = 3 * torch.randn(2, 6, 2, generator=generator).double()
    starts = State(qpos, qvel)
    none = energy_drift(truth, truth.step, energy, starts, (1, 20))
    assert none is not None and none.joules.abs().max() == 0
    some = energy_drift(ConstantVelocity(truth.spec), truth.step, energy, starts, (1, 20))
    assert some is not None and some.joules.shape == (6, 2)
    at = some.summary()["by_horizon"]
    assert at["20"]["seconds"] == 0.2 and at["20"]["median_of_size_relative"] > 1e-3
    assert at["1"]["median_of_size_joules"] < at["20"]["median_of_size_joules"]


def test_bodies_that_touch_something_have_no_figure() -> None:
    truth, energy = Truth("hopper", "stand", threads=1), EnergyReader("hopper", "stand")
    zeros = torch.zeros(2, truth.spec.nq, dtype=torch.float64)
    starts = State(zeros, torch.zeros(2, truth.spec.nv, dtype=torch.float64))
    assert robot_of("hopper", "stand") == truth.spec
    assert energy_drift(ConstantVelocity(truth.spec), truth.step, energy, starts, (60,)) is None
