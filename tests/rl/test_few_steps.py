"""Few real steps: what is counted, mixed, remembered and learned on the way."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import SAC

from mosim_gym import train_agent
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.fit.presets import LAGRANGIAN
from mosim_gym.fit.refit import Refit
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer, RealReplayBuffer
from mosim_gym.rl.presets import AgentPreset, Algorithm, preset_for
from mosim_gym.rl.reality import Reality, RecentStates
from mosim_gym.rl.run_state import RunState
from mosim_gym.rl.strategies import (
    FEW_SHOT,
    ON_POLICY,
    ON_POLICY_ARTICULATED,
    Strategy,
    find_strategy,
)

ENV_ID = "MoSim/pendulum-swingup-v0"
BOX = spaces.Box(-1.0, 1.0, (1,), np.float32)
TURNS = Strategy(
    "tiny",
    "lagrangian",
    AgentPreset(
        n_envs=8, horizon=20, gradient_steps=2, learning_starts=0, n_steps=1, net_arch=(8,)
    ),
    first_steps=2_000,
    round_steps=1_000,
    first_refit=25,
    refit=2,
    vector_steps=10,
    task_share=0.25,
)


def add(buffer: Any, value: float, n_envs: int = 1) -> None:
    """A transition whose every number is `value`, in a state that is, too."""
    row = np.full((n_envs, 1), value, dtype=np.float32)
    state = {"qpos": np.array([value]), "qvel": np.array([0.0])}
    infos = [{"mosim/state_before": state} for _ in range(n_envs)]
    buffer.add(row, row, row, row[:, 0], np.zeros(n_envs), infos)


@given(st.floats(0, 1), st.integers(1, 64))
def test_a_batch_holds_the_share_of_real_ones_that_was_asked_for(share: float, size: int) -> None:
    real = RealReplayBuffer(10, BOX, BOX, "cpu")
    mixed = MixedReplayBuffer(20, BOX, BOX, "cpu", n_envs=2, real=real, real_ratio=share)
    add(mixed, 0.5, n_envs=2)
    assert (mixed.sample(size).rewards == 0.5).all()
    add(real, -0.5)
    batch = mixed.sample(size)
    assert len(batch.rewards) == len(batch.observations) == size
    assert int((batch.rewards == -0.5).sum()) == round(share * size)


def test_before_anything_is_imagined_all_is_real() -> None:
    real = RealReplayBuffer(10, BOX, BOX, "cpu")
    mixed = MixedReplayBuffer(20, BOX, BOX, "cpu", real=real, real_ratio=0.1)
    add(real, -0.5)
    assert (mixed.sample(6).rewards == -0.5).all()
    with pytest.raises(MosimError, match="real_ratio is 2; expected a share of 0 to 1"):
        MixedReplayBuffer(20, BOX, BOX, "cpu", real=real, real_ratio=2)


def test_starts_prefer_the_newest_states_also_when_the_buffer_has_wrapped() -> None:
    real = RealReplayBuffer(10, BOX, BOX, "cpu")
    for value in range(13):
        add(real, float(value))
    rng = np.random.default_rng(0)
    newest = RecentStates(real, newest=2, share=1.0).sample_states(200, rng)
    assert set(newest.qpos.flatten().tolist()) == {11.0, 12.0}
    half = RecentStates(real, newest=2, share=0.5).sample_states(4_000, rng)
    share = (half.qpos >= 11).double().mean().item()
    # Half of them, and a fifth of the others.
    assert abs(share - 0.6) < 0.05
    assert half.qpos.min() == 3.0


def test_reality_counts_records_and_scales(tmp_path: Path) -> None:
    env = gym.make(ENV_ID, dynamics="mujoco")
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=3, substeps=False)
    buffer = RealReplayBuffer(2_000, env.observation_space, env.action_space, "cpu")
    reality.act(600, reality.random_policy(), buffer)
    reality.act(500, lambda _: np.array([0.25]), buffer)
    assert reality.steps == buffer.size() == 1_100
    assert len(reality.returns) == 1 and len(reality.dataset()) == 1
    # Truncated, not terminated: its value goes on.
    assert buffer.dones[999] == 1 and buffer.timeouts[999] == 1
    assert (buffer.actions[600:1_100] == 0.25).all()
    recorded = reality.dataset().episodes[0]
    assert abs(recorded.reward.sum() - reality.returns[0]) < 1e-9
    np.testing.assert_array_equal(buffer.states().qpos[:1_000].numpy(), recorded.qpos[:-1])
    reality.close()


def test_rounds_take_turns_until_the_budget_is_spent(tmp_path: Path) -> None:
    result = train_in_rounds(
        ENV_ID,
        strategy=TURNS,
        real_steps=4_000,
        out=tmp_path / "run",
        judgements=2,
        curve_episodes=1,
        final_episodes=2,
        progress=False,
    )
    assert result.real_steps == 4_000
    assert result.steps == 4_000 + 3 * 10 * 8
    assert result.updates == 3 * 10 * 2
    with (tmp_path / "run" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["real_steps"]) for row in rows] == [3_000, 4_000]
    # The pendulum is learned to rounding from the first random episodes on.
    assert all(float(row["model_error"]) < 1e-12 for row in rows)
    assert Dataset.open(tmp_path / "run" / "real").n_steps == 4_000
    model = load_checkpoint(tmp_path / "run" / "model")
    assert model.provenance["real_steps"] == 4_000
    assert [point.real_steps for point in result.curve][-1] == 4_000
    # The agent's file does not hold what it saw.
    assert (tmp_path / "run" / "agent.zip").stat().st_size < 200_000
    np.testing.assert_allclose(result.returns_model, result.returns_real, atol=1.0)


class Breaks(gym.Wrapper[Any, Any, Any, Any]):
    """A real system that fails at a step."""

    def __init__(self, env: gym.Env[Any, Any], at: int) -> None:
        super().__init__(env)
        self._left = at

    def step(self, action: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("the real system failed")
        return super().step(action)


def test_a_run_that_broke_off_goes_on(tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "strategy": TURNS,
        "real_steps": 4_000,
        "out": tmp_path / "run",
        "judgements": 1,
        "curve_episodes": 1,
        "final_episodes": 1,
        "progress": False,
    }
    with pytest.raises(RuntimeError, match="the real system failed"):
        breaks = Breaks(gym.make(ENV_ID, dynamics="mujoco"), at=3_500)
        train_in_rounds(ENV_ID, reality=lambda: breaks, resume=True, **how)
    with pytest.raises(MosimError, match="run folder .* is not empty"):
        train_in_rounds(ENV_ID, **how)
    with pytest.raises(MosimError, match=r"other settings: seed \(there 0, now 1\)"):
        train_in_rounds(ENV_ID, resume=True, **how, seed=1)
    result = train_in_rounds(ENV_ID, resume=True, **how)
    # What the real system had done when it failed was done: 3,500 steps and not 3,000.
    assert result.real_steps == 4_000 and Dataset.open(tmp_path / "run" / "real").n_steps == 4_000
    assert result.steps == 4_000 + 3 * 10 * 8
    # Those that were due when it was written were lost.
    assert result.updates == 3 * 10 * 2 - 2
    with (tmp_path / "run" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["real_steps"], r["model_updates"]) for r in rows] == [("3000", "27"), ("4000", "29")]
    assert float(rows[1]["seconds"]) > float(rows[0]["seconds"])
    assert [point.real_steps for point in result.curve] == [4_000]
    assert [path.name for path in (tmp_path / "run").glob("real-*.npz")] == ["real-4000.npz"]


def test_an_agent_goes_on_as_the_one_that_was_written(tmp_path: Path) -> None:
    def make(seed: int) -> SAC:
        real = RealReplayBuffer(10, BOX, BOX, "cpu")
        env = gym.make(ENV_ID, dynamics="mujoco")
        return SAC(
            "MlpPolicy",
            env,
            seed=seed,
            policy_kwargs={"net_arch": [8]},
            learning_starts=4,
            buffer_size=64,
            replay_buffer_class=MixedReplayBuffer,
            replay_buffer_kwargs={"real": real, "real_ratio": 0.0},
        )

    env = gym.make(ENV_ID, dynamics="mujoco")
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=0, substeps=False)
    first, second = make(0), make(1)
    first.learn(32)
    state = RunState(tmp_path)
    state.write(first, reality, None, [], [])
    first.train(3, batch_size=8)
    state.read().restore_agent(second)
    second.learn(0, reset_num_timesteps=False)
    second.train(3, batch_size=8)
    for name, value in first.policy.state_dict().items():
        torch.testing.assert_close(second.policy.state_dict()[name], value, rtol=0, atol=0)
    torch.testing.assert_close(first.log_ent_coef, second.log_ent_coef, rtol=0, atol=0)
    reality.close()


def test_a_perfect_model_takes_the_same_turns(tmp_path: Path) -> None:
    result = train_agent(
        ENV_ID,
        strategy=TURNS,
        real_steps=3_000,
        dynamics="mujoco",
        out=tmp_path / "run",
        judgements=1,
        curve_episodes=1,
        final_episodes=1,
        progress=False,
    )
    assert result.real_steps == 3_000 and result.steps == 3_000 + 2 * 10 * 8
    with (tmp_path / "run" / "rounds.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["model_error"], row["model_updates"]) == ("nan", "0")
    assert not (tmp_path / "run" / "model").exists()
    # The same episodes, in the same physics.
    np.testing.assert_array_equal(result.returns_model, result.returns_real)


def test_a_strategy_can_be_named_from_the_front_door(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Unknown strategy.*Did you mean 'on_policy'"):
        train_agent(ENV_ID, strategy="on_polcy", real_steps=10_000)
    with pytest.raises(MosimError, match='strategy="on_policy" needs real_steps'):
        train_agent(ENV_ID, strategy="on_policy")
    with pytest.raises(MosimError, match='checkpoint cannot be given with strategy="on_policy"'):
        train_agent(ENV_ID, strategy="on_policy", real_steps=10_000, checkpoint="pendulum")
    with pytest.raises(MosimError, match='real_steps cannot be given with strategy="zero_shot"'):
        train_agent(ENV_ID, real_steps=10_000)
    with pytest.raises(MosimError, match="real_steps is 5000; expected more than the 5000 steps"):
        train_agent(ENV_ID, strategy="on_policy", real_steps=5_000, out=tmp_path / "run")
    with pytest.raises(MosimError, match="MoSim/hopper-hop-v0 observes touch sensors"):
        train_agent(
            "MoSim/hopper-hop-v0", strategy="on_policy", real_steps=9_000, out=tmp_path / "run"
        )
    with pytest.raises(MosimError, match="dynamics is 'true'; expected learned or mujoco"):
        train_agent(ENV_ID, strategy=TURNS, real_steps=9_000, dynamics="true")
    short = dataclasses.replace(TURNS, first_steps=500)
    with pytest.raises(MosimError, match="takes 1000 steps, the first fit comes after 500"):
        train_in_rounds(ENV_ID, strategy=short, real_steps=9_000, out=tmp_path / "run")
    with pytest.raises(MosimError, match="curve_episodes is 0; expected 1 or more"):
        train_in_rounds(
            ENV_ID, strategy=TURNS, real_steps=9_000, curve_episodes=0, out=tmp_path / "run"
        )
    other = gym.make(ENV_ID, dynamics="mujoco", obs_order="dict")
    with pytest.raises(MosimError, match="observation_space of reality is Dict"):
        train_in_rounds(
            ENV_ID, strategy=TURNS, real_steps=9_000, reality=lambda: other, out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_strategies_have_settings_of_their_own_for_models_that_deserve_them() -> None:
    assert find_strategy("few_shot") is FEW_SHOT
    assert find_strategy("on_policy") is ON_POLICY
    articulated = find_strategy("on_policy", "articulated", "cheetah-run")
    assert articulated.agent == preset_for("cheetah-run", Algorithm.SAC)
    # The agent's own budget of updates, spread evenly over as many rounds as there are.
    for real_steps, rounds in ((10_000, 6), (30_000, 26)):
        assert articulated.rounds(real_steps) == rounds
        steps = rounds * articulated.steps_a_round(real_steps)
        updates = steps * articulated.agent.gradient_steps
        assert 0 <= updates - articulated.agent.updates <= 8 * rounds
    assert find_strategy("on_policy", "lagrangian").refit == ON_POLICY_ARTICULATED.refit
    assert find_strategy("on_policy", "unrolled") == dataclasses.replace(
        ON_POLICY, model="unrolled"
    )
    # The paper's numbers.
    steps = FEW_SHOT.vector_steps * FEW_SHOT.agent.n_envs
    assert (steps, FEW_SHOT.round_steps, FEW_SHOT.refit) == (5_000, 1_000, 50)


def test_a_delay_is_found_and_the_model_learns_what_acted(tmp_path: Path) -> None:
    env = gym.make(ENV_ID, dynamics="mujoco", action_delay=2)
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=0, substeps=False)
    buffer = RealReplayBuffer(1_000, env.observation_space, env.action_space, "cpu")
    reality.act(1_000, reality.random_policy(), buffer)
    growing = GrowingModel(reality.robot, LAGRANGIAN, TURNS, 0, tmp_path, action_delay=None)
    growing.begin(reality.dataset(), reality.steps)
    assert growing.action_delay == 2
    assert growing.error(reality.dataset()) < 1e-12
    assert load_checkpoint(growing.path).provenance["action_delay"] == 2
    again = GrowingModel(reality.robot, LAGRANGIAN, TURNS, 1, tmp_path, action_delay=None)
    again.go_on(growing.state(), reality.steps)
    assert again.action_delay == 2
    assert again.error(reality.dataset()) == growing.error(reality.dataset())
    reality.close()


def test_a_model_goes_on_learning_and_follows_the_data(tmp_path: Path) -> None:
    env = gym.make(ENV_ID, dynamics="mujoco")
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=0, substeps=False)
    buffer = RealReplayBuffer(4_000, env.observation_space, env.action_space, "cpu")
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
