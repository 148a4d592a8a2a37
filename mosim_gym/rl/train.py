"""`train_agent`: one call from a model to an agent, with a folder that says how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.preprocessing import get_action_dim

from mosim_gym.envs.resets import TaskResets
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.files import write_json
from mosim_gym.fit.recipe import Preset
from mosim_gym.registration import find_env
from mosim_gym.rl.algorithms import find_algorithm
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.learning import Judges, learn_and_judge, make_run_folder
from mosim_gym.rl.presets import AgentPreset, preset_for
from mosim_gym.rl.result import TrainResult
from mosim_gym.rl.strategies import ZERO_SHOT, Strategy
from mosim_gym.versions import environment_record


def train_agent(
    env_id: str,
    algo: str = "sac",
    *,
    out: str | Path | None = None,
    resume: bool = False,
    updates: int | None = None,
    seed: int = 0,
    dynamics: str = "learned",
    checkpoint: str | None = None,
    env_options: Mapping[str, Any] | None = None,
    preset: AgentPreset | None = None,
    strategy: str | Strategy = ZERO_SHOT,
    real_steps: int | None = None,
    model: str | Preset | None = None,
    reality: Callable[[], gym.Env[Any, Any]] | None = None,
    action_delay: int | None = 0,
    judgements: int = 8,
    curve_episodes: int = 5,
    final_episodes: int = 20,
    final_seed: int = 10_000,
    threads: int | None = 1,
    progress: bool = True,
) -> TrainResult:
    """Train an SB3 agent in a model (or in true physics) and judge it in true physics.

    Args:
        env_id: such as "MoSim/reacher-easy-v0".
        algo: "sac", "tqc" or "td3".
        out: run folder, by default ``runs/<task>-<algo>-<dynamics>-seed<seed>``; must be new or
            empty, unless resumed.
        resume: go on with the unfinished run in the folder; not for "zero_shot".
        updates: gradient updates; the preset's by default.
        seed: of agent and environment.
        dynamics: what to train on, "learned" or "mujoco".
        checkpoint: the model; the task's own by default.
        env_options: other options of the environment trained on, such as ``{"uncertainty":
            "truncate"}`` (`mosim_gym.make_sb3_vec_env`); the agent is judged in the model without
            them.
        preset: settings; by default those of the algorithm, as the task wants them.
        strategy: "zero_shot", in a model as it is; "few_shot" or "on_policy" with few real steps
            and a model that is learned on the way, see `mosim_gym.rl.few_steps.train_in_rounds`,
            whose settings then count instead of `updates`, `checkpoint`, `env_options`, `preset`.
        real_steps: budget of steps in reality; not for "zero_shot".
        model: preset of the model that is learned on the way.
        reality: makes environments to act and to judge in; true physics by default. Not for
            "zero_shot", as the next.
        action_delay: control steps that actions take to arrive there; ``None`` to find out.
        judgements: how often to judge during training.
        curve_episodes: whole episodes a judgement of the curve.
        final_episodes: whole episodes of the final judgement.
        final_seed: episode i of it is the one of ``final_seed + i``.
        threads: of torch, ``None`` for as many as it has now. Networks of this size gain next to
            nothing from a second one, and lose most of their speed where it has to wait for a
            processor that does other work.
        progress: show a progress bar.

    Raises:
        UnknownNameError: for an unknown environment or algorithm.
        MosimError: if the run folder is not empty or cannot be written.
    """
    if strategy != ZERO_SHOT:
        fixed = {"checkpoint": checkpoint, "env_options": env_options or None}
        _refuse({"updates": updates, "preset": preset, **fixed}, strategy)
        if real_steps is None:
            raise MosimError(
                f'strategy="{_name(strategy)}" needs real_steps, such as real_steps=30_000.'
            )
        return train_in_rounds(
            env_id,
            algo,
            strategy=strategy,
            real_steps=real_steps,
            model=model,
            dynamics=dynamics,
            reality=reality,
            action_delay=action_delay,
            out=out,
            resume=resume,
            seed=seed,
            judgements=judgements,
            curve_episodes=curve_episodes,
            final_episodes=final_episodes,
            final_seed=final_seed,
            threads=threads,
            progress=progress,
        )
    began = time.perf_counter()
    few = {"real_steps": real_steps, "model": model, "resume": resume or None, "reality": reality}
    _refuse(few | {"action_delay": None if action_delay == 0 else "found out"}, strategy)
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
    env = make_sb3_vec_env(row.env_id, n_envs=settings.n_envs, seed=seed, **trained_on)
    env.env_method("set_reset_source", settings.starts(TaskResets()))
    judges = Judges(row.env_id, world)
    make_run_folder(folder)
    agent = algorithm.sb3_class(
        "MlpPolicy",
        env,
        seed=seed,
        tensorboard_log=str(folder / "tensorboard"),
        **settings.sb3_arguments(algorithm, get_action_dim(env.action_space)),
    )
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
    write_json(folder / "config.json", record)
    return learn_and_judge(
        agent,
        env,
        judges,
        folder,
        total=total,
        every=max(1, updates // max(1, judgements)),
        real_steps=lambda: agent.num_timesteps if dynamics == "mujoco" else 0,
        separate=False,
        curve_episodes=curve_episodes,
        final=(final_episodes, final_seed),
        threads=threads,
        label=f"{algorithm.value.upper()} {name}" if progress else None,
        since=began,
    )


def _refuse(given: Mapping[str, object], strategy: str | Strategy) -> None:
    """Raise if any is given: they mean nothing to this strategy."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise MosimError(
            f'{" and ".join(names)} cannot be given with strategy="{_name(strategy)}"; leave it '
            "out."
        )


def _name(strategy: str | Strategy) -> str:
    return strategy if isinstance(strategy, str) else strategy.name
