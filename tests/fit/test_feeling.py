"""A fit of a model that knows contact forces: touch readings without a head."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium as gym
import numpy as np

import mosim_gym  # noqa: F401
from mosim_gym.articulated.description import describe
from mosim_gym.articulated.physics import physics_of
from mosim_gym.data.collect import collect
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.fit import fit
from mosim_gym.fit.card import rewrite_card
from mosim_gym.fit.presets import ARTICULATED
from mosim_gym.tasks.mujoco import model_of

ENV_ID = "MoSim/hopper-stand-v0"


def test_a_fit_observes_what_true_physics_does_without_a_head(tmp_path: Path) -> None:
    env = gym.make(ENV_ID, dynamics="mujoco", substeps=True)
    data = collect(
        env, tmp_path / "data", episodes=10, substeps=True, progress=False, max_episode_steps=120
    )
    assert data.has_touch
    model = model_of("hopper", "stand")
    description = describe(model)
    # It moves as the truth does, by half of the forces: the readings alone tell them apart.
    numbers = physics_of(model, description)
    told = ("mass", "inertia", "armature", "damping", "stiffness", "gear")
    halved = {name: 0.5 * getattr(numbers, name) for name in told}
    started = numbers._replace(**halved).to_json()
    recipe = dataclasses.replace(ARTICULATED, batch_size=64)
    recipe = recipe.told(description.to_json(), started)
    result = fit(data, out=tmp_path / "x", preset=recipe, steps=3, progress=False)
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

    rows = data.transitions()
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
