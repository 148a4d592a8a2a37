"""Update rules: what is learned from the returns of the sequences that were tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.planning.rollout import WORST
from mosim_gym.planning.sampling import Proposal


class Rule(Protocol):
    """From what was tried and what came of it to what to try next."""

    def update(self, proposal: Proposal, actions: Tensor, returns: Tensor) -> Proposal:
        """The next proposal.

        Args:
            proposal: that the actions were drawn from.
            actions: ``(plans, samples, horizon, nu)``.
            returns: ``(plans, samples)``, finite.
        """
        ...


@dataclass(frozen=True, slots=True)
class Mppi:
    """Model predictive path integral control (Williams et al., 2017, arXiv 1509.01149).

    The mean becomes that of all sequences, weighted by ``exp(return / temperature)``.

    Attributes:
        temperature: in standard deviations of the returns of a plan; low is greedy. Returns differ
            by orders of magnitude between tasks, and on one task between far from and at the goal.
    """

    temperature: float = 0.05

    def __post_init__(self) -> None:
        """Check the temperature."""
        if not self.temperature > 0:
            raise MosimError(f"Mppi.temperature is {self.temperature}; expected more than 0.")

    def update(self, proposal: Proposal, actions: Tensor, returns: Tensor) -> Proposal:
        """See `Rule`."""
        spread = _spread(returns)
        best = returns.amax(1, keepdim=True)
        weights = torch.softmax((returns - best) / (self.temperature * spread), 1)
        return proposal._replace(mean=torch.einsum("ps,pstu->ptu", weights, actions))


@dataclass(frozen=True, slots=True)
class Cem:
    """The cross-entropy method (Rubinstein, 1999): mean and spread become those of the best.

    Attributes:
        elites: share of the sequences that count as the best.
        memory: how much of the last mean and spread stays, 0 for nothing.
    """

    elites: float = 0.1
    memory: float = 0.1

    def __post_init__(self) -> None:
        """Check the shares."""
        if not (0 < self.elites <= 1 and 0 <= self.memory < 1):
            raise MosimError(
                f"Cem has elites={self.elites} and memory={self.memory}; expected shares, "
                "elites above 0 and memory below 1."
            )

    def update(self, proposal: Proposal, actions: Tensor, returns: Tensor) -> Proposal:
        """See `Rule`."""
        count = max(2, round(self.elites * returns.shape[1]))
        best = returns.topk(count, 1).indices
        chosen = actions.gather(1, best[:, :, None, None].expand(-1, -1, *actions.shape[2:]))
        mean = chosen.mean(1).lerp(proposal.mean, self.memory)
        std = chosen.std(1, correction=0).lerp(proposal.std, self.memory)
        return Proposal(mean, std)


def _spread(returns: Tensor) -> Tensor:
    """Standard deviation of the returns of each plan that are not of diverged rows, above 0."""
    counted = returns > WORST / 2
    count = counted.sum(1, keepdim=True).clamp(min=1)
    mean = torch.where(counted, returns, 0.0).sum(1, keepdim=True) / count
    square = torch.where(counted, returns - mean, 0.0).square().sum(1, keepdim=True) / count
    return square.sqrt().clamp(min=1e-6)
