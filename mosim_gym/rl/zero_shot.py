"""`train_in_model`: an agent learns in a model as it is, or in true physics, and is judged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.preprocessing import get_action_dim

from mosim_gym.envs.resets import TaskResets
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.files import write_json
from mosim_gym.fit.resume import read_state, write_state
from mosim_gym.registration import find_env
from mosim_gym.rl.agent_state import agent_state, restore_agent
from mosim_gym.rl.algorithms import find_algorithm
from mosim_gym.rl.callbacks import CurvePoint
from mosim_gym.rl.learning import Judges, learn_and_judge, make_run_folder
from mosim_gym.rl.presets import AgentPreset, preset_for
from mosim_gym.rl.refusals import CONFIG, check_same_run
from mosim_gym.rl.result import TrainResult
from mosim_gym.versions import environment_record

#: Rows of a run that goes on start from other draws than before.
_SEED_STRIDE = 1_000_003


def train_in_model(
    env_id: str,
    algo: str,
    *,
    out: str | Path | None,
    resume: bool,
    updates: int | None,
    seed: int,
    dynamics: str,
    checkpoint: str | None,
    env_options: Mapping[str, Any] | None,
    preset: AgentPreset | None,
    judgements: int,
    curve_episodes: int,
    final_episodes: int,
    final_seed: int,
    threads: int | None,
    progress: bool,
) -> TrainResult:
    """Train and judge; arguments and errors are those of `mosim_gym.train_agent`.

    Where an unfinished run stands is written after each judgement of the curve; `resume` goes on
    from there, with new episodes.
    """
    began = time.perf_counter()
    row = find_env(env_id)
    algorithm = find_algorithm(algo)
    settings = preset or preset_for(row.name, algorithm)
    updates = settings.updates if updates is None else updates
    for what, count in (("updates", updates), ("final_episodes", final_episodes)):
        if count < 1:
            raise MosimError(f"{what} is {count}; expected 1 or more.")
    name = f"{row.domain}-{row.task}-{algorithm}-{dynamics}-seed{seed}"
    folder = Path("runs") / name if out is None else Path(out)
    world: dict[str, Any] = {"dynamics": dynamics, "state_info": False}
    if checkpoint is not None:
        world["checkpoint"] = checkpoint
    trained_on = {"horizon": settings.horizon, **(env_options or {}), **world}
    total = settings.total_timesteps(updates)
    record = {
        "env_id": row.env_id,
        "algorithm": algorithm.value,
        "seed": seed,
        "updates": updates,
        "total_timesteps": total,
        "preset": asdict(settings),
        **trained_on,
        "environment": environment_record(),
    }
    file = folder / "state.safetensors"
    past = None
    if resume and (folder / CONFIG).exists():
        check_same_run(folder, record)
        past = _read(file) if file.exists() else None
    curve = [] if past is None else [CurvePoint(**point) for point in past["curve"]]
    # Judgements are of a world of their own, in whole episodes.
    env = make_sb3_vec_env(
        row.env_id, n_envs=settings.n_envs, seed=seed + _SEED_STRIDE * len(curve), **trained_on
    )
    env.env_method("set_reset_source", settings.starts(TaskResets()))
    if not (resume and (folder / CONFIG).exists()):
        make_run_folder(folder)
        write_json(folder / CONFIG, record)
    agent = algorithm.sb3_class(
        "MlpPolicy",
        env,
        seed=seed,
        tensorboard_log=str(folder / "tensorboard"),
        **settings.sb3_arguments(algorithm, get_action_dim(env.action_space)),
    )
    if past is not None:
        restore_agent(agent, past["agent"])
    result = learn_and_judge(
        agent,
        env,
        Judges(row.env_id, world),
        folder,
        total=total,
        every=max(1, updates // max(1, judgements)),
        real_steps=lambda: agent.num_timesteps if dynamics == "mujoco" else 0,
        separate=False,
        curve_episodes=curve_episodes,
        final=(final_episodes, final_seed),
        threads=threads,
        label=f"{algorithm.value.upper()} {name}" if progress else None,
        since=began - (curve[-1].seconds if curve else 0.0),
        curve=curve,
        save=lambda: write_state(
            file, {"agent": agent_state(agent), "curve": [asdict(point) for point in curve]}
        ),
    )
    if not result.interrupted:
        file.unlink(missing_ok=True)
    return result


def _read(file: Path) -> dict[str, Any]:
    try:
        state = read_state(file)
        return {"agent": state["agent"], "curve": state["curve"]}
    except (CheckpointError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{file} is not the state of an unfinished run: {error!r}. Start afresh with another "
            "--out."
        ) from error
