"""A small strategy for tests: a pendulum, learned to rounding from the first steps on."""

from __future__ import annotations

from typing import Any

from mosim_gym.rl.presets import AgentPreset
from mosim_gym.rl.strategies import Strategy

ENV_ID = "MoSim/pendulum-swingup-v0"
#: Arguments of a run that is judged as little as may be.
BRIEFLY: dict[str, Any] = {
    "judgements": 1,
    "curve_episodes": 1,
    "final_episodes": 1,
    "progress": False,
}
TURNS = Strategy(
    "tiny",
    "lagrangian",
    AgentPreset(
        n_envs=8, horizon=20, gradient_steps=2, learning_starts=0, n_steps=1, net_arch=(8,)
    ),
    first_steps=2_000,
    round_steps=1_000,
    first_refit=25,
    refit=2,
    vector_steps=10,
    task_share=0.25,
)
