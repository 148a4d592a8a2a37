"""Training runs: what they write, that they repeat, and that an agent really learns."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from mosim_gym import train_agent
from mosim_gym.envs.sb3 import MosimVecEnv, make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.rl import learning, zero_shot
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import PRESETS, preset_for
from mosim_gym.rl.report import plot_curve, result_table
from tests.rl.tiny import ENV_ID, TINY, run


@pytest.mark.parametrize("algo", ["sac", "tqc", "td3"])
def test_a_run_leaves_a_folder_that_tells_all(tmp_path: Path, algo: str) -> None:
    result = run(tmp_path / "run", algo)
    names = {path.name for path in result.folder.iterdir()}
    assert {"agent.zip", "best_agent.zip", "config.json", "curve.csv", "result.json"} <= names
    assert not [name for name in names if ".tmp" in name]
    assert list((result.folder / "tensorboard").rglob("events*"))
    config = json.loads((result.folder / "config.json").read_text())
    assert config["environment"]["torch"] == torch.__version__.split("+")[0] or config[
        "environment"
    ]["torch"].startswith("2.")
    assert config["preset"] == json.loads(json.dumps(dataclasses.asdict(TINY)))
    with (result.folder / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["updates"]) for row in rows] == [10, 20]
    assert (result.real_steps, result.updates, result.interrupted) == (0, 20, False)
    assert result.steps == TINY.total_timesteps(20)
    written = json.loads((result.folder / "result.json").read_text())
    assert written["returns_real"] == result.returns_real.tolist()
    loaded = Algorithm(algo).sb3_class.load(result.folder / "agent.zip")
    observation = np.zeros((1, 6), dtype=np.float32)
    expected = result.agent.predict(observation, deterministic=True)[0]
    assert (loaded.predict(observation, deterministic=True)[0] == expected).all()


def test_training_in_true_physics_counts_its_steps_as_real(tmp_path: Path) -> None:
    result = run(tmp_path / "run", dynamics="mujoco")
    assert result.real_steps == result.steps > 0


def test_the_same_seed_trains_the_same_agent_bit_for_bit(tmp_path: Path) -> None:
    first, second = (run(tmp_path / name) for name in ("a", "b"))
    pairs = zip(first.agent.policy.parameters(), second.agent.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert first.returns_real.tolist() == second.returns_real.tolist()
    other = run(tmp_path / "c", seed=4)
    pairs = zip(first.agent.policy.parameters(), other.agent.policy.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_ctrl_c_keeps_the_agent_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupt(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps >= 120:
                raise KeyboardInterrupt
            return True

    learn = SAC.learn
    monkeypatch.setattr(
        SAC,
        "learn",
        lambda self, total, callback, log_interval, reset_num_timesteps: learn(
            self, total, [*callback, Interrupt()], log_interval
        ),
    )
    result = run(tmp_path / "run")
    assert result.interrupted
    assert "interrupted" in result_table(result, "title")
    assert SAC.load(tmp_path / "run" / "agent.zip").num_timesteps == result.steps == 120


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "precious.txt").write_text("x")
    with pytest.raises(MosimError, match=r"is not empty.*--out"):
        run(full)
    assert [path.name for path in full.iterdir()] == ["precious.txt"]
    with pytest.raises(MosimError, match=r"Unknown algorithm 'sack'.*Did you mean 'sac'"):
        run(tmp_path / "new", algo="sack")
    with pytest.raises(MosimError, match=r"Unknown dynamics 'mujocco'.*'mujoco'"):
        run(tmp_path / "new2", dynamics="mujocco")
    with pytest.raises(MosimError, match=r"updates is 0; expected 1 or more"):
        train_agent(ENV_ID, updates=0, out=tmp_path / "new3", progress=False)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(MosimError, match=r"Cannot write to .*file"):
        run(file)


def test_the_table_shows_bad_numbers_as_they_are(tmp_path: Path) -> None:
    result = dataclasses.replace(run(tmp_path / "run"), returns_real=np.array([0.0, 7.0]))
    table = result_table(result, "title")
    assert "return in reality    4 +- 4  (worst of 2: 0)" in table
    assert "real training steps  0" in table
    plot_curve(result.curve, tmp_path / "curve.png", "title")
    assert (tmp_path / "curve.png").stat().st_size > 5_000


def test_presets_reach_the_updates_they_promise() -> None:
    for preset in PRESETS.values():
        steps = preset.total_timesteps(preset.updates)
        vector_steps = (steps - preset.learning_starts) / preset.n_envs
        assert vector_steps * preset.gradient_steps >= preset.updates
    assert learning.CURVE_SEED != 10_000


@pytest.mark.parametrize("dynamics", ["learned", "mujoco"])
@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 0, 0), (0.5, 15, 49), (1.0, 64, 64)])
def test_rows_start_anywhere_if_the_preset_says_so_and_judgements_do_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dynamics: str,
    share: float,
    fewest: int,
    most: int,
) -> None:
    seen = []

    class Seen(Exception):
        pass

    def learn(agent: SAC, env: VecEnv, judges: learning.Judges, *_: object, **__: object) -> None:
        env.reset()
        for face in (env, make_sb3_vec_env(judges.env_id, 64, **judges.world)):
            face.reset()
            seen.append(cast(MosimVecEnv, face.unwrapped).world.engine.state()["qvel"])
        raise Seen

    monkeypatch.setattr(zero_shot, "learn_and_judge", learn)
    preset = dataclasses.replace(TINY, n_envs=64, wide_starts=share, wide_speed=3.0)
    out = tmp_path / "run"
    task = "MoSim/pendulum-swingup-v0"
    with pytest.raises(Seen):
        train_agent(task, out=out, preset=preset, dynamics=dynamics, progress=False)
    moving = seen[0][:, 0] != 0  # the task's own starts are at rest
    assert fewest <= moving.sum() <= most and (np.abs(seen[0]) <= 3).all()
    assert not seen[1].any()
    written = json.loads((out / "config.json").read_text())["preset"]
    assert (written["wide_starts"], written["wide_speed"]) == (share, 3.0)


def test_a_body_that_moves_freely_cannot_start_anywhere(tmp_path: Path) -> None:
    preset = dataclasses.replace(TINY, wide_starts=0.5)
    with pytest.raises(MosimError, match="rootx of cheetah has no limits"):
        train_agent("MoSim/cheetah-run-v0", out=tmp_path / "run", preset=preset, progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sac_swings_a_pendulum_up_in_the_model_and_in_reality(tmp_path: Path) -> None:
    result = train_agent("MoSim/pendulum-swingup-v0", "sac", out=tmp_path / "run", progress=False)
    assert result.returns_real.mean() >= 700
    assert result.real_steps == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sac_learns_reacher_in_the_model_and_succeeds_in_reality(tmp_path: Path) -> None:
    result = train_agent(ENV_ID, "sac", out=tmp_path / "run", progress=False)
    assert result.returns_real.mean() >= 900
    assert result.real_steps == 0


def test_tasks_may_want_other_settings() -> None:
    plain = preset_for("reacher-easy", Algorithm.TQC)
    assert plain == PRESETS[Algorithm.TQC]
    swinging = preset_for("pendulum-swingup", Algorithm.TQC)
    assert swinging.horizon == 200 and swinging.wide_starts == 0.5
    # A policy of SAC knows no quantiles.
    assert preset_for("acrobot-swingup", Algorithm.TQC).policy["n_quantiles"] == 8
    assert "n_quantiles" not in preset_for("acrobot-swingup", Algorithm.SAC).policy
    # What the algorithm wants further is kept.
    assert swinging.further["top_quantiles_to_drop_per_net"] == 0
