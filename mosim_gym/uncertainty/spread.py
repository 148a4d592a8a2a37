"""How far the futures of an ensemble's members have parted since they started together.

Disagreement about a single step says little of a rollout: small differences grow, in and after
contacts within a few steps. So the members go on from their own states, under the same actions.
They may all be lucky, or part for what the model itself avoids: what they disagreed on along the
model's own way counts a little, too. The two together catch more than either (`benchmarks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.dynamics.ensemble import MemberStates
from mosim_gym.evaluate.horizon import measured_positions
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import FIELDS, State
from mosim_gym.uncertainty.disagreement import Disagreement

#: How much the disagreements count in the geometric mean. A half catches as much of a shift that no
#: data is of, and far less of the single contacts that errors come from where the data is alike.
DISAGREED = 0.25
_SMALLEST = 1e-6
_CHUNK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Futures:
    """Where the members are that started where a model did.

    Attributes:
        members: their states.
        disagreed: sum of the disagreements about the model's own steps so far, ``(batch,)``.
    """

    members: MemberStates
    disagreed: Tensor


class Spread:
    """Score: how far the members are away, and a little what they disagreed on so far.

    Their geometric mean, with weights ``1 - DISAGREED`` and `DISAGREED`.

    How far: the root mean square, over members and over entries of qpos and qvel, of (member -
    model) / standard deviation in the data; where a body is on the ground is left out. That is
    what `mosim_gym.evaluate.horizon` takes as the error of a rollout, with members for the truth.

    Attributes:
        scale: standard deviations in the data, as `state_scale` gives them.
    """

    def __init__(self, disagreement: Disagreement, scale: Tensor) -> None:
        """Share the ensemble of a `Disagreement`."""
        self._disagreement = disagreement
        self.ensemble = disagreement.ensemble
        first = self.ensemble.members[0]
        self.scale = scale.to(first.device, first.dtype)
        self._keep = measured_positions(self.ensemble.spec)

    def start(self, state: State) -> Futures:
        """All members at the same states, in agreement."""
        return Futures(self._alike(state), torch.zeros_like(state.qvel[:, 0]))

    def restart(self, futures: Futures, rows: Tensor, state: State) -> Futures:
        """The same, but for `rows` (ints) that start anew at the rows of `state`."""
        fields = {}
        for name, value in _fields(futures.members).items():
            fields[name] = value.clone()
            fields[name][:, rows] = getattr(state, name).to(value)
        disagreed = futures.disagreed.clone()
        disagreed[rows] = 0.0
        return Futures(MemberStates(**fields), disagreed)

    def step(self, futures: Futures, state: State, action: Tensor) -> Futures:
        """One control step of all members from their own states, and from the model's `state`.

        It is one batched call of twice the rows.
        """
        own, shared = _fields(futures.members), _fields(self._alike(state))
        both = {name: torch.cat([own[name], shared[name].to(own[name])], 1) for name in own}
        arrived = _fields(self.ensemble.step(MemberStates(**both), action.repeat(2, 1)))
        rows = len(action)
        members = MemberStates(**{name: value[:, :rows] for name, value in arrived.items()})
        taken = MemberStates(**{name: value[:, rows:] for name, value in arrived.items()})
        return Futures(members, futures.disagreed + self._disagreement.of(taken))

    def of(self, futures: Futures, state: State) -> Tensor:
        """Scores ``(batch,)`` of the futures beside the model's state."""
        distance = self.distance(futures, state)
        score = distance ** (1 - DISAGREED) * futures.disagreed**DISAGREED
        return torch.where(score.isfinite(), score, torch.inf)

    def distance(self, futures: Futures, state: State) -> Tensor:
        """How far the members are away, ``(batch,)``."""
        members = futures.members
        apart = self._measured(members.qpos, members.qvel) - self._measured(state.qpos, state.qvel)
        # The model is a member, at no distance from itself.
        others = max(len(members) - 1, 1)
        return ((apart / self.scale).square().mean(2).sum(0) / others).sqrt()

    @torch.no_grad()
    def along(self, windows: Windows) -> Tensor:
        """Scores ``(N, T)`` after each step of the first member's rollouts from `windows`."""
        parts = []
        for first in range(0, len(windows), _CHUNK):
            rows = slice(first, first + _CHUNK)
            futures = self.start(windows.start[rows].to(self.scale.dtype).to(self.scale.device))
            scores = []
            for t in range(windows.horizon):
                futures = self.step(futures, futures.members[0], windows.actions[rows, t])
                scores.append(self.of(futures, futures.members[0]))
            parts.append(torch.stack(scores, 1).double().cpu())
        return torch.cat(parts)

    def _alike(self, state: State) -> MemberStates:
        k = len(self.ensemble)
        return MemberStates(**{name: v.expand(k, *v.shape) for name, v in state.items()})

    def _measured(self, qpos: Tensor, qvel: Tensor) -> Tensor:
        return torch.cat([qpos[..., self._keep], qvel], -1)


def state_scale(state: State, spec: RobotSpec) -> Tensor:
    """Standard deviation of every measured entry of qpos and of qvel, never zero."""
    values = torch.cat([state.qpos[:, measured_positions(spec)], state.qvel], 1)
    return values.std(0).clamp(min=_SMALLEST)


def _fields(states: MemberStates) -> dict[str, Tensor]:
    values = {name: getattr(states, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}
