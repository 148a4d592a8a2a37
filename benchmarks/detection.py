"""Who sees it coming when a model's rollout goes wrong: scores, and what share they catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.types import State
from mosim_gym.uncertainty.files import Uncertainty
from mosim_gym.uncertainty.spread import Spread

FALSE_ALARMS = 0.05
#: Scores of the rollout so far; the others are of a single step.
FROM_START = ("spread", "distance of futures", "disagreement so far")

Scorer = Callable[[State, Tensor], Tensor]


def scorers(known: Uncertainty, data: Dataset) -> dict[str, Scorer]:
    """Those of a single step, by name; the last two are what is tried first elsewhere."""
    assert known.disagreement is not None
    seen = data.transitions()
    rows = torch.linspace(0, len(seen) - 1, 20_000).long()
    view = known.density.view
    near = view(seen.state[rows], seen.action[rows])

    def neighbour(state: State, action: Tensor) -> Tensor:
        return torch.cdist(view(state, action), near).amin(1)

    def distance(state: State, action: Tensor) -> Tensor:
        return view(state, action).square().mean(1).sqrt()

    return {
        "disagreement": known.disagreement,
        "density": known.density,
        "nearest neighbour": neighbour,
        "distance from the mean": distance,
    }


@torch.no_grad()
def scored(
    model: Simulator, windows: Windows, by: Mapping[str, Scorer], spread: Spread
) -> dict[str, Tensor]:
    """Scores along the model's own rollouts, ``(N, T)`` each."""
    found = model.rollout(windows.start, windows.actions)
    steps: dict[str, list[Tensor]] = {name: [] for name in (*FROM_START, *by)}
    futures = spread.start(windows.start.to(found.qpos.dtype))
    for t in range(windows.horizon):
        state, action = State(found.qpos[:, t], found.qvel[:, t]), windows.actions[:, t]
        # Where it diverged there is no doubt left.
        lost = found.valid_steps <= t
        futures = spread.ensemble.step(futures, action.to(state.qpos))
        arrived = State(found.qpos[:, t + 1], found.qvel[:, t + 1])
        # The model is one of the members.
        far = spread.distances(futures, arrived).square().sum(0) / (len(spread.ensemble) - 1)
        for name, score in (
            ("spread", spread.of(futures, arrived)),
            ("distance of futures", far.nan_to_num(torch.inf)),
        ):
            steps[name].append(score.masked_fill(lost, torch.inf))
        for name, scorer in by.items():
            score = scorer(state, action.to(state.qpos))
            steps[name].append(score.masked_fill(lost, torch.inf))
    # Infinite from where the model diverged on, as the others.
    steps["disagreement so far"] = list(torch.stack(steps["disagreement"]).cumsum(0))
    return {name: torch.stack(parts, 1).double() for name, parts in steps.items()}


def caught(score: Tensor, bad: Tensor) -> float:
    """Share of the bad above what a share of the good reaches."""
    good = score[~bad].sort().values
    threshold = good[min(int(np.ceil((1 - FALSE_ALARMS) * len(good))), len(good)) - 1]
    return float((score[bad] > threshold).double().mean())


def ranks_above(score: Tensor, bad: Tensor) -> float:
    """Chance that a bad one scores higher than a good one (area under the ROC curve)."""
    order = torch.cat([score[bad], score[~bad]]).unique(return_inverse=True)[1].double()
    good = order[int(bad.sum()) :].sort().values
    below = torch.searchsorted(good, order[: int(bad.sum())].contiguous())
    upto = torch.searchsorted(good, order[: int(bad.sum())].contiguous(), right=True)
    return float((below + upto).double().mean() / 2 / len(good))
