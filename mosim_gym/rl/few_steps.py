"""`train_in_rounds`: an agent, a model and few real steps, in turns.

The agent is SB3's, unmodified: it learns in the model as in any environment, and a callback
(`mosim_gym.rl.rounds`) does the rest. After the last imagined step of a round the agent acts in
reality, the model learns from what was seen, and the next imagined episodes start from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import gymnasium as gym

from mosim_gym.articulated.description import describe
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.sb3 import MosimVecEnv, make_sb3_vec_env
from mosim_gym.files import write_json
from mosim_gym.fit.presets import Preset, get_preset
from mosim_gym.registration import TaskRow, find_env
from mosim_gym.rl.callbacks import CurvePoint
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.imagination import make_agent, starts
from mosim_gym.rl.learning import Judges, learn_and_judge, make_run_folder
from mosim_gym.rl.mixed_buffer import RealReplayBuffer
from mosim_gym.rl.presets import find_algorithm
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.refusals import check_numbers, check_reality, check_same_run
from mosim_gym.rl.result import Round, TrainResult
from mosim_gym.rl.rounds import Rounds
from mosim_gym.rl.run_state import RunState
from mosim_gym.rl.strategies import Strategy, find_strategy
from mosim_gym.tasks.mujoco import model_of
from mosim_gym.threads import torch_threads
from mosim_gym.versions import environment_record

#: Imagined rows of a run that goes on start from other draws than before.
_SEED_STRIDE = 1_000_003


def train_in_rounds(
    env_id: str,
    algo: str = "sac",
    *,
    strategy: str | Strategy = "on_policy",
    real_steps: int,
    model: str | Preset | None = None,
    dynamics: str = "learned",
    reality: Callable[[], gym.Env[Any, Any]] | None = None,
    action_delay: int | None = 0,
    out: str | Path | None = None,
    resume: bool = False,
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
        dynamics: "learned", or "mujoco" to imagine in true physics: the same rounds with a perfect
            model, to compare with. What is imagined is then no step of the budget.
        reality: makes environments that report their states and observe as `env_id` does: one to
            act in, others to judge in, which costs none of the budget. True physics by default.
        action_delay: control steps that actions take to arrive in reality, and so in the model;
            ``None`` to find out in the first data (`mosim_gym.data.delay`).
        out: run folder, by default ``runs/<task>-<algo>-<strategy>-seed<seed>``; new or empty,
            unless resumed.
        resume: go on with the unfinished run in the folder, from the end of its last round; a new
            one if there is none. Imagined and real episodes begin anew there.
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
    turns = (
        find_strategy(strategy, named, row.name, algorithm)
        if isinstance(strategy, str)
        else strategy
    )
    preset = model if isinstance(model, Preset) else _recipe(model or turns.model, row)
    episodes = {"curve": curve_episodes, "final": final_episodes}
    check_numbers(row, turns, real_steps, episodes, dynamics)
    suffix = "" if dynamics == "learned" else f"-{dynamics}"
    name = f"{row.domain}-{row.task}-{algorithm}-{turns.name}{suffix}-seed{seed}"
    folder = Path("runs") / name if out is None else Path(out)
    # A model of the physics step is taught by physics steps, where there are any to see.
    substeps = reality is None and preset.own_integrator and row.body.n_substeps > 1
    if reality is None:
        env = gym.make(row.env_id, dynamics="mujoco", substeps=substeps)
    else:
        env = reality()
    check_reality(env, row)
    settings = {
        "env_id": row.env_id,
        "algorithm": algorithm.value,
        "seed": seed,
        "real_steps": real_steps,
        "strategy": asdict(turns),
        "dynamics": dynamics,
        "model": preset.to_json(),
        "action_delay": action_delay,
        "environment": environment_record(),
    }
    run = RunState(folder)
    saved = None
    if resume and run.file.exists():
        check_same_run(folder / "config.json", settings)
        saved = run.read()
    else:
        make_run_folder(folder)
        write_json(folder / "config.json", settings)
    real = Reality(env, folder / "real", policy=turns.name, seed=seed, substeps=substeps)
    try:
        buffer = RealReplayBuffer(real_steps, env.observation_space, env.action_space, "cpu")
        buffer.robot = real.robot
        growing = None
        if dynamics == "learned":
            growing = GrowingModel(real.robot, preset, turns, seed, folder, action_delay)
        with torch_threads(threads):
            if saved is None:
                _begin(real, growing, turns, buffer, progress)
            else:
                _go_on(real, growing, buffer, folder, saved)
        world: dict[str, Any] = {"dynamics": dynamics, "state_info": False}
        world["action_delay"] = action_delay or 0
        if growing is not None:
            world |= {"checkpoint": str(growing.path), "action_delay": growing.action_delay}
        rounds = [] if saved is None else [Round(**row) for row in saved["rounds"]]
        curve = [] if saved is None else [CurvePoint(**point) for point in saved["curve"]]
        imagined = make_sb3_vec_env(
            row.env_id,
            n_envs=turns.agent.n_envs,
            seed=seed + _SEED_STRIDE * len(rounds),
            horizon=turns.agent.horizon,
            **world,
        )
        imagined.env_method("set_reset_source", starts(turns, buffer))
        agent = make_agent(algorithm, imagined, turns, buffer, seed, folder)
        if saved is not None:
            run.restore(saved, agent)
        if growing is not None:
            engine = cast(MosimVecEnv, imagined.unwrapped).world.engine
            assert isinstance(engine, LearnedEngine)
            growing.attach(engine.simulator)

        def save() -> None:
            run.write(agent, real, growing, rounds, curve)

        callback = Rounds(real, turns, real_steps, folder, growing, save, rounds)
        vector_steps = turns.rounds(real_steps) * turns.steps_a_round(real_steps)
        return learn_and_judge(
            agent,
            imagined,
            Judges(row.env_id, world, reality),
            folder,
            total=vector_steps * turns.agent.n_envs,
            every=max(1, vector_steps * turns.agent.gradient_steps // max(1, judgements)),
            real_steps=lambda: real.steps,
            separate=True,
            curve_episodes=curve_episodes,
            final=(final_episodes, final_seed),
            threads=threads,
            label=f"{algorithm.value.upper()} {name}" if progress else None,
            callbacks=[callback],
            curve=curve,
        )
    finally:
        real.close()


def _begin(
    real: Reality,
    growing: GrowingModel | None,
    turns: Strategy,
    buffer: RealReplayBuffer,
    progress: bool,
) -> None:
    """The first real steps, and the first fit."""
    if progress:
        print(f"{turns.first_steps} real steps under random actions, then the first fit ...")
    real.act(turns.first_steps, real.random_policy(), buffer)
    if growing is not None:
        growing.begin(real.dataset(), real.steps)


def _go_on(
    real: Reality,
    growing: GrowingModel | None,
    buffer: RealReplayBuffer,
    folder: Path,
    saved: dict[str, Any],
) -> None:
    """Be where a run was when it was last written."""
    buffer.load(folder / saved["real"])
    real.go_on(**saved["reality"])
    if growing is not None:
        growing.go_on(saved["model"], real.steps)


def _recipe(model: str, row: TaskRow) -> Preset:
    """The preset of that name, told the geometry of the task's body where it wants to know."""
    preset = get_preset(model)
    if preset.model.predictor != "articulated":
        return preset
    return preset.told(describe(model_of(row.domain, row.task)).to_json())
