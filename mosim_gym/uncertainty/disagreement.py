"""How far the members of an ensemble part in one control step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mosim_gym.dynamics.ensemble import Ensemble, MemberStates
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.types import State

_SMALLEST = 1e-6


class Disagreement:
    """Score: standard deviation over members of what velocities gain in a step, whitened.

    The root mean square over degrees of freedom of (standard deviation over members / spread of
    the gain in the data). Infinite where a member's step is not finite.

    Attributes:
        ensemble: the members.
        scale: standard deviation of each velocity's gain in a control step of the data, ``(nv,)``.
    """

    def __init__(self, members: Sequence[Simulator], scale: Tensor) -> None:
        """Stack the members."""
        self.ensemble = Ensemble(members)
        self.scale = scale.to(members[0].device, members[0].dtype)

    def __call__(self, state: State, action: Tensor) -> Tensor:
        """Scores ``(batch,)``; one batched call of all members."""
        return self.of(self.ensemble.step(state, action))

    def of(self, arrived: MemberStates) -> Tensor:
        """Scores ``(batch,)`` of a step that was taken."""
        # From the first member on: members that agree have a spread of zero to the last bit.
        spread = (arrived.qvel - arrived.qvel[0]).std(0, correction=0)
        score = (spread / self.scale).square().mean(1).sqrt()
        return torch.where(score.isfinite(), score, torch.inf)


def increment_scale(before: State, after: State) -> Tensor:
    """Standard deviation of each velocity's gain between states, ``(nv,)``; never zero."""
    return (after.qvel - before.qvel).std(0).clamp(min=_SMALLEST)
