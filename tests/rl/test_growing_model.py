"""Models that go on learning while data arrives."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym

from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.fit.presets import LAGRANGIAN
from mosim_gym.fit.refit import Refit
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.reality import Reality
from tests.rl.turns import ENV_ID, TURNS


def test_a_model_learns_from_actions_as_they_arrived(tmp_path: Path) -> None:
    env = gym.make(ENV_ID, dynamics="mujoco", action_delay=2)
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=0, substeps=False)
    buffer = reality.make_buffer(1_000)
    reality.act(1_000, reality.random_policy(), buffer)
    growing = GrowingModel(reality.robot, LAGRANGIAN, TURNS, 0, tmp_path, action_delay=2)
    growing.begin(reality.dataset(), reality.steps)
    assert growing.error(reality.dataset()) < 1e-12
    assert load_checkpoint(growing.path).provenance["action_delay"] == 2
    assert "2 control steps after" in (growing.path / "CARD.md").read_text()
    again = GrowingModel(reality.robot, LAGRANGIAN, TURNS, 1, tmp_path, action_delay=2)
    again.go_on(growing.refit.state(), reality.steps)
    assert again.error(reality.dataset()) == growing.error(reality.dataset())
    reality.close()


def test_a_model_goes_on_learning_and_follows_the_data(tmp_path: Path) -> None:
    env = gym.make(ENV_ID, dynamics="mujoco")
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=0, substeps=False)
    buffer = reality.make_buffer(4_000)
    reality.act(1_000, reality.random_policy(), buffer)
    refit = Refit(reality.robot, LAGRANGIAN)
    first = reality.dataset()
    before = refit.error(first)
    refit.learn(first, 6)
    half = refit.error(first)
    scale = refit.simulator.acceleration_scale.clone()
    reality.act(1_000, reality.random_policy(), buffer)
    both = reality.dataset(first)
    assert len(both) == 2 and both.last(1).episodes[0] is both.episodes[1]
    refit.learn(both, 20, newest=1_000, newest_share=0.5)
    assert refit.error(both) < 1e-3 * half < 1e-3 * before
    assert refit.steps == 26
    # There is twice as much now.
    assert not (refit.simulator.acceleration_scale == scale).all()
    reality.close()
