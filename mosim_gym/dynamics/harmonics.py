"""Trigonometric polynomials in hinge angles, times powers of slides, closed under derivatives.

What a body of hinges and slides needs of its positions, its mass matrix and its potential, are such
polynomials: rotations are of first degree in sine and cosine of an angle, inertias turned by them
of second; distances along slides enter in powers up to two. A derivative is a polynomial of the
same functions, so that derivatives cost a change of coefficients and no further evaluation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mosim_gym.robots.spec import Joint, JointType

_POWERS = 3


class Harmonics(nn.Module):
    """The functions ``cos(k.q), sin(k.q)`` of hinges times ``1, x, x^2`` of slides.

    Attributes:
        n: number of functions; the first is the constant 1.
    """

    modes: Tensor
    derivatives: Tensor

    def __init__(self, joints: Sequence[Joint], degrees: Sequence[dict[str, int]]) -> None:
        """Choose the functions.

        Args:
            joints: hinges and slides of a body, one degree of freedom each.
            degrees: sets of functions to hold, each as the largest frequency per hinge, or power
                per slide, by the name of the joint; joints not named do not enter.
        """
        super().__init__()
        self.joints = tuple(joints)
        hinges = [j for j in joints if j.type is JointType.HINGE and _named(j, degrees)]
        slides = [j for j in joints if j.type is JointType.SLIDE and _named(j, degrees)]
        self._hinges = [j.qpos_index for j in hinges]
        self._slides = [j.qpos_index for j in slides]
        chosen = [_frequencies([d.get(j.name, 0) for j in hinges]) for d in degrees]
        modes = sorted({mode for some in chosen for mode in some})
        self._modes = modes
        n_waves, n_powers = 1 + 2 * len(modes), _POWERS ** len(slides)
        self.n = n_waves * n_powers
        # A row for every joint, most of them zeros: cheaper than to pick columns at every step.
        rows = torch.zeros(len(joints), len(modes), dtype=torch.float64)
        rows[self._hinges] = torch.tensor(modes).double().reshape(len(modes), len(hinges)).T
        self.register_buffer("modes", rows, persistent=False)
        derivatives = torch.zeros(len(joints), self.n, self.n, dtype=torch.float64)
        for column, joint in enumerate(joints):
            if joint in hinges:
                of_waves = self._of_waves(hinges.index(joint))
                derivatives[column] = torch.kron(of_waves, torch.eye(n_powers).double())
            elif joint in slides:
                of_powers = _of_powers(slides.index(joint), len(slides))
                derivatives[column] = torch.kron(torch.eye(n_waves).double(), of_powers)
        #: For joint j, column f of ``derivatives[j]`` holds the coefficients of d(function f)/dq_j.
        self.register_buffer("derivatives", derivatives, persistent=False)

    def forward(self, qpos: Tensor) -> Tensor:
        """Values of the functions ``(batch, n)``."""
        ones = torch.ones_like(qpos[:, :1])
        values = ones
        if self._modes:
            phases = qpos @ self.modes
            values = torch.cat([ones, torch.cos(phases), torch.sin(phases)], 1)
        for index in self._slides:
            x = qpos[:, index : index + 1]
            powers = torch.cat([ones, x, x * x], 1)
            values = (values.unsqueeze(2) * powers.unsqueeze(1)).flatten(1)
        return values

    def rows(self, degrees: dict[str, int]) -> list[int]:
        """The functions among all that one set of `degrees` asks for; the constant first."""
        hinges = [j for j in self.joints if j.qpos_index in self._hinges]
        slides = [j for j in self.joints if j.qpos_index in self._slides]
        frequencies = _frequencies([degrees.get(j.name, 0) for j in hinges])
        places = [self._modes.index(mode) for mode in frequencies]
        waves = [0, *(1 + p for p in places), *(1 + len(self._modes) + p for p in places)]
        limits = [range(1 + degrees.get(j.name, 0)) for j in slides]
        powers = [_number(exponents) for exponents in itertools.product(*limits)]
        return [wave * _POWERS ** len(slides) + power for wave in waves for power in powers]

    def _of_waves(self, hinge: int) -> Tensor:
        n = len(self._modes)
        matrix = torch.zeros(1 + 2 * n, 1 + 2 * n, dtype=torch.float64)
        for m, mode in enumerate(self._modes):
            cosine, sine = 1 + m, 1 + n + m
            matrix[sine, cosine] = -mode[hinge]
            matrix[cosine, sine] = mode[hinge]
        return matrix


def _named(joint: Joint, degrees: Sequence[dict[str, int]]) -> bool:
    return any(d.get(joint.name, 0) for d in degrees)


def _frequencies(largest: Sequence[int]) -> list[tuple[int, ...]]:
    """Integer vectors up to `largest` a component; of k and -k only one, and not 0."""
    ranges = [range(-d, d + 1) for d in largest]
    zero = (0,) * len(largest)
    return [k for k in itertools.product(*ranges) if k > zero]


def _number(exponents: Sequence[int]) -> int:
    value = 0
    for exponent in exponents:
        value = value * _POWERS + exponent
    return value


def _of_powers(slide: int, n_slides: int) -> Tensor:
    one = torch.zeros(_POWERS, _POWERS, dtype=torch.float64)
    for power in range(1, _POWERS):
        one[power - 1, power] = power
    matrix = torch.eye(1).double()
    for k in range(n_slides):
        matrix = torch.kron(matrix, one if k == slide else torch.eye(_POWERS).double())
    return matrix
