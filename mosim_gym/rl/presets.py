"""How agents are trained, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from mosim_gym.errors import unknown_name


class Algorithm(StrEnum):
    """The agents there are presets for."""

    SAC = "sac"
    TQC = "tqc"

    @property
    def sb3_class(self) -> type[OffPolicyAlgorithm]:
        """The SB3 (or sb3-contrib) class."""
        if self is Algorithm.SAC:
            from stable_baselines3 import SAC

            return SAC
        from sb3_contrib import TQC

        return TQC


@dataclass(frozen=True, slots=True)
class AgentPreset:
    """Settings of one training run.

    A model steps thousands of rows for the price of one, so learning is the bottleneck: many rows,
    several updates a vector step, and short episodes for the variety of their starts (a truncated
    episode is bootstrapped, so its length does not change what is optimal).

    Attributes:
        n_envs: rows stepped together.
        horizon: steps after which a row starts anew.
        gradient_steps: updates a vector step.
        learning_starts: environment steps before the first update.
        updates: the default budget in updates; see `total_timesteps`.
        buffer_size: transitions kept.
        hyperparameters: further arguments of the SB3 class.
    """

    n_envs: int = 64
    horizon: int = 100
    gradient_steps: int = 16
    learning_starts: int = 6_400
    updates: int = 20_000
    buffer_size: int = 300_000
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    def total_timesteps(self, updates: int) -> int:
        """Environment steps that lead to so many updates."""
        vector_steps = -(-updates // self.gradient_steps)
        return self.learning_starts + vector_steps * self.n_envs


PRESETS: dict[Algorithm, AgentPreset] = {
    Algorithm.SAC: AgentPreset(),
    Algorithm.TQC: AgentPreset(),
}


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        UnknownNameError: naming those there are.
    """
    try:
        return Algorithm(name.lower())
    except ValueError:
        raise unknown_name("algorithm", name, [member.value for member in Algorithm]) from None
