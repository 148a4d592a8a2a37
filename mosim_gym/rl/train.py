"""`train_agent`: one call from a model to an agent, with a folder that says how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from mosim_gym.errors import MosimError
from mosim_gym.fit.recipe import Preset
from mosim_gym.rl.few_steps import train_in_rounds
from mosim_gym.rl.presets import AgentPreset
from mosim_gym.rl.result import TrainResult
from mosim_gym.rl.strategies import ZERO_SHOT, Strategy
from mosim_gym.rl.zero_shot import train_in_model


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
    observe_pending: bool = False,
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
        resume: go on with the unfinished run in the folder, if there is one, from its last
            judgement ("zero_shot") or round. Episodes begin anew; updates of one step are lost.
        updates: gradient updates; the preset's by default.
        seed: of agent and environment.
        dynamics: what to train on, "learned" or "mujoco".
        checkpoint: the model; the task's own by default.
        env_options: of the environment trained on (`mosim_gym.envs.options.WorldOptions`): the
            dataset or replay buffer that its episodes start from, ``resets``; ``uncertainty`` with
            its ``_quantile`` and ``_score``; ``compile``. The agent is judged without them.
        preset: settings; by default those of the algorithm, as the task wants them.
        strategy: "zero_shot", in a model as it is; "few_shot" or "on_policy" with few real steps
            and a model that is learned on the way, see `mosim_gym.rl.few_steps.train_in_rounds`,
            whose settings then count instead of `updates`, `checkpoint`, `env_options`, `preset`.
        real_steps: budget of steps in reality; not for "zero_shot".
        model: preset of the model that is learned on the way.
        reality: makes environments to act and to judge in; true physics by default. Not for
            "zero_shot", as the next.
        action_delay: control steps that actions take to arrive there; ``None`` to find out.
        observe_pending: tell the agent which of them are on their way, where there is a delay.
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
        fixed = {
            "checkpoint": checkpoint,
            "env_options (--resets, --uncertainty)": env_options or None,
        }
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
            observe_pending=observe_pending,
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
    few = {"real_steps": real_steps, "model": model, "reality": reality}
    late = {"action_delay": None if action_delay == 0 else "found out"}
    _refuse(few | late | {"observe_pending": observe_pending or None}, strategy)
    return train_in_model(
        env_id,
        algo,
        out=out,
        resume=resume,
        updates=updates,
        seed=seed,
        dynamics=dynamics,
        checkpoint=checkpoint,
        env_options=env_options,
        preset=preset,
        judgements=judgements,
        curve_episodes=curve_episodes,
        final_episodes=final_episodes,
        final_seed=final_seed,
        threads=threads,
        progress=progress,
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
