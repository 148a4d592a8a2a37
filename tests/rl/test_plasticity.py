"""Agents that stay able to learn: normed layers, fresh heads; noise; rows of new length."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.rl.acting import explore
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.plasticity import NormedReLU, reset_heads
from mosim_gym.rl.presets import PRESETS
from mosim_gym.rl.strategies import ON_POLICY
from tests.rl.turns import BRIEFLY, ENV_ID, TURNS

ALGORITHMS = pytest.mark.parametrize("algorithm", list(Algorithm))


def agent_of(algorithm: Algorithm, **changes: object):
    env = make_sb3_vec_env(ENV_ID, n_envs=4, horizon=20)
    preset = dataclasses.replace(
        PRESETS[algorithm], net_arch=(8, 8), learning_starts=8, buffer_size=1_000, **changes
    )
    agent = algorithm.sb3_class("MlpPolicy", env, seed=0, **preset.sb3_arguments(algorithm, 1))
    return agent.learn(200)


@ALGORITHMS
def test_heads_are_drawn_anew_and_nothing_else_is(algorithm: Algorithm) -> None:
    agent = agent_of(algorithm)
    before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
    reset_heads(agent)
    changed = {n for n, value in agent.policy.state_dict().items() if (value != before[n]).any()}
    # The third linear layer of two hidden ones, or what SAC's actor ends in.
    ends = ("mu.weight", "mu.bias", "log_std.weight", "log_std.bias", ".4.weight", ".4.bias")
    assert changed and all(name.endswith(ends) for name in changed)
    for what in ("actor", "critic"):
        assert any(name.startswith(what) for name in changed)
    critic, target = agent.policy.critic, agent.policy.critic_target
    for old, new in zip(critic.q_networks, target.q_networks, strict=True):
        assert torch.equal(old[-1].weight, new[-1].weight)
        assert old[-1].weight not in critic.optimizer.state
        assert old[0].weight in critic.optimizer.state
    agent.learn(100, reset_num_timesteps=False)
    assert all(torch.isfinite(value).all() for value in agent.policy.state_dict().values())


@ALGORITHMS
def test_normed_layers_do_not_care_about_scale(algorithm: Algorithm, tmp_path: Path) -> None:
    agent = agent_of(algorithm, layer_norm=True)
    norms = [m for m in agent.policy.critic.modules() if isinstance(m, NormedReLU)]
    assert len(norms) == 2 * len(agent.policy.critic.q_networks)
    hidden = torch.randn(5, 16, dtype=torch.float64)
    torch.testing.assert_close(norms[0](1000 * hidden), norms[0](hidden), atol=1e-4, rtol=1e-4)
    agent.save(tmp_path / "agent")
    loaded = algorithm.sb3_class.load(tmp_path / "agent")
    seen = np.ones(3, dtype=np.float32)
    assert loaded.predict(seen, deterministic=True)[0] == agent.predict(seen, deterministic=True)[0]


@ALGORITHMS
def test_agents_explore_as_they_do_in_their_own_environment(algorithm: Algorithm) -> None:
    agent = agent_of(algorithm)
    seen = np.array([0.1, 0.9, 0.0], dtype=np.float32)
    actions = np.array([explore(agent, seen) for _ in range(200)])
    assert actions.shape == (200, 1) and np.abs(actions).max() <= 1.0
    assert actions.std() > 0.02  # TD3's policy itself is not random
    if algorithm is Algorithm.TD3:
        quiet = agent.predict(seen)[0]
        assert abs(np.median(actions) - quiet).max() < 0.1
        assert actions.std() == pytest.approx(0.2, rel=0.3) or abs(quiet) > 0.6


def test_rows_are_imagined_for_ever_longer(tmp_path: Path) -> None:
    turns = dataclasses.replace(ON_POLICY, last_horizon=25)
    assert [turns.horizon_at(n, 25_000) for n in (0, 5_000, 15_000, 25_000, 26_000)] == [
        10, 10, 18, 25, 25,
    ]  # fmt: skip
    assert TURNS.horizon_at(20_000, 25_000) == TURNS.agent.horizon
    env = make_sb3_vec_env(ENV_ID, n_envs=2, horizon=5)
    env.reset()
    ends = []
    for step in range(12):
        if step == 5:
            env.set_attr("horizon", 3)
        ends.append(bool(env.step(np.zeros((2, 1)))[2].all()))
    assert [k + 1 for k, end in enumerate(ends) if end] == [5, 8, 11]
    assert env.get_attr("horizon") == [3, 3]
    with pytest.raises(MosimError, match="horizon is 0"):
        env.set_attr("horizon", 0)


def test_heads_are_drawn_anew_until_a_third_of_the_run_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = dataclasses.replace(TURNS, reset_rounds=2, last_horizon=40, first_refit=1, refit=1)
    # Budget for 9 rounds, and one after the last real steps.
    assert [k for k in range(1, 10) if turns.resets_after(k, 10_000)] == [2, 4, 6]
    assert not any(TURNS.resets_after(k, 10_000) for k in range(10))
    seen: list[tuple[int, int]] = []

    def remember(agent) -> None:
        seen.append((agent._n_updates, agent.get_env().get_attr("horizon")[0]))
        reset_heads(agent)

    monkeypatch.setattr("mosim_gym.rl.rounds.reset_heads", remember)
    train_in_rounds(
        ENV_ID,
        "td3",
        strategy=turns,
        real_steps=5_000,
        dynamics="mujoco",
        out=tmp_path / "run",
        **BRIEFLY,
    )
    # In the last step of round 2 of 4, before the updates of that step; rows were of 27 steps.
    assert seen == [(38, 27)]


def test_settings_that_lead_nowhere_are_refused_before_any_real_step(tmp_path: Path) -> None:
    for wrong, message in (
        ({"first_horizon": 0}, "first_horizon is 0; expected 1 or more, or None"),
        ({"last_horizon": 0}, "last_horizon is 0; expected 1 or more, or None"),
        ({"vector_steps": 0}, "vector_steps is 0; expected 1 or more, or None"),
        ({"round_steps": 0}, r"round_steps is 0; expected 1 or more\."),
        ({"reset_rounds": -1}, "reset_rounds is -1; expected 0 or more"),
        ({"real_ratio": 2.0}, "real_ratio is 2.0; expected a share of 0 to 1"),
        ({"task_share": -0.5}, "task_share is -0.5; expected a share"),
    ):
        with pytest.raises(MosimError, match=message):
            dataclasses.replace(TURNS, **wrong)
    with pytest.raises(MosimError, match=r'find_strategy\("tiny", model, "pendulum-swingup"\)'):
        train_in_rounds(
            ENV_ID, strategy=TURNS, model="default", real_steps=5_000, out=tmp_path / "run"
        )
    with pytest.raises(MosimError, match="solves for its physics and then trains a network"):
        train_in_rounds(
            ENV_ID,
            strategy=TURNS,
            model="articulated_corrected",
            real_steps=5_000,
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
