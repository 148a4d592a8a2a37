"""Exponents of systems whose exponents are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mosim_gym.data.policies import HeldRandomPolicy
from mosim_gym.evaluate.lyapunov import (
    agreement,
    held_random_actions,
    ks_distance,
    lyapunov_exponents,
)
from mosim_gym.types import State

DT = 0.1


def linear(matrix: list[list[float]]):
    """(q, v) -> matrix (q, v), for one q and one v."""
    a = torch.tensor(matrix, dtype=torch.float64)

    def step(state: State, action: Tensor) -> State:
        q, v = (torch.cat([state.qpos, state.qvel], 1) @ a.T).split(1, 1)
        return State(q, v, state.act, state.context)

    return step


def oscillator(damping: float, stiffness: float):
    """The exact solution of q'' = -damping q' - stiffness q over a step, underdamped."""
    decay, w = damping / 2, math.sqrt(stiffness - damping**2 / 4)
    c, s, e = math.cos(w * DT), math.sin(w * DT), math.exp(-decay * DT)
    return linear(
        [[e * (c + decay / w * s), e * s / w], [-e * stiffness / w * s, e * (c - decay / w * s)]]
    )


def found(step, *, rows: int = 50, steps: int = 400, width: int = 1, start: State | None = None):
    generator = torch.Generator().manual_seed(0)
    if start is None:
        q, v = torch.rand(2, rows, width, generator=generator, dtype=torch.float64)
        start = State(q, v)
    actions = torch.zeros(rows, steps, 1)
    return lyapunov_exponents(
        step, start, actions, control_dt=DT, seconds=(DT * steps / 4, DT * steps)
    )


def test_a_linear_map_grows_as_its_largest_eigenvalue() -> None:
    # From rest: a motion that grows without bound would swallow its neighbour by rounding.
    rest = State(torch.zeros(50, 1), torch.zeros(50, 1))
    exponents = found(linear([[1.1, 0.3], [0.0, 0.7]]), start=rest)
    expected = torch.full((50,), math.log(1.1) / DT).double()
    assert exponents.seconds == pytest.approx((10, 40))
    # What is left of the start: ln(share of the leading eigenvector in the direction) / T.
    torch.testing.assert_close(exponents.benettin[:, -1], expected, atol=0.2, rtol=0)
    assert exponents.benettin[:, -1].std() < exponents.benettin[:, 0].std()
    # A linear neighbour never saturates: both estimators see the same growth.
    torch.testing.assert_close(exponents.unscaled, exponents.benettin, atol=1e-6, rtol=0)


def test_a_damped_oscillator_forgets_at_half_its_damping() -> None:
    exponents = found(oscillator(damping=0.4, stiffness=9.0))
    torch.testing.assert_close(
        exponents.benettin[:, -1], torch.full((50,), -0.2).double(), atol=0.04, rtol=0
    )


def test_a_chaotic_map_has_its_exponent_and_only_benettin_sees_it() -> None:
    def logistic(state: State, action: Tensor) -> State:
        return State(4 * state.qpos * (1 - state.qpos), torch.zeros_like(state.qvel))

    exponents = found(logistic, rows=300)
    assert exponents.benettin[:, -1].mean() * DT == pytest.approx(math.log(2), rel=0.01)
    # Left to itself, the neighbour is at most 1 away: ln(1e5) over 400 steps.
    assert (exponents.unscaled[:, -1] * DT < math.log(1e5) / 400 + 1e-9).all()


def test_activations_and_context_go_along() -> None:
    def step(state: State, action: Tensor) -> State:
        return State(state.qpos, state.qvel, state.act * state.context, state.context)

    one = torch.ones(4, 1, dtype=torch.float64)
    start = State(one, one, 0 * one, 2 * one)
    exponents = found(step, rows=4, steps=40, start=start)
    expected = math.log(2) / DT * one[:, 0]
    torch.testing.assert_close(exponents.benettin[:, -1], expected, atol=1, rtol=0)


def test_trajectories_that_diverge_are_left_out_and_counted() -> None:
    def step(state: State, action: Tensor) -> State:
        broken = torch.where(state.qpos > 0.5, torch.nan, state.qpos)
        return State(broken, 1.5 * state.qvel)

    exponents = found(step, steps=8).benettin[:, -1]
    told = agreement(exponents, exponents[exponents.isfinite()] * 1.01)
    assert 0 < told.lost == int(exponents.isnan().sum()) < 50
    assert told.error == pytest.approx(0.01 / 1.01)


def test_too_few_actions_are_told() -> None:
    with pytest.raises(ValueError, match=r"after \[1, 9\] steps, with 8 actions"):
        lyapunov_exponents(
            linear([[1, 0], [0, 1]]),
            State(torch.zeros(1, 1), torch.zeros(1, 1)),
            torch.zeros(1, 8, 1),
            control_dt=DT,
            seconds=(0.1, 0.9),
        )


def test_ks_distance_by_hand_and_by_chance() -> None:
    assert ks_distance(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])) == 1
    assert ks_distance(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])) == 0
    assert ks_distance(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0, 5.0, 6.0])) == 0.75
    same = torch.randn(200, 2, 500)
    passed = [agreement(one, other).ks > agreement(one, other).ks_chance for one, other in same]
    assert 0.02 < np.mean(passed) < 0.09


def test_held_actions_are_distributed_as_the_policys() -> None:
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 3.0])
    ours = held_random_actions(low, high, 200, 200, seed=0).numpy()
    policy = HeldRandomPolicy(low.numpy(), high.numpy())
    policy.reset(np.random.default_rng(0))
    theirs = np.array([policy(None) for _ in range(40_000)])

    def features(actions: np.ndarray) -> list[float]:
        held = (actions[..., 1:, :] == actions[..., :-1, :]).all(-1)
        flat = actions.reshape(-1, 2)
        return [held.mean(), (flat == 0).all(1).mean(), *flat.mean(0), *flat.std(0)]

    np.testing.assert_allclose(features(ours), features(theirs), atol=0.05)
    assert ours.min(axis=(0, 1)) == pytest.approx([-1, 0], abs=0.01)
    np.testing.assert_array_equal(ours, held_random_actions(low, high, 200, 200, seed=0))
