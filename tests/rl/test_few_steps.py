"""Few real steps: what is counted, mixed, remembered and learned on the way."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym import train_agent
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.states import TOUCH
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.fit.presets import ARTICULATED
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.imagination import starts
from mosim_gym.rl.mixed_buffer import RealReplayBuffer
from mosim_gym.rl.plan import make_plan
from mosim_gym.rl.presets import preset_for
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.report import result_table
from mosim_gym.rl.rounds import Rounds
from mosim_gym.rl.strategies import (
    FEW_SHOT,
    ON_POLICY,
    ON_POLICY_ARTICULATED,
    find_strategy,
)
from mosim_gym.tasks.mujoco import robot_of
from tests.rl.turns import BRIEFLY, ENV_ID, TURNS


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


class Numb(gym.Wrapper):
    """A real system that forgets to report what its touch sensors read."""

    def reset(self, **options):
        observation, info = super().reset(**options)
        return observation, {name: value for name, value in info.items() if name != TOUCH}


def test_a_reality_without_its_touch_readings_is_told_so_at_once(tmp_path: Path) -> None:
    env = Numb(gym.make("MoSim/hopper-stand-v0", dynamics="mujoco"))
    reality = Reality(env, tmp_path / "real", policy="tiny", seed=0, substeps=False)
    with pytest.raises(MosimError, match=r"reports no readings; expected info\['mosim/touch'\]"):
        reality.act(1, reality.random_policy(), reality.make_buffer(10))
    assert reality.steps == 0
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
    # Not alike to the digit: near upright even rounding errors of the model grow.
    assert result.returns_model.shape == result.returns_real.shape == (2,)


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


def test_wide_starts_are_imagined_only(tmp_path: Path) -> None:
    agent = dataclasses.replace(TURNS.agent, wide_starts=0.5, wide_speed=6.0)
    turns = dataclasses.replace(TURNS, agent=agent, first_steps=1_000)
    env = gym.make(ENV_ID, dynamics="mujoco")
    seen = RealReplayBuffer(10, env.observation_space, env.action_space, "cpu")
    source = starts(dataclasses.replace(turns, task_share=1.0), seen)
    speeds = np.zeros(200)
    for draw in source.draw(200, np.random.default_rng(0), robot_of("pendulum", "swingup")):
        if draw.fields:  # the others are left to the task
            speeds[draw.positions] = draw.fields["qvel"][:, 0]
    assert 70 < (speeds != 0).sum() < 130 and 3 < np.abs(speeds).max() <= 6
    result = train_in_rounds(
        ENV_ID, strategy=turns, real_steps=2_000, dynamics="mujoco", out=tmp_path / "run", **BRIEFLY
    )
    recorded = Dataset.open(result.folder / "real").episodes
    assert len(recorded) == 2 and all(not episode.qvel[0].any() for episode in recorded)


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
    for wrong in (-1, 1.5, True):
        with pytest.raises(MosimError, match="action_delay is .* expected a whole number of 0"):
            train_in_rounds(ENV_ID, strategy=TURNS, real_steps=9_000, action_delay=wrong)
    with pytest.raises(MosimError, match="Reality is a cartpole with fingerprint"):
        train_in_rounds(
            ENV_ID,
            strategy=TURNS,
            real_steps=9_000,
            reality=lambda: gym.make("MoSim/cartpole-swingup-v0", dynamics="mujoco"),
            out=tmp_path / "run",
        )
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
    assert find_strategy("few_shot") == FEW_SHOT
    assert find_strategy("on_policy") == ON_POLICY
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
    # An update a real step at least.
    assert 0 <= 8 * 96 * articulated.steps_a_round(100_000) - 100_000 <= 8 * 96
    mine = dataclasses.replace(ARTICULATED, name="mine")
    assert find_strategy("on_policy", mine).refit == ON_POLICY_ARTICULATED.refit
    assert find_strategy("few_shot", mine).first_refit == ON_POLICY_ARTICULATED.first_refit
    few = find_strategy("few_shot", None, "cheetah-run").agent
    assert (few.n_envs, few.horizon, few.gradient_steps) == (50, 100, 5)
    assert few.net_arch == (256, 256)
    # Networks are shown contacts where there are any.
    for env_id, model in (("MoSim/cheetah-run-v0", "contact"), (ENV_ID, "default")):
        plan = make_plan(
            env_id, "sac", "on_policy", None,
            real_steps=9_000, dynamics="learned", action_delay=0, observe_pending=False, seed=0,
        )  # fmt: skip
        assert plan.preset.name == model
    # The paper's numbers.
    steps = FEW_SHOT.vector_steps * FEW_SHOT.agent.n_envs
    assert (steps, FEW_SHOT.round_steps, FEW_SHOT.refit) == (5_000, 1_000, 50)


class Mute(gym.Env):
    """A reality that does not say what body it is."""


def test_a_robot_that_is_stopped_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def reality() -> gym.Env:
        made.append(gym.make(ENV_ID, dynamics="mujoco"))
        return made[-1]

    def stop(self: Rounds) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Rounds, "_round", stop)
    result = train_agent(
        ENV_ID, strategy=TURNS, real_steps=5_000, reality=reality, out=tmp_path / "run",
        **BRIEFLY,
    )  # fmt: skip
    assert result.interrupted and len(made) == 1 and len(result.returns_real) == 0
    assert "interrupted" in result_table(result, "title")
    with pytest.raises(MosimError, match="does not say what body it is"):
        train_agent(ENV_ID, strategy=TURNS, real_steps=5_000, reality=Mute, out=tmp_path / "mute")
    with pytest.raises(MosimError, match="reality and action_delay cannot be given"):
        train_agent(ENV_ID, reality=Mute, action_delay=2, out=tmp_path / "zero")
