"""How far the futures of an ensemble's members have parted since they started together.

Disagreement about a single step says little of a rollout: small differences grow, in and after
contacts within a few steps. So the members go on from their own states, under the same actions.
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
    """Score: whitened distance of the members' own states from the model's, since the start.

    The root mean square, over members and over entries of qpos and qvel, of (member - model) /
    spread of that entry in the data; where a body is on the ground is left out. That is what
    `mosim_gym.evaluate.horizon` takes as the error of a rollout, with members for the truth.

    Attributes:
        ensemble: the members; the model is the first.
        scale: standard deviations in the data, as `state_scale` gives them.
    """

    def __init__(self, ensemble: Ensemble, scale: Tensor) -> None:
        """Share the ensemble of a `Disagreement`."""
        self.ensemble = ensemble
        first = ensemble.members[0]
        self.scale = scale.to(first.device, first.dtype)
        self._keep = measured_positions(ensemble.spec)

    def start(self, state: State) -> MemberStates:
        """All members at the same states."""
        k = len(self.ensemble)
        return MemberStates(**{n: v.expand(k, *v.shape).clone() for n, v in state.items()})

    def restart(self, members: MemberStates, rows: Tensor, state: State) -> MemberStates:
        """The members, those of `rows` (ints) at the rows of `state`."""
        fields = {}
        for name in FIELDS:
            value = getattr(members, name)
            if value is not None:
                fields[name] = value.clone()
                fields[name][:, rows] = getattr(state, name).to(value)
        return MemberStates(**fields)

    def of(self, members: MemberStates, state: State) -> Tensor:
        """Scores ``(batch,)`` of the members' states beside the model's."""
        apart = self._measured(members.qpos, members.qvel) - self._measured(state.qpos, state.qvel)
        score = (apart / self.scale).square().mean(2)
        # The model is a member, at no distance from itself.
        score = (score.sum(0) / max(len(members) - 1, 1)).sqrt()
        return torch.where(score.isfinite(), score, torch.inf)

    @torch.no_grad()
    def along(self, windows: Windows) -> Tensor:
        """Scores ``(N, T)`` after each step of rollouts from the starts of `windows`."""
        parts = []
        for first in range(0, len(windows), _CHUNK):
            rows = slice(first, first + _CHUNK)
            members = self.start(windows.start[rows].to(self.scale.dtype).to(self.scale.device))
            scores = []
            for t in range(windows.horizon):
                members = self.ensemble.step(members, windows.actions[rows, t])
                scores.append(self.of(members, members[0]))
            parts.append(torch.stack(scores, 1).double().cpu())
        return torch.cat(parts)

    def _measured(self, qpos: Tensor, qvel: Tensor) -> Tensor:
        return torch.cat([qpos[..., self._keep], qvel], -1)


def state_scale(state: State, spec: RobotSpec) -> Tensor:
    """Standard deviation of every measured entry of qpos and of qvel, never zero."""
    values = torch.cat([state.qpos[:, measured_positions(spec)], state.qvel], 1)
    return values.std(0).clamp(min=_SMALLEST)
