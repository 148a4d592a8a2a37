"""Models that go on learning: which stages of a recipe they take, and that they go on exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mujoco
import pytest
import torch

from mosim_gym.articulated.description import describe
from mosim_gym.data.dataset import Dataset
from mosim_gym.fit.presets import ARTICULATED, LAGRANGIAN_UNROLLED, PRESETS, UNROLLED
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.refit import Refit
from mosim_gym.fit.resume import read_state, write_state
from mosim_gym.fit.stages import Part, Stage
from tests.fit.fakes import recorded
from tests.fit.test_servos import STRONG

NETWORKS = ("default", "unrolled", "mlp", "paper")
#: Of whose numbers a pendulum shows some only.
MECHANICS = ("lagrangian", "lagrangian_unrolled", "lagrangian_network")


def weights(refit: Refit) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in refit.simulator.state_dict().items()}


def recipe_of(name: str, data: Dataset) -> Preset:
    small = dataclasses.replace(
        PRESETS[name].model, width=8, blocks=1, corrector_width=8, integrator="semi_implicit_euler"
    )
    return dataclasses.replace(PRESETS[name], model=small, batch_size=32)


@pytest.mark.parametrize("name", [*NETWORKS, *MECHANICS])
def test_all_that_learns_in_a_fit_learns_here_and_goes_on_exactly(
    name: str, pendulum: Dataset, tmp_path: Path
) -> None:
    recipe = recipe_of(name, pendulum)
    refit = Refit(pendulum.spec, recipe)
    before = weights(refit)
    refit.learn(pendulum, 8)
    learned = {n for n, _ in refit.simulator.named_parameters()}
    after = weights(refit)
    assert refit.steps == 8
    if name in NETWORKS:
        assert all((after[n] != before[n]).any() for n in learned)
    write_state(tmp_path / "state", {"refit": refit.state()})
    other = Refit(pendulum.spec, recipe)
    other.load_state(read_state(tmp_path / "state")["refit"])
    for model in (refit, other):
        model.learn(pendulum, 3)
    for n, value in weights(refit).items():
        assert torch.equal(value, weights(other)[n]), n


def test_stages_are_taken_by_single_steps(pendulum: Dataset) -> None:
    for recipe in (UNROLLED, LAGRANGIAN_UNROLLED):
        parts = [stage.part for stage in recipe.stages]
        stages = Refit(pendulum.spec, recipe)._stages(True)
        assert [stage.part for stage in stages] == parts
        assert all(stage.unroll == 1 for stage in stages)
    only = dataclasses.replace(UNROLLED, stages=(Stage(Part.PREDICTOR, unroll=5),), batch_size=32)
    refit = Refit(pendulum.spec, only)
    refit.learn(pendulum, 2)
    assert refit.steps == 2


def test_servos_stay_tamed_also_after_a_break(tmp_path: Path) -> None:
    model = mujoco.MjModel.from_xml_string(STRONG)
    recipe = dataclasses.replace(ARTICULATED, batch_size=64).told(describe(model).to_json())
    data = recorded(model, tmp_path / "data")
    refit = Refit(data.spec, recipe)
    refit.learn(data, 4)
    again = Refit(data.spec, recipe)
    again.load_state(refit.state())
    for one in (refit, again):
        (stage,) = one._stages(False)
        assert (stage.part, stage.tame) == (Part.PREDICTOR, 0.99)
        one.learn(data, 1)
    for n, value in weights(refit).items():
        assert torch.equal(value, weights(again)[n]), n
