"""An agent of a late system that is told which of its actions are on their way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym import PendingActions, train_agent
from mosim_gym.errors import MosimError
from mosim_gym.rl.evaluate import evaluate_in
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.reality import Reality
from tests.rl.test_run_state import Breaks
from tests.rl.turns import BRIEFLY, ENV_ID, TURNS


def late(steps: int) -> gym.Env[Any, Any]:
    return gym.make(ENV_ID, dynamics="mujoco", action_delay=steps)


def test_what_was_seen_before_is_told_as_what_comes_after(tmp_path: Path) -> None:
    reality = Reality(late(2), tmp_path / "real", policy="tiny", seed=3, substeps=False)
    plain = reality.make_buffer(2_000)
    reality.act(1_200, reality.random_policy(), plain)
    told = reality.tell_pending(2, plain)
    reality.act(800, lambda seen: seen[-2:-1] / 2 + 0.1, told)
    reality.close()
    n = plain.observations.shape[-1]
    for name in ("actions", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(told, name)[:1_200], getattr(plain, name)[:1_200])
    for name in ("observations", "next_observations"):
        kept = getattr(told, name)[:1_200, :, :n]
        np.testing.assert_array_equal(kept, getattr(plain, name)[:1_200])
    np.testing.assert_array_equal(
        told.states().qpos[:1_200].numpy(), plain.states().qpos[:1_200].numpy()
    )
    # The actuator's range is -1 to 1, so that actions are as SB3 scales them. Episodes of 1,000.
    on_their_way = np.zeros(2)
    for i in range(2_000):
        if i % 1_000 == 0:
            on_their_way = np.zeros(2)
        np.testing.assert_allclose(told.observations[i, 0, n:], on_their_way, atol=1e-6)
        on_their_way = np.array([on_their_way[1], told.actions[i, 0, 0]])
        np.testing.assert_allclose(told.next_observations[i, 0, n:], on_their_way, atol=1e-6)
    # The policy saw it: the older of the two, halved, and a little more.
    chosen = told.observations[1_200:, 0, n] / 2 + 0.1
    np.testing.assert_allclose(told.actions[1_200:, 0, 0], chosen, atol=1e-6)


def test_a_delay_that_is_found_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "strategy": TURNS,
        "real_steps": 4_000,
        "action_delay": None,
        "observe_pending": True,
        "out": tmp_path / "run",
        "resume": True,
        **BRIEFLY,
    }
    with pytest.raises(RuntimeError, match="the real system failed"):
        breaks = Breaks(late(1), at=3_500)
        train_in_rounds(ENV_ID, reality=lambda: breaks, **how)
    with pytest.raises(MosimError, match=r"other settings: observe_pending"):
        train_in_rounds(ENV_ID, reality=lambda: late(1), **{**how, "observe_pending": False})
    result = train_in_rounds(ENV_ID, reality=lambda: late(1), **how)
    assert result.real_steps == 4_000
    env = PendingActions(late(1), 1)
    assert result.agent.observation_space == env.observation_space
    # It is judged where it was trained to act.
    judged = evaluate_in(result.agent, env, episodes=BRIEFLY["final_episodes"], seed=10_000)
    np.testing.assert_allclose(judged, result.returns_real)
    env.close()


def test_there_is_nothing_to_tell_where_nothing_is_late(tmp_path: Path) -> None:
    result = train_in_rounds(
        ENV_ID, strategy=TURNS, real_steps=3_000, observe_pending=True, action_delay=None,
        out=tmp_path / "run", **BRIEFLY,
    )  # fmt: skip
    # True physics is known not to be late: there is no delay that could be found wrongly.
    assert json.loads((tmp_path / "run" / "config.json").read_text())["action_delay"] == 0
    assert result.agent.observation_space == late(0).observation_space
    with pytest.raises(MosimError, match="observe_pending cannot be given"):
        train_agent(ENV_ID, observe_pending=True, out=tmp_path / "zero")
