"""What all ways to train have in common: an agent learns and is judged, and leaves a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from mosim_gym.envs.pending import PendingActions
from mosim_gym.errors import MosimError
from mosim_gym.files import write_json
from mosim_gym.rl.callbacks import CurvePoint, JudgeCallback, ProgressCallback, save_agent
from mosim_gym.rl.evaluate import Agent, evaluate_agent, evaluate_in, true_starts
from mosim_gym.rl.result import Round, TrainResult, summary
from mosim_gym.threads import torch_threads
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

#: Episodes of the curve start from other seeds than those of the final judgement.
CURVE_SEED = 20_000


def learn_and_judge(
    agent: OffPolicyAlgorithm,
    env: VecEnv,
    judges: Judges,
    folder: Path,
    *,
    total: int,
    every: int,
    real_steps: Callable[[], int],
    separate: bool,
    curve_episodes: int,
    final: tuple[int, int],
    threads: int | None,
    label: str | None,
    since: float,
    callbacks: Sequence[BaseCallback] = (),
    curve: list[CurvePoint] | None = None,
    rounds: Sequence[Round] = (),
    save: Callable[[], None] | None = None,
) -> TrainResult:
    """Let an agent learn in the environment it was made with, judge it, write what it led to.

    Args:
        agent: of SB3.
        env: is closed.
        judges: of the curve and at the end.
        folder: of the run.
        total: environment steps.
        every: updates between judgements of the curve.
        real_steps: how many there are so far.
        separate: whether those come besides the environment's steps.
        curve_episodes: whole episodes a judgement of the curve.
        final: whole episodes of the final judgement, and its seed.
        threads: of torch; ``None`` for as many as it has now.
        label: of the progress bar; ``None`` for none.
        since: when the run began, by `time.perf_counter`; earlier, if it goes on.
        callbacks: further ones, called first.
        curve: judgements so far, of an agent that goes on; new ones are added.
        rounds: of real steps so far, to show.
        save: called after each judgement of the curve.
    """
    curve = [] if curve is None else curve
    judge = JudgeCallback(
        folder,
        every,
        lambda agent: judges.both(agent, curve_episodes, CURVE_SEED),
        real_steps,
        curve,
        since,
        save,
    )
    called: list[Any] = [*callbacks, judge]
    if label is not None:
        called.append(ProgressCallback(total, judge.curve, label, rounds))
    interrupted = False
    with torch_threads(threads):
        try:
            # SB3's own log would come once an episode; the judge writes the log instead.
            agent.learn(
                total - agent.num_timesteps,
                callback=called,
                log_interval=total,
                reset_num_timesteps=agent.num_timesteps == 0,
            )
        except KeyboardInterrupt:
            interrupted = True
            if label is not None:
                called[-1].close()
        finally:
            env.close()
        seconds = time.perf_counter() - since
        save_agent(agent, folder / "agent.zip")
        if interrupted and judges.reality is not None:
            # Whoever stops a robot does not want it to go on for another judgement.
            last = judge.curve[-1:]
            real = np.array([point.return_real for point in last])
            model = np.array([point.return_model for point in last])
        else:
            real, model = judges.both(agent, *final)
    besides = real_steps() if separate else 0
    result = TrainResult(
        agent=agent,
        folder=folder,
        steps=agent.num_timesteps + besides,
        real_steps=real_steps(),
        updates=agent._n_updates,
        seconds=seconds,
        returns_real=real,
        returns_model=model,
        curve=tuple(judge.curve),
        interrupted=interrupted,
    )
    write_json(folder / "result.json", summary(result))
    return result


@dataclass(frozen=True, slots=True)
class Judges:
    """Judges an agent in reality, and in the environment trained on from the same states.

    Attributes:
        env_id: of the task.
        world: options of the environment trained on. ``action_delay`` and ``observe_pending`` are
            true physics' as well; a given reality is late of itself.
        reality: makes an environment to judge in that is another than true physics of the task;
            its starts are its own.
    """

    env_id: str
    world: dict[str, Any]
    reality: Callable[[], gym.Env[Any, Any]] | None = None

    def both(self, agent: Agent, episodes: int, seed: int) -> tuple[Float64Array, Float64Array]:
        """Returns in reality and in the environment trained on, ``(episodes,)`` each."""
        starts = true_starts(self.env_id, episodes=episodes, seed=seed)
        model = evaluate_agent(
            agent, self.env_id, episodes=episodes, seed=seed, starts=starts, **self.world
        )
        return self._real(agent, episodes, seed), model

    def _real(self, agent: Agent, episodes: int, seed: int) -> Float64Array:
        delay, told = self.world.get("action_delay", 0), self.world.get("observe_pending", False)
        if self.reality is None:
            return evaluate_agent(
                agent,
                self.env_id,
                episodes=episodes,
                seed=seed,
                dynamics="mujoco",
                action_delay=delay,
                observe_pending=told,
            )
        env = self.reality()
        if told:
            env = PendingActions(env, delay)
        try:
            return evaluate_in(agent, env, episodes=episodes, seed=seed)
        finally:
            env.close()


def make_run_folder(folder: Path) -> None:
    """Make the folder of a run.

    Raises:
        MosimError: if it is not empty or cannot be written.
    """
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
