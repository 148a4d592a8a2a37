"""A run of few real steps that broke off goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC

from mosim_gym.data.dataset import Dataset
from mosim_gym.errors import MosimError
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer, RealReplayBuffer
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.run_state import RunState
from tests.rl.turns import BRIEFLY, ENV_ID, TURNS

BOX = spaces.Box(-1.0, 1.0, (1,), np.float32)


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
        **BRIEFLY,
    }
    with pytest.raises(RuntimeError, match="the real system failed"):
        breaks = Breaks(gym.make(ENV_ID, dynamics="mujoco"), at=3_500)
        train_in_rounds(ENV_ID, reality=lambda: breaks, resume=True, **how)
    with pytest.raises(MosimError, match="run folder .* is not empty"):
        train_in_rounds(ENV_ID, **how)
    with pytest.raises(MosimError, match=r"other settings: seed \(there 0, now 1\)"):
        train_in_rounds(ENV_ID, resume=True, **how, seed=1)
    # As of a version that had fewer settings.
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["strategy"]["reset_rounds"], config["strategy"]["agent"]["layer_norm"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    result = train_in_rounds(ENV_ID, resume=True, **how)
    # What the real system had done when it failed was done: 3,500 steps and not 3,000.
    assert result.real_steps == 4_000 and Dataset.open(tmp_path / "run" / "real").n_steps == 4_000
    assert result.steps == 4_000 + 3 * 10 * 8
    # Those that were due when it was written were lost.
    assert result.updates == 3 * 10 * 2 - 2
    with (tmp_path / "run" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    # The 500 steps after the last state were learned from at once.
    assert [(r["real_steps"], r["model_updates"]) for r in rows] == [("3000", "27"), ("4000", "31")]
    assert float(rows[1]["seconds"]) > float(rows[0]["seconds"])
    assert [point.real_steps for point in result.curve] == [4_000]
    # Nothing is left to go on from, and what is finished stays as it is.
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert not any(name.startswith(("state", "real-")) for name in left)
    with pytest.raises(MosimError, match="is finished; give another --out"):
        train_in_rounds(ENV_ID, resume=True, **how)


def test_real_steps_before_the_first_fit_are_kept(tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "strategy": TURNS,
        "real_steps": 3_000,
        "out": tmp_path / "run",
        "resume": True,
        **BRIEFLY,
    }
    with pytest.raises(RuntimeError, match="the real system failed"):
        breaks = Breaks(gym.make(ENV_ID, dynamics="mujoco"), at=1_500)
        train_in_rounds(ENV_ID, reality=lambda: breaks, **how)
    assert not RunState(tmp_path / "run").file.exists()
    result = train_in_rounds(ENV_ID, **how)
    # 1,500 of before, a round's worth for the agent's buffer, and what was left of the budget.
    assert result.real_steps == 3_000 and Dataset.open(tmp_path / "run" / "real").n_steps == 3_000


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
    state.write(first, reality, None, 0, [], [])
    first.train(3, batch_size=8)
    state.read().restore_agent(second)
    second.learn(0, reset_num_timesteps=False)
    second.train(3, batch_size=8)
    for name, value in first.policy.state_dict().items():
        torch.testing.assert_close(second.policy.state_dict()[name], value, rtol=0, atol=0)
    torch.testing.assert_close(first.log_ent_coef, second.log_ent_coef, rtol=0, atol=0)
    reality.close()
