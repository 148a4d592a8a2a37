"""`train_in_model`: an agent learns in a model as it is, or in true physics, and is judged."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.preprocessing import get_action_dim

from mosim_gym.envs.resets import TaskResets, open_resets
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.files import write_json
from mosim_gym.fit.resume import read_state, write_state
from mosim_gym.registration import find_env
from mosim_gym.rl.agent_state import (
    STATE,
    agent_state,
    require_whole,
    restore_agent,
    seed_after,
)
from mosim_gym.rl.algorithms import find_algorithm
from mosim_gym.rl.callbacks import CurvePoint
from mosim_gym.rl.learning import Judges, learn_and_judge, make_run_folder
from mosim_gym.rl.presets import AgentPreset, preset_for
from mosim_gym.rl.refusals import CONFIG, check_same_run
from mosim_gym.rl.result import TrainResult
from mosim_gym.versions import environment_record

#: Of `env_options`; all else has its own argument or would make what is judged another task.
OPTIONS = ("resets", "uncertainty", "uncertainty_quantile", "uncertainty_score", "compile")


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
    options = _checked(env_options)
    total = settings.total_timesteps(updates)
    record = {
        "env_id": row.env_id,
        "algorithm": algorithm.value,
        "seed": seed,
        "updates": updates,
        "total_timesteps": total,
        "preset": asdict(settings),
        "env_options": dict(options),
        **world,
        "environment": environment_record(),
    }
    file = folder / STATE
    goes_on = resume and (folder / CONFIG).exists()
    past: dict[str, Any] | None = None
    curve: list[CurvePoint] = []
    if goes_on:
        check_same_run(folder, record)
        past, curve = _read(folder)
        if progress:
            done = f"{curve[-1].updates:,} of {updates:,} updates" if curve else "nothing: anew"
            print(f"Goes on in {folder} from {done}.")
    resets = options.pop("resets", None)
    env = make_sb3_vec_env(
        row.env_id, n_envs=settings.n_envs, horizon=settings.horizon, **options, **world
    )
    starts = TaskResets() if resets is None else open_resets(resets)
    env.env_method("set_reset_source", settings.starts(starts))
    if not goes_on:
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
        restore_agent(agent, past)
        env.seed(seed_after(seed, len(curve)))  # SB3 seeded it with the agent

    def save() -> None:
        try:
            write_state(
                file, {"agent": agent_state(agent), "curve": [asdict(point) for point in curve]}
            )
        except CheckpointError as error:
            # Training is worth more than that it could go on.
            warnings.warn(
                f"If this run breaks off, what it did since the last state is lost. {error}",
                stacklevel=2,
            )

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
        save=save,
    )
    if not result.interrupted:
        file.unlink(missing_ok=True)
    return result


def _checked(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise MosimError(
            f'env_options is {given!r}; expected a mapping, such as {{"uncertainty": "truncate"}}.'
        )
    options = dict(given or {})
    if isinstance(options.get("resets"), Path):
        options["resets"] = str(options["resets"])
    others = [name for name in options if name not in OPTIONS]
    if others:
        raise MosimError(
            f"env_options has {', '.join(map(repr, others))}; expected some of "
            f"{', '.join(OPTIONS)}. Dynamics, checkpoint and seed are arguments of their own; "
            "horizon and n_envs are the preset's."
        )
    return options


def _read(folder: Path) -> tuple[dict[str, Any] | None, list[CurvePoint]]:
    """The agent and the curve of an unfinished run; ``None`` and no curve before the first."""
    file = folder / STATE
    if not file.exists():
        if (folder / "curve.csv").exists():
            raise MosimError(
                f"The run in {folder} left no {STATE} to go on from; start afresh with another "
                "--out."
            )
        return None, []
    try:
        state = read_state(file)
        return require_whole(state["agent"]), [CurvePoint(**point) for point in state["curve"]]
    except (CheckpointError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{file} is damaged, or of another version, and cannot be gone on from; start afresh "
            "with another --out."
        ) from error
