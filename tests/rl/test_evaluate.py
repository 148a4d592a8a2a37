"""Judging agents: returns equal those of dm_control stepped by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dm_control import suite

from mosim_gym.rl.evaluate import evaluate_agent


class Proportional:
    """Turns the shoulder towards the target and keeps the wrist straight; no network."""

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[Any, Any]:
        position, to_target = observation[:, :2], observation[:, 2:4]
        tip = position.sum(1)
        sideways = -np.sin(tip) * to_target[:, 0] + np.cos(tip) * to_target[:, 1]
        action = np.stack([10 * sideways, -position[:, 1]], 1)
        return np.clip(action, -1, 1).astype(np.float32), None


def by_hand(seed: int) -> float:
    env = suite.load("reacher", "easy", {"random": seed})
    timestep, agent, total = env.reset(), Proportional(), 0.0
    while not timestep.last():
        flat = np.concatenate(list(timestep.observation.values()))[None].astype(np.float32)
        timestep = env.step(agent.predict(flat)[0][0])
        total += timestep.reward
    return total


def test_returns_are_those_of_dm_control() -> None:
    returns = evaluate_agent(
        Proportional(), "MoSim/reacher-easy-v0", episodes=3, seed=5, dynamics="mujoco"
    )
    assert returns.tolist() == [by_hand(5), by_hand(6), by_hand(7)]
    assert returns.max() > 0, "the controller never reached a target: the test would show nothing"


def test_model_and_reality_agree_on_a_controller() -> None:
    arguments = {"episodes": 4, "seed": 0, "max_episode_steps": 100}
    model = evaluate_agent(Proportional(), "MoSim/reacher-easy-v0", **arguments)
    assert model.shape == (4,)
    assert (model >= 0).all() and (model <= 100).all()


def test_an_unknown_environment_lists_near_matches() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'MoSim/reacher-easy-v0'"):
        evaluate_agent(Proportional(), "MoSim/reacher-esy-v0")
