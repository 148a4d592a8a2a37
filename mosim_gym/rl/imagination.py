"""Where imagined episodes start, and an agent that learns from them and from what was seen."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from mosim_gym.envs.resets import MixedResets, ReplayResets, ResetSource, TaskResets
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer, RealReplayBuffer
from mosim_gym.rl.reality import RecentStates
from mosim_gym.rl.strategies import Strategy


def starts(turns: Strategy, buffer: RealReplayBuffer) -> ResetSource:
    """Where imagined episodes start: states seen, the task's own, and any if the agent asks."""
    return turns.agent.starts(_seen_starts(turns, buffer))


def _seen_starts(turns: Strategy, buffer: RealReplayBuffer) -> ResetSource:
    if turns.task_share >= 1:
        return TaskResets()
    seen = ReplayResets(RecentStates(buffer, turns.newest, turns.newest_share))
    if not turns.task_share:
        return seen
    return MixedResets({seen: 1 - turns.task_share, TaskResets(): turns.task_share})


def make_agent(
    algorithm: Algorithm,
    imagined: VecEnv,
    turns: Strategy,
    real: RealReplayBuffer,
    seed: int,
    folder: Path,
) -> OffPolicyAlgorithm:
    """An agent of SB3 whose batches hold some of `real`."""
    preset = turns.agent
    returns = {"n_steps": preset.n_steps, "gamma": preset.gamma}
    agent = algorithm.sb3_class(
        "MlpPolicy",
        imagined,
        seed=seed,
        tensorboard_log=str(folder / "tensorboard"),
        **preset.sb3_arguments(algorithm, real.action_dim)
        | {
            "replay_buffer_class": MixedReplayBuffer,
            "replay_buffer_kwargs": {"real": real, "real_ratio": turns.real_ratio, **returns},
        },
    )
    # What is saved with the agent: not all that was seen.
    agent.replay_buffer_class, agent.replay_buffer_kwargs = NStepReplayBuffer, returns
    return agent
