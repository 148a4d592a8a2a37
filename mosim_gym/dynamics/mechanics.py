"""What the Lagrangian of a body needs of its positions: mass, potential, and their derivatives.

Two forms, with the same answers: trigonometric polynomials, which hold the truth for short chains
and have tens of weights; and networks, for bodies whose polynomials would have too many.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu, softplus

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.harmonics import Harmonics
from mosim_gym.dynamics.memo import Memo
from mosim_gym.dynamics.networks import ResidualMLP
from mosim_gym.dynamics.symmetric import Symmetric
from mosim_gym.robots.spec import JointType, RobotSpec

# A turned inertia is of second degree in the turn, a height of first.
_MASS_DEGREE, _POTENTIAL_DEGREE = 2, 1
# Diagonal of the Cholesky factor of an untrained network: softplus of this is 1.
_UNIT = math.log(math.expm1(1.0))


class Terms(NamedTuple):
    """The terms of the equation of motion at some positions, in whitened coordinates.

    Attributes:
        mass: entries of the mass matrix, ``(batch, n_entries)``, as `Symmetric` orders them.
        force: minus the slope of the potential, ``(batch, nv)``.
        turning: what multiplies products of velocities in the Coriolis and centrifugal forces,
            ``(batch, nv, n_entries)``.
    """

    mass: Tensor
    force: Tensor
    turning: Tensor


class Polynomials(nn.Module):
    """Mass matrix and potential as trigonometric polynomials; starts with a unit mass at rest.

    The mass matrix is not bound to be positive: where there is data it is, being fitted there.
    """

    spread: Tensor
    slope: Tensor

    def __init__(self, spec: RobotSpec, symmetric: Symmetric) -> None:
        """Choose the functions by the types and the order of the joints."""
        super().__init__()
        self.symmetric = symmetric
        in_mass, in_potential = degrees(spec)
        harmonics = self.harmonics = Harmonics(spec.joints, (in_mass, in_potential))
        identity = torch.eye(harmonics.n, dtype=torch.float64).unsqueeze(0)
        # Coefficients of the mass and of its derivative by each coordinate, from its weights.
        spread = torch.cat([identity, harmonics.derivatives])[:, :, harmonics.rows(in_mass)]
        slope = harmonics.derivatives[:, :, harmonics.rows(in_potential)[1:]]
        self.register_buffer("spread", spread, persistent=False)
        self.register_buffer("slope", slope, persistent=False)
        mass = torch.zeros(spread.shape[2], symmetric.n_entries)
        mass[0] = symmetric.entries_of(torch.eye(spec.nv))
        self.mass = nn.Parameter(mass)
        self.potential = nn.Parameter(torch.zeros(slope.shape[2]))
        self._memo = Memo(self._coefficients)

    def forward(self, qpos: Tensor, scale: Tensor) -> Terms:
        """The terms at ``(batch, nq)`` positions; `scale` ``(nv,)`` whitens the coordinates."""
        symmetric = self.symmetric
        # All are polynomials of the same functions: one product evaluates them.
        values = self.harmonics(qpos) @ self._memo(self.mass, self.potential, scale)
        entries = symmetric.n_entries
        sizes = [entries, symmetric.n, symmetric.n * entries]
        mass, force, turning = values.split(sizes, 1)
        return Terms(mass, force, turning.view(-1, symmetric.n, entries))

    def _coefficients(self, mass: Tensor, potential: Tensor, scale: Tensor) -> Tensor:
        """Of mass, force and turning by the functions, ``(functions, entries of all three)``."""
        parts = self.spread @ mass
        force = (self.slope @ potential) * -scale.unsqueeze(1)
        slopes = parts[1:] * scale.view(-1, 1, 1)
        turning = slopes.permute(1, 0, 2).reshape(self.harmonics.n, -1) @ self.symmetric.christoffel
        return torch.cat([parts[0], force.T, turning], 1)


class Networks(nn.Module):
    """Mass matrix ``L L^T`` and potential from one network of positions; L starts near unity.

    Derivatives are carried through the network beside its values, forward, so that they can be
    learned from by plain back-propagation and need no autograd when stepping.
    """

    chosen: Tensor

    def __init__(self, spec: RobotSpec, symmetric: Symmetric, config: ModelConfig) -> None:
        """Choose the positions by the types and the order of the joints."""
        super().__init__()
        self.symmetric = symmetric
        _, in_potential = degrees(spec)
        inner = [j for j in spec.joints if j.name in in_potential]
        self._hinges = [j.qpos_index for j in inner if j.type is JointType.HINGE]
        self._slides = [j.qpos_index for j in inner if j.type is JointType.SLIDE]
        n_in = 2 * len(self._hinges) + len(self._slides)
        self.network = ResidualMLP(
            n_in, symmetric.n_entries + 1, width=config.width, blocks=config.blocks
        )
        dof = {j.qpos_index: j.dof_index for j in spec.joints}
        rows = [dof[i] for i in (*self._hinges, *self._hinges, *self._slides)]
        chosen = torch.zeros(n_in, spec.nv)
        chosen[range(n_in), rows] = 1.0
        #: By which coordinate each input changes.
        self.register_buffer("chosen", chosen, persistent=False)

    def forward(self, qpos: Tensor, scale: Tensor) -> Terms:
        """The terms at ``(batch, nq)`` positions; `scale` ``(nv,)`` whitens the coordinates."""
        symmetric = self.symmetric
        n, entries = symmetric.n, symmetric.n_entries
        angles, slides = qpos[:, self._hinges], qpos[:, self._slides]
        sine, cosine = torch.sin(angles), torch.cos(angles)
        inputs = torch.cat([sine, cosine, slides], 1)
        changes = torch.cat([cosine, -sine, torch.ones_like(slides)], 1)
        # (batch, nv, inputs): the derivative of each input by each coordinate.
        tangents = changes.unsqueeze(1) * (self.chosen * scale).T
        out, slopes = _with_tangents(self.network, inputs, tangents)
        raw = out[:, :n] + _UNIT
        diagonal, steepness = softplus(raw), torch.sigmoid(raw).unsqueeze(1)
        lower = symmetric.lower_of(torch.cat([diagonal, out[:, n:entries]], 1))
        d_lower = symmetric.lower_of(
            torch.cat([slopes[:, :, :n] * steepness, slopes[:, :, n:entries]], 2)
        )
        mass = symmetric.entries_of(lower @ lower.transpose(1, 2))
        half = d_lower @ lower.unsqueeze(1).transpose(2, 3)
        d_mass = symmetric.entries_of(half + half.transpose(2, 3))
        turning = d_mass.flatten(1) @ symmetric.christoffel
        return Terms(mass, -slopes[:, :, entries], turning.view(-1, n, entries))


def degrees(spec: RobotSpec) -> tuple[dict[str, int], dict[str, int]]:
    """In what degree each joint enters the mass matrix and the potential, by its name.

    Moving a body as a whole does not change its kinetic energy: its first joint does not enter the
    mass matrix, and neither do slides that lead. Slides that lead feel constant forces only.
    """
    joints = spec.joints
    leading = 0
    while leading < len(joints) and joints[leading].type is JointType.SLIDE:
        leading += 1
    in_mass = {joint.name: _MASS_DEGREE for joint in joints[max(leading, 1) :]}
    in_potential = {
        joint.name: 2 if joint.type is JointType.SLIDE else _POTENTIAL_DEGREE
        for joint in joints[leading:]
    }
    return in_mass, in_potential


def _with_tangents(network: ResidualMLP, inputs: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs ``(batch, n)`` of a network, and their derivatives ``(batch, k, n)``."""

    def layer(of: nn.Module, x: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        one = cast(nn.Linear, of)
        return linear(x, one.weight, one.bias), linear(dx, one.weight)

    def bend(x: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(x)
        return silu(x), (gate * (1 + x * (1 - gate))).unsqueeze(1) * dx

    hidden, d_hidden = layer(network.first, inputs, tangents)
    for inner, outer in zip(network.inner, network.outer, strict=True):
        middle = layer(inner, *bend(hidden, d_hidden))
        change, d_change = layer(outer, *bend(*middle))
        hidden, d_hidden = hidden + change, d_hidden + d_change
    return layer(network.last, *bend(hidden, d_hidden))
