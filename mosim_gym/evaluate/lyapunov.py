"""Largest Lyapunov exponents: how fast neighbouring motions part, in the model and in truth.

Two estimators, per trajectory, over the first T seconds:

- the paper's (arXiv 2504.07095): ln(|d_T| / |d_0|) / T for a neighbour left to itself. Once it
  is as far away as the motion is large it tells the size of the motion, no longer the exponent;
- Benettin's (Meccanica 15, 1980): the neighbour is brought back to distance |d_0| after every
  control step, and the logarithms of the growths are added up.

Both work on any batched step function, of a model or of true physics, in float64: a neighbour at
1e-5 is hardly one in float32. Distances are Euclidean in (qpos, qvel, act), SI units, angles not
wrapped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mosim_gym.evaluate.jacobian import Step
from mosim_gym.types import State

#: Factor of the two-sample Kolmogorov-Smirnov test at 5 %.
_KS_FACTOR = 1.358
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Exponents:
    """Exponents in 1/s of N trajectories after each of K times; NaN where one diverged.

    Attributes:
        seconds: the times.
        unscaled: the paper's, ``(N, K)``.
        benettin: Benettin's, ``(N, K)``.
    """

    seconds: tuple[float, ...]
    unscaled: Tensor
    benettin: Tensor


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two samples of exponents are apart.

    Attributes:
        model: mean over the model's trajectories, 1/s.
        truth: mean over the true ones, 1/s.
        error: |model - truth| / |truth|.
        ks: Kolmogorov-Smirnov distance of the distributions, 0 to 1.
        ks_chance: what two samples of one distribution pass in 5 % of cases.
        lost: trajectories left out for having diverged, on both sides.
    """

    model: float
    truth: float
    error: float
    ks: float
    ks_chance: float
    lost: int


@torch.inference_mode()
def lyapunov_exponents(
    step: Step,
    start: State,
    actions: Tensor,
    *,
    control_dt: float,
    seconds: Sequence[float],
    delta: float = 1e-5,
    seed: int = 0,
) -> Exponents:
    """Follow motions and their neighbours.

    Args:
        step: one control step; of a model, in float64 (`in_float64`).
        start: N states.
        actions: ``(N, T, nu)``, the same for a motion and its neighbours.
        control_dt: seconds a step.
        seconds: times to tell exponents at, multiples of `control_dt` up to T of them.
        delta: distance of a neighbour, in a random direction.
        seed: of the directions.

    Raises:
        ValueError: if there are not enough actions for the times.
    """
    marks = {round(s / control_dt): s for s in seconds}
    if max(marks) > actions.shape[1] or min(marks) < 1:
        raise ValueError(
            f"Exponents are asked for after {sorted(marks)} steps, with {actions.shape[1]} actions "
            "a row; expected times of at least one step and no more than there are actions."
        )
    motion = _packed(start)
    directions = torch.randn(motion.shape, generator=torch.Generator().manual_seed(seed)).double()
    directions /= directions.norm(dim=1, keepdim=True)
    free = tied = motion + delta * directions
    logarithm = torch.zeros(len(start), dtype=torch.float64)
    all_starts = State.cat([start] * 3)
    unscaled, benettin = [], []
    for t in range(max(marks)):
        before = _unpacked(torch.cat([motion, free, tied]), all_starts)
        after = step(before, actions[:, t].repeat(3, 1))
        motion, free, tied = _packed(after).chunk(3)
        gap = tied - motion
        distance = gap.norm(dim=1)
        logarithm = logarithm + (distance / delta).log()
        tied = motion + gap * (delta / distance.clamp(min=_TINY)).unsqueeze(1)
        if t + 1 in marks:
            elapsed = (t + 1) * control_dt
            unscaled.append(((free - motion).norm(dim=1) / delta).log() / elapsed)
            benettin.append(logarithm / elapsed)
    times = tuple(marks[k] for k in sorted(marks))
    return Exponents(times, torch.stack(unscaled, 1), torch.stack(benettin, 1))


def agreement(model: Tensor, truth: Tensor) -> Agreement:
    """Compare exponents ``(N,)`` of a model with true ones ``(M,)``."""
    mine, true = model[model.isfinite()], truth[truth.isfinite()]
    lost = len(model) + len(truth) - len(mine) - len(true)
    means = float(mine.mean()), float(true.mean())
    chance = _KS_FACTOR * math.sqrt(1 / max(len(mine), 1) + 1 / max(len(true), 1))
    error = abs(means[0] - means[1]) / abs(means[1]) if means[1] else math.nan
    return Agreement(*means, error, ks_distance(mine, true), chance, lost)


def ks_distance(one: Tensor, other: Tensor) -> float:
    """Largest distance between the distribution functions of two samples ``(N,)``, ``(M,)``."""
    if not len(one) or not len(other):
        return math.nan
    one, other = one.sort().values, other.sort().values
    points = torch.cat([one, other])
    shares = [torch.searchsorted(x, points, right=True) / len(x) for x in (one, other)]
    return float((shares[0] - shares[1]).abs().max())


def held_random_actions(
    low: Tensor,
    high: Tensor,
    rows: int,
    steps: int,
    *,
    seed: int,
    resample_probability: float = 0.2,
    zero_fraction: float = 0.1,
) -> Tensor:
    """Actions ``(rows, steps, nu)``, distributed as those of `HeldRandomPolicy`.

    Args:
        low: lowest action, ``(nu,)``.
        high: highest action, ``(nu,)``.
        rows: sequences.
        steps: actions in each.
        seed: of the draws.
        resample_probability: chance, at each step, of a new action.
        zero_fraction: share of the new actions that is zero.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    new = uniform(rows, steps) < resample_probability
    new[:, 0] = True
    drawn = low + (high - low) * uniform(rows, steps, len(low))
    drawn[uniform(rows, steps) < zero_fraction] = 0.0
    # The last step at which a new action was drawn.
    since = torch.where(new, torch.arange(steps), 0).cummax(1).values
    return drawn.gather(1, since.unsqueeze(2).expand_as(drawn))


def _packed(state: State) -> Tensor:
    """Coordinates ``(batch, nq + nv + na)``, float64."""
    parts = [value for name, value in state.items() if name != "context"]
    return torch.cat(parts, 1).double()


def _unpacked(coordinates: Tensor, like: State) -> State:
    fields = [(name, value) for name, value in like.items() if name != "context"]
    widths = [value.shape[1] for _, value in fields]
    parts = dict(zip([name for name, _ in fields], coordinates.split(widths, 1), strict=True))
    return State(**parts, context=like.context)
