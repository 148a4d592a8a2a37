"""`train_in_rounds`: an agent, a model and few real steps, in turns.

The agent is SB3's, unmodified: it learns in the model as in any environment, and a callback
(`mosim_gym.rl.rounds`) does the rest. After the last imagined step of a round the agent acts in
reality, the model learns from what was seen, and the next imagined episodes start from there.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from mosim_gym.articulated.description import describe
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.resets import MixedResets, ReplayResets, ResetSource, TaskResets
from mosim_gym.envs.sb3 import MosimVecEnv, make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.files import write_json
from mosim_gym.fit.presets import Preset, get_preset
from mosim_gym.fit.refit import Refit
from mosim_gym.registration import TaskRow, find_env
from mosim_gym.rl.learning import Judges, learn_and_judge, make_run_folder
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer, RealReplayBuffer
from mosim_gym.rl.presets import Algorithm, find_algorithm
from mosim_gym.rl.reality import Reality, RecentStates
from mosim_gym.rl.result import TrainResult
from mosim_gym.rl.rounds import Rounds, save_model
from mosim_gym.rl.strategies import Strategy, find_strategy
from mosim_gym.tasks.mujoco import model_of
from mosim_gym.threads import torch_threads
from mosim_gym.versions import environment_record


def train_in_rounds(
    env_id: str,
    algo: str = "sac",
    *,
    strategy: str | Strategy = "on_policy",
    real_steps: int,
    model: str | Preset | None = None,
    reality: gym.Env[Any, Any] | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    judgements: int = 8,
    curve_episodes: int = 5,
    final_episodes: int = 20,
    final_seed: int = 10_000,
    threads: int | None = 1,
    progress: bool = True,
) -> TrainResult:
    """Train an SB3 agent with few real steps and a model that is learned on the way.

    Args:
        env_id: such as "MoSim/cheetah-run-v0".
        algo: "sac" or "tqc".
        strategy: a name ("few_shot", "on_policy") or settings.
        real_steps: budget of steps in reality, those before the first fit included.
        model: what is learned, a preset or its name; "articulated" is told the geometry of the
            body. The strategy's own by default.
        reality: an environment that reports its states and observes as `env_id` does; true physics
            by default. It is closed at the end.
        out: run folder, by default ``runs/<task>-<algo>-<strategy>-seed<seed>``; new or empty.
        seed: of all.
        judgements: how often to judge in true physics during training; costs no real steps of the
            budget, and nothing is learned from it.
        curve_episodes: whole episodes a judgement of the curve.
        final_episodes: whole episodes of the final judgement.
        final_seed: episode i of it is the one of ``final_seed + i``.
        threads: as for `train_agent`.
        progress: show a progress bar.

    Raises:
        UnknownNameError: for an unknown environment, algorithm, strategy or preset.
        MosimError: if the budget does not reach beyond the first steps, the body has touch
            sensors, or the folder cannot be used.
    """
    row = find_env(env_id)
    algorithm = find_algorithm(algo)
    named = model.name if isinstance(model, Preset) else model
    turns = find_strategy(strategy, named) if isinstance(strategy, str) else strategy
    preset = model if isinstance(model, Preset) else _recipe(model or turns.model, row)
    _check(row, turns, real_steps, {"curve": curve_episodes, "final": final_episodes})
    name = f"{row.domain}-{row.task}-{algorithm}-{turns.name}-seed{seed}"
    folder = Path("runs") / name if out is None else Path(out)
    # A model of the physics step is taught by physics steps, where there are any to see.
    substeps = reality is None and preset.own_integrator and row.body.n_substeps > 1
    env = reality or gym.make(row.env_id, dynamics="mujoco", substeps=substeps)
    _check_reality(env, row)
    make_run_folder(folder)
    settings = {
        "env_id": row.env_id,
        "algorithm": algorithm.value,
        "seed": seed,
        "real_steps": real_steps,
        "strategy": asdict(turns),
        "model": preset.to_json(),
        "environment": environment_record(),
    }
    write_json(folder / "config.json", settings)
    real = Reality(env, folder / "real", policy=turns.name, seed=seed, substeps=substeps)
    try:
        buffer = RealReplayBuffer(real_steps, env.observation_space, env.action_space, "cpu")
        buffer.robot = real.robot
        refit = Refit(real.robot, preset, seed)
        if progress:
            print(f"{turns.first_steps} real steps under random actions, then the first fit ...")
        with torch_threads(threads):
            real.act(turns.first_steps, real.random_policy(), buffer)
            refit.learn(real.dataset(), turns.first_refit)
        world = {
            "dynamics": "learned",
            "checkpoint": str(save_model(folder / "model", refit, real.steps)),
            "state_info": False,
        }
        imagined = make_sb3_vec_env(
            row.env_id, n_envs=turns.agent.n_envs, seed=seed, horizon=turns.agent.horizon, **world
        )
        imagined.env_method("set_reset_source", _starts(turns, buffer))
        agent = _make_agent(algorithm, imagined, turns, buffer, seed, folder)
        engine = cast(MosimVecEnv, imagined.unwrapped).world.engine
        assert isinstance(engine, LearnedEngine)
        rounds = Rounds(real, refit, turns, real_steps, folder, engine.simulator)
        # One more than there are real steps for: the last model is learned in, too.
        n_rounds = 1 + -(-(real_steps - turns.first_steps) // turns.round_steps)
        return learn_and_judge(
            agent,
            imagined,
            Judges(row.env_id, world),
            folder,
            total=n_rounds * turns.vector_steps * turns.agent.n_envs,
            every=max(1, n_rounds * turns.round_updates // max(1, judgements)),
            real_steps=lambda: real.steps,
            curve_episodes=curve_episodes,
            final=(final_episodes, final_seed),
            threads=threads,
            label=f"{algorithm.value.upper()} {name}" if progress else None,
            callbacks=[rounds],
        )
    finally:
        real.close()


def _check(row: TaskRow, turns: Strategy, real_steps: int, episodes: dict[str, int]) -> None:
    """Raise if these numbers lead nowhere."""
    for what, count in episodes.items():
        if count < 1:
            raise MosimError(f"{what}_episodes is {count}; expected 1 or more.")
    if real_steps <= turns.first_steps:
        raise MosimError(
            f"real_steps is {real_steps}; expected more than the {turns.first_steps} steps that "
            f"{turns.name} takes before its first fit."
        )
    limit = row.max_episode_steps
    if limit is None or limit > turns.first_steps:
        raise MosimError(
            f"An episode of {row.env_id} takes {limit or 'unlimited'} steps, the first fit comes "
            f"after {turns.first_steps}; models learn from whole episodes. Give a strategy with "
            "larger first_steps."
        )


def _check_reality(env: gym.Env[Any, Any], row: TaskRow) -> None:
    """Raise if what is seen there is not what is imagined."""
    if env.has_wrapper_attr("robot") and env.get_wrapper_attr("robot").touch:
        raise MosimError(
            f"{row.env_id} observes touch sensors, which a model learned on the way does not tell "
            'yet. Fit one that does (mosim-gym learn) and train with strategy="zero_shot".'
        )
    ours = gym.make(row.env_id, dynamics="mujoco")
    try:
        for name in ("observation_space", "action_space"):
            given, expected = getattr(env, name), getattr(ours, name)
            if given != expected:
                raise MosimError(
                    f"The {name} of reality is {given}; expected that of {row.env_id}, {expected}: "
                    'observations in dm_control\'s own order (obs_order="native"), float32.'
                )
    finally:
        ours.close()


def _make_agent(
    algorithm: Algorithm,
    imagined: VecEnv,
    turns: Strategy,
    real: RealReplayBuffer,
    seed: int,
    folder: Path,
) -> OffPolicyAlgorithm:
    preset = turns.agent
    returns = {"n_steps": preset.n_steps, "gamma": preset.gamma}
    agent = algorithm.sb3_class(
        "MlpPolicy",
        imagined,
        seed=seed,
        tensorboard_log=str(folder / "tensorboard"),
        **preset.sb3_arguments()
        | {
            "replay_buffer_class": MixedReplayBuffer,
            "replay_buffer_kwargs": {"real": real, "real_ratio": turns.real_ratio, **returns},
        },
    )
    # What is saved with the agent: not all that was seen.
    agent.replay_buffer_class, agent.replay_buffer_kwargs = NStepReplayBuffer, returns
    return agent


def _recipe(model: str, row: TaskRow) -> Preset:
    """The preset of that name, told the geometry of the task's body where it wants to know."""
    preset = get_preset(model)
    if not preset.needs_geometry:
        return preset
    return preset.told(describe(model_of(row.domain, row.task)).to_json())


def _starts(turns: Strategy, buffer: RealReplayBuffer) -> ResetSource:
    """Where imagined episodes start."""
    seen = ReplayResets(RecentStates(buffer, turns.newest, turns.newest_share))
    if not turns.task_share:
        return seen
    return MixedResets({seen: 1 - turns.task_share, TaskResets(): turns.task_share})
