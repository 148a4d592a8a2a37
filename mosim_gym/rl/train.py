"""`train_agent`: one call from a model to an agent, with a folder that says how it went."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.files import write_json
from mosim_gym.registration import find_env
from mosim_gym.rl.callbacks import CurvePoint, JudgeCallback, ProgressCallback, save_agent
from mosim_gym.rl.evaluate import Agent, evaluate_agent, true_starts
from mosim_gym.rl.presets import AgentPreset, find_algorithm, preset_for
from mosim_gym.threads import torch_threads
from mosim_gym.types import Float64Array
from mosim_gym.versions import environment_record

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

#: Episodes of the curve start from other seeds than those of the final judgement.
CURVE_SEED = 20_000


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run led to.

    Attributes:
        agent: the agent after the last update (not the best seen).
        folder: where everything was written.
        steps: environment steps trained on.
        real_steps: how many of them were in true physics; 0 for zero-shot.
        updates: gradient updates.
        seconds: wall time of training, the judgements of the curve included.
        returns_real: of the final judgement in true physics, ``(episodes,)``.
        returns_model: the same in the environment trained on, from the same starts.
        curve: the judgements during training.
        interrupted: whether Ctrl-C ended it early.
    """

    agent: OffPolicyAlgorithm
    folder: Path
    steps: int
    real_steps: int
    updates: int
    seconds: float
    returns_real: Float64Array
    returns_model: Float64Array
    curve: tuple[CurvePoint, ...]
    interrupted: bool


def train_agent(
    env_id: str,
    algo: str = "sac",
    *,
    out: str | Path | None = None,
    updates: int | None = None,
    seed: int = 0,
    dynamics: str = "learned",
    checkpoint: str | None = None,
    preset: AgentPreset | None = None,
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
        algo: "sac" or "tqc".
        out: run folder, by default ``runs/<task>-<algo>-<dynamics>-seed<seed>``; must be new or
            empty.
        updates: gradient updates; the preset's by default.
        seed: of agent and environment.
        dynamics: what to train on, "learned" or "mujoco".
        checkpoint: the model; the task's own by default.
        preset: settings; by default those of the algorithm, as the task wants them.
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
    env = make_sb3_vec_env(
        row.env_id, n_envs=settings.n_envs, seed=seed, horizon=settings.horizon, **world
    )
    judges = _Judges(row.env_id, world)
    _make_folder(folder)
    agent = algorithm.sb3_class(
        "MlpPolicy",
        env,
        seed=seed,
        tensorboard_log=str(folder / "tensorboard"),
        **settings.sb3_arguments(),
    )
    total = settings.total_timesteps(updates)
    record = {
        "env_id": row.env_id,
        "algorithm": algorithm.value,
        "seed": seed,
        "updates": updates,
        "total_timesteps": total,
        "preset": asdict(settings),
        **world,
        "environment": environment_record(),
    }
    write_json(folder / "config.json", record)
    judge = JudgeCallback(
        folder,
        max(1, updates // max(1, judgements)),
        lambda agent: judges.both(agent, curve_episodes, CURVE_SEED),
    )
    callbacks: list[Any] = [judge]
    if progress:
        callbacks.append(ProgressCallback(total, judge.curve, f"{algorithm.value.upper()} {name}"))
    start = time.perf_counter()
    interrupted = False
    with torch_threads(threads):
        try:
            # SB3's own log would come once an episode; the judge writes the log instead.
            agent.learn(total, callback=callbacks, log_interval=total)
        except KeyboardInterrupt:
            interrupted = True
            if progress:
                callbacks[-1].close()
        finally:
            env.close()
        seconds = time.perf_counter() - start
        save_agent(agent, folder / "agent.zip")
        real, model = judges.both(agent, final_episodes, final_seed)
    result = TrainResult(
        agent=agent,
        folder=folder,
        steps=agent.num_timesteps,
        real_steps=agent.num_timesteps if dynamics == "mujoco" else 0,
        updates=agent._n_updates,
        seconds=seconds,
        returns_real=real,
        returns_model=model,
        curve=tuple(judge.curve),
        interrupted=interrupted,
    )
    write_json(folder / "result.json", _summary(result))
    return result


@dataclass(frozen=True, slots=True)
class _Judges:
    """Judges an agent in reality, and in the environment trained on from the same states."""

    env_id: str
    world: dict[str, Any]

    def both(self, agent: Agent, episodes: int, seed: int) -> tuple[Float64Array, Float64Array]:
        """Returns in reality and in the environment trained on, ``(episodes,)`` each."""
        real = evaluate_agent(agent, self.env_id, episodes=episodes, seed=seed, dynamics="mujoco")
        starts = true_starts(self.env_id, episodes=episodes, seed=seed)
        model = evaluate_agent(
            agent, self.env_id, episodes=episodes, seed=seed, starts=starts, **self.world
        )
        return real, model


def _summary(result: TrainResult) -> dict[str, Any]:
    return {
        "steps": result.steps,
        "real_steps": result.real_steps,
        "updates": result.updates,
        "seconds": round(result.seconds, 1),
        "return_real_mean": float(result.returns_real.mean()),
        "return_model_mean": float(result.returns_model.mean()),
        "returns_real": result.returns_real.tolist(),
        "returns_model": result.returns_model.tolist(),
        "interrupted": result.interrupted,
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise MosimError(
                f"The run folder {folder} is not empty. Give another with out= (--out), or remove "
                "it; runs are never overwritten."
            )
        probe = folder / "config.json.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MosimError(
            f"Cannot write to {folder}: {error}. Choose another with --out."
        ) from error
