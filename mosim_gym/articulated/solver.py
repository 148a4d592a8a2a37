"""Accelerations under constraints: a batched primal Newton method with exact line search.

Minimises the convex function of `mosim_gym.articulated.rows` from the smooth acceleration on, in
a fixed number of iterations (MuJoCo documentation, Computation, Algorithms: Newton). A last step,
which alone is differentiated, makes the derivatives those of the minimum itself (implicit function
theorem), in reverse and in forward mode: with g the gradient and H the second derivative where the
iterations end, ``a - H^-1 g`` has the derivatives ``-H^-1 dg``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.cones import Cones
from mosim_gym.articulated.factor import Solve, factorised
from mosim_gym.articulated.rows import Block, Separate, Slopes, Springs

_TINY = 1e-30
#: A line search that changes a length by less is at its end.
_SAME_LENGTH = 1e-6
#: How far, in parts of the acceleration, the last correction may be off.
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 3e-4}


class Solution(NamedTuple):
    """Accelerations under constraints.

    Attributes:
        acceleration: ``(batch, nv)`` (qacc).
        converged: which rows of the batch are at their minimum, ``(batch,)`` bool.
    """

    acceleration: Tensor
    converged: Tensor


class Minimum(NamedTuple):
    """Where the function is least; cut off from the autograd graph.

    Attributes:
        acceleration: ``(nv, batch)``.
        correct: solves with the second derivative there: ``H x = b`` of b ``(nv, batch)``.
        converged: which rows of the batch are there, ``(batch,)`` bool.
    """

    acceleration: Tensor
    correct: Solve
    converged: Tensor


def solve(
    mass: Tensor,
    smooth: Tensor,
    blocks: Sequence[Block],
    iterations: int = 8,
    searches: int | None = None,
) -> Solution:
    """The accelerations of a batch.

    Args:
        mass: mass matrices, ``(batch, nv, nv)``.
        smooth: accelerations without constraints, ``(batch, nv)``.
        blocks: constraints; without any, `smooth` is the solution.
        iterations: see `minimum`; the differentiable step comes on top.
        searches: see `minimum`.
    """
    if not blocks:
        return Solution(smooth, smooth.detach().isfinite().all(1))
    found = minimum(mass, smooth, blocks, iterations, searches)
    problem = _Problem(mass.permute(1, 2, 0), smooth.t(), blocks)
    acceleration = found.acceleration - found.correct(problem.gradient(found.acceleration))
    return Solution(acceleration.t(), found.converged)


def minimum(
    mass: Tensor,
    smooth: Tensor,
    blocks: Sequence[Block],
    iterations: int = 8,
    searches: int | None = None,
    *,
    early: bool = False,
) -> Minimum:
    """Where the function is least.

    Args:
        mass: mass matrices, ``(batch, nv, nv)``.
        smooth: accelerations without constraints, ``(batch, nv)``.
        blocks: constraints, at least one.
        iterations: Newton steps with line search; one full step comes on top.
        searches: steps of a line search; ``None``: 4, which are enough for functions that are
            quadratic piece by piece, or 10 if there are elliptic cones.
        early: end as soon as all rows of the batch are there, mostly after two or three steps. How
            many then depends on the numbers: not to be compiled, nor transformed by torch.func.
    """
    if searches is None:
        searches = 10 if any(isinstance(block, Cones) for block in blocks) else 4
    matrix, start = mass.detach().permute(1, 2, 0), smooth.detach().t()
    problem = _Problem(matrix, start, [block.each(Tensor.detach) for block in blocks])
    end, correct = problem.minimise(problem.start, iterations, searches, early)
    # Once more from the start: sums along the way have lost digits.
    off = correct(problem.gradient(end))
    # A comparison with NaN is false.
    near = off.abs().amax(0) <= _TOLERANCE[end.dtype] * problem.size(end)
    return Minimum(end - off, correct, near)


class _Problem:
    """The function to minimise, of accelerations ``(nv, batch)``."""

    def __init__(self, mass: Tensor, start: Tensor, blocks: Sequence[Block]) -> None:
        self.mass, self.start, self.blocks = mass, start, blocks
        springs = [block.springs() for block in blocks if isinstance(block, Separate)]
        self._springs = Springs.joined(springs) if springs else None

    def gradient(self, acceleration: Tensor) -> Tensor:
        total = self._inertial(acceleration - self.start)
        for block in self.blocks:
            total = total + block.pull(block.gradient(block.miss(acceleration)))
        return total

    def size(self, acceleration: Tensor) -> Tensor:
        """The digits there are, ``(batch,)``: of the sum of what forces and constraints give."""
        return 1 + torch.maximum(acceleration.abs(), self.start.abs()).amax(0)

    def minimise(
        self, acceleration: Tensor, iterations: int, searches: int, early: bool
    ) -> tuple[Tensor, Solve]:
        """Where the function is least, and what solves with the last second derivative of all."""
        misses = [block.miss(acceleration) for block in self.blocks]
        inertial = self._inertial(acceleration - self.start)
        for k in range(iterations + 1):
            gradient = inertial
            for block, miss in zip(self.blocks, misses, strict=True):
                gradient = gradient + block.pull(block.gradient(miss))
            correct = factorised(self._curvature(misses))
            step = -correct(gradient)
            if k == iterations:
                break
            if early:
                far = self._far(step, acceleration)
                if len(far) == 0:
                    break
                if 2 * len(far) < len(step[0]):
                    rest, _ = self._rows(far).minimise(
                        acceleration[:, far], iterations - k, searches, early
                    )
                    return (acceleration + step).index_copy(1, far, rest), correct
            steps = [block.along(step) for block in self.blocks]
            weight = self._inertial(step)
            smooth = (step * inertial).sum(0), (step * weight).sum(0)
            length = self._search(misses, steps, smooth, searches, early)
            acceleration = acceleration + length * step
            inertial = inertial + length * weight
            misses = [m + length * s for m, s in zip(misses, steps, strict=True)]
        return acceleration + step, correct

    def _far(self, step: Tensor, acceleration: Tensor) -> Tensor:
        """Rows of the batch in which a step changes more than nothing; none that is not finite."""
        most = _TOLERANCE[step.dtype] * self.size(acceleration)
        return torch.nonzero(step.abs().amax(0) > most)[:, 0]

    def _rows(self, index: Tensor) -> _Problem:
        """The same for some rows of the batch."""

        def chosen(value: Tensor) -> Tensor:
            return value if value.shape[-1] == 1 else value.index_select(-1, index)

        blocks = [block.each(chosen) for block in self.blocks]
        return _Problem(chosen(self.mass), chosen(self.start), blocks)

    def _search(
        self,
        misses: Sequence[Tensor],
        steps: Sequence[Tensor],
        smooth: tuple[Tensor, Tensor],
        searches: int,
        early: bool,
    ) -> Tensor:
        """The length ``(batch,)`` at which the function is least along a step.

        Newton's method on its derivative, kept between lengths known to be too short and too
        long, where its steps shrink to half or less; else it could go to and fro between these
        two for ever. A full step is where it starts: the first from no length would lead there.
        """
        rise, bend = smooth
        probes = self._probes(misses, steps)
        length = torch.ones_like(rise)
        short, long = torch.zeros_like(rise), torch.full_like(rise, torch.inf)
        last = long
        for _ in range(searches):
            slope, curve = rise + length * bend, bend
            for probe in probes:
                more = probe(length)
                slope, curve = slope + more[0], curve + more[1]
            short = torch.where(slope < 0, length, short)
            long = torch.where(slope > 0, length, long)
            tried = length - slope / curve.clamp_min(_TINY)
            middle = 0.5 * (short + torch.where(long.isinf(), 3 * short, long))
            within = (tried >= short) & (tried <= long) & (2 * (tried - length).abs() <= last)
            tried = torch.where(within, tried, middle)
            last = (tried - length).abs()
            if early and not bool((last > _SAME_LENGTH).any()):
                return tried
            length = tried
        return length

    def _probes(self, misses: Sequence[Tensor], steps: Sequence[Tensor]) -> list[Slopes]:
        """Derivatives of the constraints along a step; rows that are alike are asked at once."""
        separate, probes = [], []
        for block, miss, step in zip(self.blocks, misses, steps, strict=True):
            if isinstance(block, Cones):  # The only ones that are not `Separate`.
                probes.append(block.probe(miss, step))
            else:
                separate.append((miss.flatten(0, -2), step.flatten(0, -2)))
        if self._springs is not None:
            miss, step = (torch.cat(rows) for rows in zip(*separate, strict=True))
            probes.append(self._springs.probe(miss, step))
        return probes

    def _curvature(self, misses: Sequence[Tensor]) -> Tensor:
        matrix = self.mass
        for block, miss in zip(self.blocks, misses, strict=True):
            matrix = block.stiffen(miss, matrix)
        return matrix

    def _inertial(self, vector: Tensor) -> Tensor:
        return (self.mass * vector).sum(1)
