"""Runs in a model as it is: what they may be told of it, and that they go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

from mosim_gym import train_agent
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.fit.resume import differences, read_state
from mosim_gym.rl import zero_shot
from mosim_gym.rl.agent_state import agent_state
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.tasks.mujoco import robot_of
from mosim_gym.uncertainty.calibrate import calibrate
from tests.rl.tiny import ENV_ID, TINY, run
from tests.uncertainty.fakes import TINY as DOUBT
from tests.uncertainty.fakes import member, random_motion


def listed(value: Any) -> Any:
    """Tensors as lists."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): listed(item) for key, item in value.items()}
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


def test_an_agent_trains_where_data_was_and_a_model_is_not_doubted(tmp_path: Path) -> None:
    robot = robot_of("reacher", "easy")
    data = random_motion(tmp_path / "data", robot)
    model = calibrate(member(tmp_path / "model", robot), data, config=DOUBT, progress=False)
    doubting = {"uncertainty": "truncate", "uncertainty_quantile": 1e-6, "resets": str(data.path)}
    result = train_agent(
        ENV_ID,
        out=tmp_path / "run",
        checkpoint=str(model),
        env_options=doubting,
        preset=TINY,
        curve_episodes=1,
        final_episodes=1,
        progress=False,
    )
    # All but the least of steps is beyond that quantile.
    lengths = [info["l"] for info in result.agent.ep_info_buffer or ()]
    assert lengths and np.mean(lengths) < 2
    # Where the data was: joints are at speeds there, and at rest where the task starts.
    buffer = result.agent.replay_buffer
    assert buffer is not None and abs(buffer.observations[: buffer.pos, :, 4:]).mean() > 0.3
    assert json.loads((tmp_path / "run" / "config.json").read_text())["env_options"] == doubting


def test_options_of_a_fixed_model_are_refused_where_it_is_learned_on_the_way(
    tmp_path: Path,
) -> None:
    with pytest.raises(MosimError, match=r"env_options .* cannot be given with .*on_policy"):
        train_agent(
            ENV_ID,
            out=tmp_path / "run",
            strategy="on_policy",
            real_steps=9_000,
            env_options={"uncertainty": "truncate"},
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_run_that_broke_off_goes_on_from_its_last_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: Algorithm
) -> None:
    class Break(BaseCallback):
        def _on_step(self) -> bool:
            if self.model._n_updates >= 14:
                raise RuntimeError("the machine failed")
            return True

    class Look(BaseCallback):
        def _on_training_start(self) -> None:
            seen.append(listed(agent_state(cast(SAC, self.model))))

        def _on_step(self) -> bool:
            rates.append(self.model.lr_schedule(self.model._current_progress_remaining))
            if self.n_calls == 1:
                starts.append(self.locals["new_obs"])
            return True

    seen: list[dict[str, Any]] = []
    rates: list[float] = []
    starts: list[Any] = []
    folder = tmp_path / "run"
    learn = algorithm.sb3_class.learn

    def with_callback(extra: BaseCallback) -> None:
        monkeypatch.setattr(
            algorithm.sb3_class,
            "learn",
            lambda self, total, callback, **how: learn(self, total, [*callback, extra], **how),
        )

    with_callback(Break())
    with pytest.raises(RuntimeError, match="the machine failed"):
        run(folder, algorithm, resume=True)
    with pytest.raises(MosimError, match="run folder .* is not empty"):
        run(folder, algorithm)
    with pytest.raises(MosimError, match=r"other settings: seed \(there 3, now 4\)"):
        run(folder, algorithm, seed=4, resume=True)
    left = listed(read_state(folder / "state.safetensors")["agent"])
    with_callback(Look())
    result = run(folder, algorithm, resume=True)
    # Weights, optimisers, buffer and random numbers are those that were left; all rows begin anew.
    cut = left["buffer"]["arrays"]["timeouts"][-1]
    cut[:] = [1.0] * len(cut)
    assert len(seen[0]["parameters"]) > 1 and seen[0]["buffer"]["pos"] > 0
    assert not differences("", left, seen[0])
    # The learning rate goes on falling from where it was.
    part = 1 - left["num_timesteps"] / TINY.total_timesteps(20)
    assert 0 < rates[1] <= TINY.learning_rate * part
    assert result.steps == TINY.total_timesteps(20)
    # Judged after 10 updates, when 2 more were due, which were lost.
    assert result.updates == 18
    assert [point.updates for point in result.curve] == [10, 18]
    assert result.curve[1].seconds > result.curve[0].seconds
    assert not (folder / "state.safetensors").exists()
    with pytest.raises(MosimError, match="is finished; give another --out"):
        run(folder, algorithm, resume=True)
    # What comes after a break starts from other states than the run did.
    with_callback(Look())
    run(tmp_path / "anew", algorithm)
    assert not np.array_equal(*starts)


def test_a_state_that_is_damaged_or_missing_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path / "run")
    told = json.loads((result.folder / "result.json").read_text())
    (result.folder / "result.json").write_text(json.dumps(told | {"interrupted": True}))
    with pytest.raises(MosimError, match="left no state.safetensors to go on from"):
        run(tmp_path / "run", resume=True)
    (result.folder / "state.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(MosimError, match="damaged, or of another version"):
        run(tmp_path / "run", resume=True)


@pytest.mark.parametrize("options", [{"horizon": 5}, {"obs_order": "dict"}, "truncate"])
def test_options_that_are_arguments_of_their_own_are_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(MosimError, match="env_options .*; expected"):
        train_agent(ENV_ID, out=tmp_path / "run", env_options=options)
    assert not (tmp_path / "run").exists()


def test_training_goes_on_where_its_state_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CheckpointError("no space left on device")

    monkeypatch.setattr(zero_shot, "write_state", full)
    with pytest.warns(UserWarning, match=r"since the last state is lost.*no space left"):
        result = run(tmp_path / "run")
    assert result.updates == 20 and not result.interrupted
