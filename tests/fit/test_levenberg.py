"""Solving for weights: bodies that a Lagrangian can represent are recovered exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import save_episode
from mosim_gym.dynamics.config import Precision
from mosim_gym.dynamics.lagrangian import Lagrangian
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit import fit
from mosim_gym.fit.bounded import solve_within
from mosim_gym.fit.levenberg import LevenbergMarquardt
from mosim_gym.fit.loop import Trainer
from mosim_gym.fit.losses import LOSSES, whitened_residuals
from mosim_gym.fit.pairs import Pairs, learn_scales, make_pairs
from mosim_gym.fit.presets import LAGRANGIAN
from mosim_gym.fit.stages import Part, Stage
from tests.fit.fakes import DAMPING, GAIN, cart_spec, pendulum_spec, write_dataset
from tests.fit.recipes import interrupt_at, kill, quick

QUICK = dataclasses.replace(
    LAGRANGIAN,
    batch_size=128,
    stages=(Stage(Part.OUTLINE), Stage(Part.PREDICTOR, batch_size=64, hard=0.5)),
)


def test_a_pendulum_is_recovered_exactly(pendulum: Dataset, tmp_path: Path) -> None:
    result = fit(pendulum, out=tmp_path / "x", preset=QUICK, steps=16, progress=False)
    assert result.held_out_error < 1e-26
    predictor = result.simulator.predictor
    assert isinstance(predictor, Lagrangian)
    # Its overall scale is free: what can be known are ratios to the mass that Euler steps.
    mass = predictor.mechanics.mass[0, 0] + predictor.implicit_step * predictor.damping
    torch.testing.assert_close((predictor.damping / mass).item(), DAMPING)
    gain = predictor.gain[0] / mass * result.simulator.acceleration_scale
    torch.testing.assert_close(gain.item(), GAIN)


def test_a_context_multiplies_the_controls(tmp_path: Path) -> None:
    cart = write_dataset(tmp_path / "data", cart_spec(2))
    result = fit(cart, out=tmp_path / "x", preset=QUICK, steps=16, progress=False)
    assert result.held_out_error < 1e-24


def test_unrolled_stages_average_noise_out(tmp_path: Path) -> None:
    """Told one by one, velocities are all noise; over a stretch, what moves them shows."""
    data = write_dataset(tmp_path / "data", pendulum_spec(), episodes=40)
    generator = np.random.default_rng(0)
    for index, episode in enumerate(data.episodes):
        noise = generator.normal(scale=0.02, size=(2, *episode.qpos.shape))
        noisy = dataclasses.replace(
            episode, qpos=episode.qpos + noise[0], qvel=episode.qvel + noise[1]
        )
        save_episode(episode_path(data.path, index), noisy)
    off = []
    for unroll in (1, 10):
        stages = (Stage(Part.OUTLINE), Stage(Part.OUTLINE, unroll=unroll))
        recipe = dataclasses.replace(QUICK, batch_size=512, stages=stages, patience=1.0)
        result = fit(data.path, out=tmp_path / "x", preset=recipe, steps=24, progress=False)
        predictor = result.simulator.predictor
        assert isinstance(predictor, Lagrangian)
        mass = predictor.mechanics.mass[0, 0] + predictor.implicit_step * predictor.damping
        off.append(abs((predictor.damping / mass).item() - DAMPING))
    assert off[1] < 0.5 * off[0]


def test_a_killed_fit_goes_on_to_the_same_bits(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = dataclasses.replace(QUICK, patience=1.0)
    whole = quick(pendulum, tmp_path / "a" / "x", steps=6, preset=steady)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(Trainer, "_step", interrupt_at(4, kill))
        quick(pendulum, tmp_path / "b" / "x", steps=6, preset=steady)
    assert quick(pendulum, tmp_path / "b" / "x", steps=6, preset=steady) == whole


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_no_weight_goes_beyond_its_room(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix = root @ root.T + 0.1 * torch.eye(size)
    gradient = torch.randn(size, generator=generator, dtype=torch.float64)
    room = torch.rand(size, generator=generator, dtype=torch.float64) + 1e-3
    step = solve_within(matrix, gradient, -2 * room, room)
    assert (step <= room).all() and (step >= -2 * room).all()
    free = (step < room) & (step > -2 * room)
    # Along all others, nothing is left to gain.
    torch.testing.assert_close((matrix @ step)[free], gradient[free])
    assert torch.equal(
        solve_within(matrix, gradient, -torch.inf * room, torch.inf * room),
        torch.linalg.solve(matrix, gradient),
    )


def test_what_cannot_be_solved_for_is_refused(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = dataclasses.replace(QUICK.model, predictor="residual", precision=Precision.FLOAT64)
    with pytest.raises(MosimError, match='at most 2000; this model of pendulum has .*"soap"'):
        quick(pendulum, tmp_path / "x", preset=dataclasses.replace(QUICK, model=wide))
    monkeypatch.setitem(LOSSES, "other", LOSSES["state_mse"])
    other = dataclasses.replace(QUICK, loss="other")
    with pytest.raises(MosimError, match='mean of squares of residuals; "other" is not'):
        quick(pendulum, tmp_path / "x", preset=other)


def test_a_row_that_cannot_be_told_does_not_end_a_fit(pendulum: Dataset) -> None:
    """As where a solver did not converge."""
    simulator = Simulator(pendulum.spec, LAGRANGIAN.model_config(pendulum.spec))
    pairs = make_pairs(simulator, pendulum)
    learn_scales(simulator, pairs)

    def residuals(model: Simulator, rows: Pairs) -> torch.Tensor:
        off = whitened_residuals(model, rows)
        return torch.where(rows.action > 0.95, torch.nan, off)

    parameters = list(simulator.predictor.parameters())
    learner = LevenbergMarquardt(simulator, residuals, parameters, len(pairs))
    losses = [learner.step(pairs.rows(torch.arange(200)), 1.0) for _ in range(6)]
    assert all(np.isfinite(losses)) and losses[-1] < 0.1 * losses[0]
