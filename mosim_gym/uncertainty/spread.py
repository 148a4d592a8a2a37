"""How far the futures of an ensemble's members have parted since they started together.

Disagreement about a single step says little of a rollout: small differences grow, in and after
contacts within a few steps. So the members go on from their own states, under the same actions.
Far from the data some are lost where the model is right, so that no single one says much.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.dynamics.ensemble import Ensemble, MemberStates
from mosim_gym.evaluate.horizon import measured_positions
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import FIELDS, State

_SMALLEST = 1e-6
_CHUNK = 1024


class Spread:
    """Score: how far the members are away from the model, each counted as 1 at most.

    A member's distance is the root mean square, over entries of qpos and qvel, of (member - model)
    / standard deviation in the data; where a body is on the ground is left out. That is what
    `mosim_gym.evaluate.horizon` takes as the error of a rollout, with the member for the truth.

    A member that is more than a standard deviation away is lost, and how far it went says nothing
    of the model: ``d -> (1 + d ** -4) ** -0.25`` is nearly d below and nearly 1 above. The score is
    the root mean square of that over the members besides the model; infinite where a distance is.

    Attributes:
        ensemble: the members.
        scale: standard deviations in the data, as `state_scale` gives them.
    """

    def __init__(self, ensemble: Ensemble, scale: Tensor) -> None:
        """Whiten by `scale`."""
        self.ensemble = ensemble
        first = ensemble.members[0]
        self.scale = scale.to(first.device, first.dtype)
        self._keep = measured_positions(ensemble.spec)

    def start(self, state: State) -> MemberStates:
        """All members at the same states, in agreement."""
        k = len(self.ensemble)
        return MemberStates(**{name: v.expand(k, *v.shape) for name, v in state.items()})

    def restart(self, futures: MemberStates, rows: Tensor, state: State) -> MemberStates:
        """The same, but for `rows` (ints) that start anew at the rows of `state`."""
        fields = {}
        for name in FIELDS:
            value = getattr(futures, name)
            if value is not None:
                fields[name] = value.clone()
                fields[name][:, rows] = getattr(state, name).to(value)
        return MemberStates(**fields)

    def of(self, futures: MemberStates, state: State) -> Tensor:
        """Scores ``(batch,)`` of the futures beside the model's state."""
        distances = self.distances(futures, state)
        bounded = (1 + distances**-4) ** -0.25
        # The model is a member, at no distance from itself.
        others = max(len(bounded) - 1, 1)
        score = (bounded.square().sum(0) / others).sqrt()
        return torch.where(distances.isfinite().all(0), score, torch.inf)

    def distances(self, futures: MemberStates, state: State) -> Tensor:
        """How far each member is away, ``(members, batch)``."""
        apart = self._measured(futures.qpos, futures.qvel) - self._measured(state.qpos, state.qvel)
        return (apart / self.scale).square().mean(2).sqrt()

    @torch.no_grad()
    def along(self, windows: Windows) -> Tensor:
        """Scores ``(N, T)`` after each step of the first member's rollouts from `windows`."""
        parts = []
        for first in range(0, len(windows), _CHUNK):
            rows = slice(first, first + _CHUNK)
            futures = self.start(windows.start[rows].to(self.scale.dtype).to(self.scale.device))
            scores = []
            for t in range(windows.horizon):
                futures = self.ensemble.step(futures, windows.actions[rows, t])
                scores.append(self.of(futures, futures[0]))
            parts.append(torch.stack(scores, 1).double().cpu())
        return torch.cat(parts)

    def _measured(self, qpos: Tensor, qvel: Tensor) -> Tensor:
        return torch.cat([qpos[..., self._keep], qvel], -1)


def state_scale(state: State, spec: RobotSpec) -> Tensor:
    """Standard deviation of every measured entry of qpos and of qvel, never zero."""
    values = torch.cat([state.qpos[:, measured_positions(spec)], state.qvel], 1)
    return values.std(0).clamp(min=_SMALLEST)
