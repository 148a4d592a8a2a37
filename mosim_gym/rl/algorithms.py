"""The agents there are settings for: unmodified classes of SB3 and sb3-contrib."""

from __future__ import annotations

from enum import StrEnum

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from mosim_gym.errors import enum_member


class Algorithm(StrEnum):
    """An off-policy agent."""

    SAC = "sac"
    TQC = "tqc"
    TD3 = "td3"

    @property
    def sb3_class(self) -> type[OffPolicyAlgorithm]:
        """The SB3 (or sb3-contrib) class."""
        if self is Algorithm.TQC:
            from sb3_contrib import TQC

            return TQC
        from stable_baselines3 import SAC, TD3

        return SAC if self is Algorithm.SAC else TD3

    @property
    def explores(self) -> bool:
        """Whether its policy is random by itself, kept so by an entropy bonus."""
        return self is not Algorithm.TD3


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        UnknownNameError: naming those there are.
    """
    return enum_member(Algorithm, "algorithm", name.lower())
