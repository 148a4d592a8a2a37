"""Cauchy's loss as residuals, and what it is for."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import save_episode
from mosim_gym.dynamics.lagrangian import Lagrangian
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.fit import fit
from mosim_gym.fit.lessons import Lessons
from mosim_gym.fit.pairs import make_pairs
from mosim_gym.fit.presets import DEFAULT, LAGRANGIAN
from mosim_gym.fit.stages import Part, Stage
from mosim_gym.fit.tame import tamed, trimmed_mean, usual
from tests.fit.fakes import DAMPING, pendulum_spec, write_dataset

sizes = st.floats(1e-12, 1e6)
values = st.floats(-1e6, 1e6)


@given(values, sizes)
def test_squares_are_cauchys_loss(residual: float, size: float) -> None:
    r = torch.tensor([residual], dtype=torch.float64)
    expected = size**2 * np.log1p((residual / size) ** 2)
    assert float(tamed(r, size)) ** 2 == pytest.approx(expected, rel=1e-6, abs=1e-300)
    assert residual * float(tamed(r, size)) >= 0


@given(values, sizes)
def test_the_derivative_is_right_everywhere(residual: float, size: float) -> None:
    r = torch.tensor([residual], dtype=torch.float64, requires_grad=True)
    tamed(r, size).square().sum().backward()
    assert r.grad is not None
    expected = 2 * residual / (1 + (residual / size) ** 2)
    assert float(r.grad) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_no_size_is_too_small_and_no_residual_too_large() -> None:
    for dtype in (torch.float32, torch.float64):
        residuals = torch.tensor([0.0, 1.0, -1e30], dtype=dtype)
        assert torch.equal(tamed(residuals, 0.0), residuals)
        for size in (1e-30, 1.0):
            assert tamed(residuals, size).isfinite().all()


def test_only_what_is_solved_for_can_be_tamed(pendulum: Dataset, tmp_path: Path) -> None:
    recipe = dataclasses.replace(DEFAULT, stages=(Stage(Part.PREDICTOR, tame=0.9),))
    with pytest.raises(MosimError, match='which is for "levenberg_marquardt".*"soap"'):
        fit(pendulum, out=tmp_path / "x", preset=recipe, steps=2, progress=False)


def test_what_is_usual_and_how_far_a_fit_is_do_not_hang_on_a_few() -> None:
    residuals = torch.ones(1000, dtype=torch.float64)
    residuals[:50] = 1e6
    residuals[50] = torch.nan
    assert usual(residuals, 0.9) == 1
    assert usual(torch.full((3,), torch.nan), 0.9) == 1
    assert float(trimmed_mean(residuals, 0.9)) == 1
    assert float(trimmed_mean(residuals, 0.999)) == pytest.approx((949 + 50e12) / 999)
    assert float(trimmed_mean(residuals, 1.0)) == math.inf
    assert float(trimmed_mean(residuals[:1], 0.9)) == 1e12


def test_each_share_judges_by_itself(pendulum: Dataset) -> None:
    """Or the best weights of a stage that counts more rows would be those it starts from."""
    simulator = Simulator(pendulum.spec, LAGRANGIAN.model_config(pendulum.spec))
    pairs = make_pairs(simulator, pendulum)
    lessons = Lessons(simulator, LAGRANGIAN.loss, pendulum, pendulum, pairs)
    most, all_but_few = (Stage(Part.PREDICTOR, tame=tame) for tame in (0.9, 0.99))
    assert lessons(most) is lessons(most) is not lessons(all_but_few)
    rows = lessons.one_step.held_out
    stages = (most, all_but_few, Stage(Part.PREDICTOR))
    with torch.no_grad():
        errors = [float(lessons(stage).loss(simulator, rows)) for stage in stages]
    assert errors[0] < errors[1] < errors[2]
    assert lessons(Stage(Part.PREDICTOR)) is lessons.one_step


def test_rows_that_are_wrong_altogether_do_not_lead_a_fit_astray(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", pendulum_spec(), episodes=40)
    generator = np.random.default_rng(0)
    for index, episode in enumerate(data.episodes):
        hit = generator.random(episode.qvel.shape) < 0.03
        qvel = episode.qvel + hit * generator.normal(scale=3.0, size=hit.shape)
        save_episode(episode_path(data.path, index), dataclasses.replace(episode, qvel=qvel))
    off = []
    for tame in (1.0, 0.8):
        stages = (Stage(Part.PREDICTOR, tame=tame),)
        recipe = dataclasses.replace(
            LAGRANGIAN, batch_size=512, stages=stages, patience=1.0, estimate=False
        )
        result = fit(data.path, out=tmp_path / "x", preset=recipe, steps=20, progress=False)
        predictor = result.simulator.predictor
        assert isinstance(predictor, Lagrangian)
        mass = predictor.mechanics.mass[0, 0] + predictor.implicit_step * predictor.damping
        off.append(abs((predictor.damping / mass).item() - DAMPING))
    assert off[0] > 1e-2
    assert off[1] < 1e-4


def test_shares_are_checked() -> None:
    with pytest.raises(MosimError, match=r"Stage.tame is 0; expected more than 0 and at most 1"):
        Stage(Part.PREDICTOR, tame=0)
