"""A fit of a model that knows contact forces: touch readings without a head."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.errors import DatasetError
from mosim_gym.fit import fit
from mosim_gym.fit.card import rewrite_card
from mosim_gym.fit.presets import ARTICULATED, DEFAULT
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.refit import Refit
from mosim_gym.fit.touch import learn_newtons
from mosim_gym.tasks.mujoco import model_of

ENV_ID = "MoSim/hopper-stand-v0"


@pytest.fixture(scope="module")
def hopping(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    env = gym.make(ENV_ID, dynamics="mujoco", substeps=True)
    folder = tmp_path_factory.mktemp("hopping") / "data"
    return collect(env, folder, episodes=10, substeps=True, progress=False, max_episode_steps=120)


@pytest.fixture(scope="module")
def recipe() -> Preset:
    """Starts where it moves as the truth does, by half of the forces: only readings tell which."""
    model = model_of("hopper", "stand")
    description = describe(model)
    numbers = physics_of(model, description)
    told = ("mass", "inertia", "armature", "damping", "stiffness", "gear")
    started = numbers._replace(**{name: 0.5 * getattr(numbers, name) for name in told})
    small = dataclasses.replace(ARTICULATED, batch_size=64)
    return small.told(description.to_json(), started.to_json())


def test_a_fit_observes_what_true_physics_does_without_a_head(
    hopping: Dataset, recipe: Preset, tmp_path: Path
) -> None:
    assert hopping.has_touch
    result = fit(hopping, out=tmp_path / "x", preset=recipe, steps=3, progress=False)
    assert result.simulator.touch_head is None and result.touch_error is None
    figures = result.acceptance["touch"]
    assert figures.keys() == {"by_sensor"}
    checkpoint = load_checkpoint(tmp_path / "x")
    assert checkpoint.simulator.feels
    assert abs(float(checkpoint.simulator.newtons) - 2) < 1e-6
    assert "follow from the forces of the model's contacts" in checkpoint.card
    assert "where its touch sensors are" in checkpoint.card
    assert rewrite_card(tmp_path / "x") == checkpoint.card
    for sensor in figures["by_sensor"].values():
        assert sensor["mse"] < 1e-9 * sensor["variance"]

    rows = hopping.transitions()
    assert rows.touch is not None
    felt = rows.touch.any(1).nonzero()[::5, 0][:40]
    environment = gym.make_vec(
        ENV_ID, num_envs=len(felt), dynamics="learned", checkpoint=str(tmp_path / "x")
    )
    environment.reset(seed=0, options=rows.state[felt].numpy())
    observation = environment.step(rows.action[felt].numpy())[0]
    assert np.isfinite(observation).all()
    true = rows.touch[felt].log1p().numpy()
    np.testing.assert_allclose(observation[:, -2:], true, rtol=1e-5, atol=1e-5)


def test_a_model_that_grows_learns_what_a_newton_is(hopping: Dataset, recipe: Preset) -> None:
    model = Refit(hopping.spec, recipe)
    assert model.simulator.feels
    model.learn(hopping, 1)
    assert abs(float(model.simulator.newtons) - 2) < 1e-6
    assert not Refit(hopping.spec, DEFAULT).simulator.tells_touch


def test_without_readings_nobody_knows_what_a_newton_is(
    hopping: Dataset, recipe: Preset, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(hopping.path, folder)
    for k, episode in enumerate(hopping.episodes):
        save_episode(episode_path(folder, k), dataclasses.replace(episode, touch=None))
    silent = Dataset.open(folder)
    with pytest.raises(DatasetError, match="knows its forces only relative to each other"):
        Refit(silent.spec, recipe).learn(silent, 1)
    result = fit(silent, out=tmp_path / "x", preset=recipe, steps=1, progress=False)
    assert not result.simulator.tells_touch and "touch" not in result.acceptance


def test_where_nothing_touched_nothing_is_known(hopping: Dataset, recipe: Preset) -> None:
    def untouched(episode: Episode) -> Episode:
        assert episode.touch is not None
        return dataclasses.replace(episode, touch=0 * episode.touch)

    model = Refit(hopping.spec, recipe)
    learn_newtons(model.simulator, hopping.mapped(untouched))
    assert float(model.simulator.newtons) == 1
