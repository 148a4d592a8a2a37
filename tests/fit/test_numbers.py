"""Numbers of a body: told, expected near a start, told by data, left open."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mujoco
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit import fit
from mosim_gym.fit.confidence import Identified, confidence
from mosim_gym.fit.lessons import Lesson
from mosim_gym.fit.losses import whitened_residuals
from mosim_gym.fit.pairs import Pairs, make_pairs
from mosim_gym.fit.presets import ARTICULATED
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.trainer import FitResult
from tests.fit.fakes import PENDULUM


def test_numbers_that_are_told_stay(pendulum: Dataset, tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    description = describe(model)
    numbers = physics_of(model, description)
    recipe = dataclasses.replace(ARTICULATED, batch_size=64).told(
        description.to_json(), numbers.to_json(), {"damping": 0.0, "motor": 0.0}
    )
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=30, progress=False)
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated)
    found = predictor.physics()
    assert torch.equal(found.damping, numbers.damping) and torch.equal(found.gear, numbers.gear)
    # With damping and motor both wrong by other factors, masses alone cannot explain the motion.
    assert result.held_out_error > 1e-4
    assert not {"damping", "gear"} & {row["kind"] for row in identified(result)["numbers"]}
    assert "told: damping, motor" in (tmp_path / "x" / "CARD.md").read_text()


def test_everything_told_leaves_nothing_to_learn(pendulum: Dataset, tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    description = describe(model)
    numbers = physics_of(model, description)
    recipe = ARTICULATED.told(description.to_json(), numbers.to_json(), {"all": 0.0})
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=3, progress=False)
    predictor = result.simulator.predictor
    assert isinstance(predictor, Articulated) and not list(predictor.parameters())
    assert "identified" not in result.acceptance


def test_a_narrow_prior_counts_where_data_is_poor(pendulum: Dataset, tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    description = describe(model)
    numbers = physics_of(model, description).to_json()
    masses = {}
    for width in (1e-4, 3.0):
        recipe = dataclasses.replace(ARTICULATED, batch_size=64).told(
            description.to_json(), numbers, {"mass": width}
        )
        out = tmp_path / f"{width:g}"
        result = fit(pendulum, out=out, preset=recipe, steps=30, progress=False)
        predictor = result.simulator.predictor
        assert isinstance(predictor, Articulated)
        masses[width] = float(predictor.physics().mass[1])
    assert abs(masses[1e-4] / model.body_mass[1] - 1) < 1e-3
    assert abs(masses[3.0] / model.body_mass[1] - 1) > 1e-2


def test_what_data_tells_is_told_from_what_it_leaves_open(
    pendulum: Dataset, recipe: Preset, tmp_path: Path
) -> None:
    result = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=30, progress=False)
    found = identified(result)
    known = {row["kind"]: row["known"] for row in found["numbers"]}
    assert found["scale"] == ["gear", "push"] and known["gear"] and known["damping"]
    # Of a pendulum about the y axis, its weight times lever is told, neither of them alone, and
    # nothing of the other axes.
    assert not known["mass"] and not known["centre y"] and not known["inertia xx"]
    # What is told: damping and motor by the inertia, and twice the lever (x, z).
    assert found["determined"] == 4
    card = (tmp_path / "x" / "CARD.md").read_text()
    assert "![numbers found](identified.png)" in card and "| damping | swing |" in card
    assert (tmp_path / "x" / "identified.png").read_bytes().startswith(b"\x89PNG")


def test_rows_that_cannot_be_told_say_nothing(
    pendulum: Dataset, recipe: Preset, tmp_path: Path
) -> None:
    """As where a solver did not converge: few are left out, with most of them nothing is said."""
    simulator = fit(pendulum, out=tmp_path / "x", preset=recipe, steps=5, progress=False).simulator
    pairs = make_pairs(simulator, pendulum)

    def told(above: float) -> Identified | None:
        def residuals(model: Simulator, rows: Pairs) -> torch.Tensor:
            return torch.where(rows.action > above, torch.nan, whitened_residuals(model, rows))

        return confidence(simulator, Lesson(pairs, pairs, mean_square, residuals))

    found = told(0.95)
    assert found is not None and found.spread.isfinite().all()
    assert told(-0.5) is None


def mean_square(model: Simulator, rows: Pairs) -> torch.Tensor:
    return whitened_residuals(model, rows).square().mean()


def identified(result: FitResult) -> Any:
    return result.acceptance["identified"]
