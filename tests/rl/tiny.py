"""Training runs of seconds."""

from __future__ import annotations

from pathlib import Path

from mosim_gym import train_agent
from mosim_gym.rl.presets import AgentPreset
from mosim_gym.rl.result import TrainResult

ENV_ID = "MoSim/reacher-easy-v0"
TINY = AgentPreset(
    n_envs=8, horizon=20, gradient_steps=2, learning_starts=80, updates=20, net_arch=(16, 16)
)


def run(
    out: Path,
    algo: str = "sac",
    dynamics: str = "learned",
    seed: int = 3,
    resume: bool = False,
) -> TrainResult:
    return train_agent(
        ENV_ID,
        algo,
        out=out,
        resume=resume,
        seed=seed,
        dynamics=dynamics,
        preset=TINY,
        judgements=2,
        curve_episodes=1,
        final_episodes=2,
        progress=False,
    )
