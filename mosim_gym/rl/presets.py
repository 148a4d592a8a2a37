"""How agents are trained, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import LinearSchedule

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

    A model steps hundreds of rows for the price of one, so learning is the bottleneck: many rows,
    several updates a vector step, and short episodes for the variety of their starts (a truncated
    episode is bootstrapped, so its length does not change what is optimal). What each setting was
    chosen against is in ``docs/results.md``.

    Attributes:
        n_envs: rows stepped together.
        horizon: steps after which a row starts anew.
        gradient_steps: updates a vector step.
        learning_starts: environment steps before the first update.
        updates: the default budget in updates; see `total_timesteps`.
        buffer_size: transitions kept.
        learning_rate: at the start; falls linearly to 0 over the run.
        tau: share of the target networks renewed an update.
        n_steps: of the returns; sparse rewards spread faster through more than one.
        gamma: discount a control step.
        net_arch: hidden layers of actor and critics.
        policy_kwargs: further arguments of the SB3 policy.
    """

    n_envs: int = 256
    horizon: int = 100
    gradient_steps: int = 16
    learning_starts: int = 12_800
    updates: int = 20_000
    buffer_size: int = 400_000
    learning_rate: float = 1e-3
    tau: float = 0.01
    n_steps: int = 3
    gamma: float = 0.99
    net_arch: tuple[int, ...] = (128, 128)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)

    def total_timesteps(self, updates: int) -> int:
        """Environment steps that lead to so many updates."""
        vector_steps = -(-updates // self.gradient_steps)
        return self.learning_starts + vector_steps * self.n_envs

    def sb3_arguments(self) -> dict[str, Any]:
        """Arguments of the SB3 class, besides policy, environment, seed and log."""
        return {
            "learning_rate": LinearSchedule(self.learning_rate, 0.0, 1.0),
            "buffer_size": self.buffer_size,
            "learning_starts": self.learning_starts,
            "train_freq": 1,
            "gradient_steps": self.gradient_steps,
            "tau": self.tau,
            "gamma": self.gamma,
            "n_steps": self.n_steps,
            "policy_kwargs": {"net_arch": list(self.net_arch), **self.policy_kwargs},
        }


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
