"""Horizon figures against a fake with exact dynamics and against arithmetic by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset
from mosim_gym.evaluate.baselines import ConstantVelocity
from mosim_gym.evaluate.horizon import (
    HorizonErrors,
    horizon_errors,
    measured_positions,
    open_loop,
    quantile,
)
from mosim_gym.robots.spec import Integrator, Joint, JointType, RobotSpec
from tests.fit.fakes import Pendulum, pendulum_spec, write_dataset


class Biased(Pendulum):
    """Off by a constant acceleration."""

    def derivative(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        qacc, rate = super().derivative(qpos, qvel, act, action, context)
        return qacc + 0.5, rate


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("data") / "pendulum", pendulum_spec())


def test_exact_dynamics_are_valid_throughout(pendulum: Dataset) -> None:
    errors = horizon_errors(Pendulum(pendulum.spec), pendulum.windows(60))
    assert errors.squared.shape == (10, 60)
    assert errors.squared.max() < 1e-20
    assert errors.trusted_horizon == 60 and (errors.share_valid == 1).all()
    assert errors.summary((1, 60, 100))["by_horizon"].keys() == {"1", "60"}


def test_first_step_error_is_the_bias(pendulum: Dataset) -> None:
    errors = horizon_errors(Biased(pendulum.spec), pendulum.windows(1))
    dt = pendulum.spec.control_dt
    expected = ((0.5 * dt**2) ** 2 + (0.5 * dt) ** 2) / 2
    torch.testing.assert_close(errors.squared, torch.full((600, 1), expected).double())


def test_positions_and_velocities_apart(pendulum: Dataset) -> None:
    errors = horizon_errors(Biased(pendulum.spec), pendulum.windows(30))
    torch.testing.assert_close((errors.parts["qpos"] + errors.parts["qvel"]) / 2, errors.squared)
    dt = pendulum.spec.control_dt
    expected = torch.full((20,), (0.5 * dt) ** 2).double()
    torch.testing.assert_close(errors.parts["qvel"][:, 0], expected)
    at = errors.at(30)
    assert at["seconds"] == 0.6 and at["mse_quantiles"]["0.5"] == at["mse_median"]
    quantiles = list(at["mse_quantiles"].values())
    assert quantiles == sorted(quantiles) and at["qpos_mse_mean"] < at["qvel_mse_mean"]


def test_quantiles_are_no_nan_beside_infinity() -> None:
    values = torch.tensor([1.0, 2.0, math.inf, math.inf])
    assert [float(quantile(values, q)) for q in (0.0, 0.5, 0.95)] == [1, 2, math.inf]


def test_short_and_long_rollouts(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", pendulum_spec(), episodes=3, length=250)
    simulator = Pendulum(data.spec)
    kinds = [(len(e.squared), e.horizon) for e in open_loop(simulator, data)]
    assert kinds == [(6, 100), (3, 250)]
    assert [e.horizon for e in open_loop(simulator, data, 120)] == [100, 120]
    assert [len(e.squared) for e in open_loop(simulator, data, 50)] == [15]


def test_constant_velocity_is_right_without_forces(pendulum: Dataset) -> None:
    baseline, windows = ConstantVelocity(pendulum.spec), pendulum.windows(20)
    moved = baseline.rollout(windows.start, windows.actions)
    state = windows.start
    for t in range(20):
        state = baseline.step(state, windows.actions[:, t])
    torch.testing.assert_close(moved.qpos[:, -1], state.qpos)
    torch.testing.assert_close(moved.qvel[:, -1], windows.start.qvel)
    errors = horizon_errors(baseline, windows)
    assert not errors.diverged.any() and errors.mse(20).median() > 1e-2
    assert errors.mse(20).median() > horizon_errors(Biased(pendulum.spec), windows).mse(20).median()


def test_chunks_change_nothing(pendulum: Dataset) -> None:
    windows = pendulum.windows(20)
    whole = horizon_errors(Biased(pendulum.spec), windows)
    parts = horizon_errors(Biased(pendulum.spec), windows, chunk=7)
    torch.testing.assert_close(whole.whitened, parts.whitened)


def test_horizons_by_hand() -> None:
    whitened = torch.zeros(10, 4)
    whitened[0, 1] = 0.2  # invalid from step 2 on, though it comes back
    whitened[1, 3] = 0.11
    whitened[2, 3] = 0.10  # at the bound is still valid
    errors = HorizonErrors(whitened, whitened, torch.zeros(10, dtype=torch.bool), 0.1)
    assert errors.valid_horizon.tolist() == [1, 3] + [4] * 8
    torch.testing.assert_close(errors.share_valid, torch.tensor([1.0, 0.9, 0.9, 0.8]).double())
    assert errors.trusted_horizon == 3
    assert errors.mse(2)[0] == pytest.approx(0.1)


def test_rollouts_that_diverge_at_once_are_never_valid(pendulum: Dataset) -> None:
    simulator = Biased(pendulum.spec)
    simulator.bound_speed(1e-3)
    errors = horizon_errors(simulator, pendulum.windows(10))
    assert errors.diverged.all() and errors.trusted_horizon == 0
    assert (errors.share_valid == 0).all()
    summary = errors.summary((1, 10))
    at = summary["by_horizon"]["10"]
    assert at["share_valid"] == 0 and at["mse_mean"] is at["mse_median"] is None
    assert set(at["mse_quantiles"].values()) == {at["qpos_mse_mean"], at["qvel_mse_median"]}


def test_a_rollout_is_infinitely_wrong_from_where_it_diverges(pendulum: Dataset) -> None:
    # Exact dynamics, so that the frozen state of a slow row would pass for a valid one.
    windows = pendulum.windows(60, stride=1)
    simulator = Pendulum(pendulum.spec)
    bound = float(windows.qvel.abs().amax((1, 2)).quantile(0.7))
    simulator.bound_speed(bound)
    errors = horizon_errors(simulator, windows)
    fine = (windows.qvel[..., 0].abs() <= bound).long().cumprod(1).bool()
    assert 0 < errors.diverged.sum() < len(windows) / 2
    assert (errors.diverged == ~fine[:, -1]).all()
    for figures in (errors.squared, errors.whitened):
        assert (figures[fine[:, 1:]] < 1e-9).all() and (figures[~fine[:, 1:]] == math.inf).all()
    torch.testing.assert_close(errors.share_valid, fine[:, 1:].double().mean(0))
    summary = errors.summary((60,))
    assert summary["diverged"] == int(errors.diverged.sum())
    assert summary["by_horizon"]["60"]["mse_mean"] is None
    assert summary["by_horizon"]["60"]["mse_median"] < 1e-9
    json.dumps(summary, allow_nan=False)


def test_root_x_is_left_out() -> None:
    joints = tuple(
        Joint(name, kind, i, i, None, True)
        for i, (name, kind) in enumerate(
            [("rootx", JointType.SLIDE), ("rootz", JointType.SLIDE), ("rooty", JointType.HINGE)]
        )
    )
    spec = RobotSpec("cheetah", joints, (), 0, 0.01, 1, Integrator.EULER, "x")
    assert measured_positions(spec) == [1, 2]


def test_activations_start_where_the_data_did(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", pendulum_spec(na=1, n_substeps=2))
    errors = horizon_errors(Pendulum(data.spec), data.windows(25))
    assert errors.squared.max() < 1e-20
