"""Contact features: how near each point of a body is to the ground, and how it moves there.

A contact pushes by how deep it is and how fast it closes and slides, at once and only where it
touches (MuJoCo documentation: Computation, Constraint model): from joint positions alone a network
finds the kinematics and that edge only with much data. Whoever tells a body's geometry tells both.
For every point that can meet what never moves (the ends of a capsule, the corners of a box, the
lowest point of a sphere or an ellipsoid):

- its distance, up to where it no longer matters, and how deep it is;
- three gates: whether it touches, how far a contact of that depth has hardened, and how near it is;
- how fast it comes off and slides, behind each of these gates.

Nothing of it depends on where the body is on a level ground, or on where it heads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.dynamics.approaches import approaches_of

#: Depth in metres in which contacts harden, by MuJoCo's default `solimp`. Most of it is there from
#: the first touch on: hence also whether it touches.
HARDENING_DEPTH = 1e-3
_GATES = 3
#: Distance in metres over which a point comes to count as near.
NEARNESS = 0.02
#: Farther away, or deeper, is all the same (metres).
FARTHEST, DEEPEST = 0.5, 0.1


class ContactFeatures:
    """Features of all points of a body that can meet what never moves.

    Attributes:
        n_points: points; of all of them one feature, then of all the next.
        n_position: features of positions alone.
        n_velocity: features of velocities.
    """

    def __init__(self, description: Description) -> None:
        """Find the points.

        Args:
            description: of the body.
        """
        self._approaches = approaches_of(description)
        self.n_points = points = self._approaches.n_points
        self.n_position = points * (2 + _GATES)
        self.n_velocity = points * _GATES * self._approaches.n_speeds

    def __call__(self, qpos: Tensor, qvel: Tensor) -> tuple[Tensor, Tensor]:
        """Features of positions ``(batch, n_position)`` and velocities ``(batch, n_velocity)``."""
        distance, speeds = self._approaches(qpos, qvel)
        depth = torch.clamp(-distance, 0.0, DEEPEST)
        far = torch.clamp(distance, -DEEPEST, FARTHEST)
        near = torch.exp(torch.clamp(distance, 0.0, FARTHEST) * (-1 / NEARNESS))
        touching = (distance < 0).to(distance.dtype)
        hardened = torch.clamp(depth * (1 / HARDENING_DEPTH), max=1.0)
        gates = torch.stack([touching, hardened, near], 1)
        gated = gates.unsqueeze(2) * speeds.unsqueeze(1)
        return torch.cat([far, depth, gates.flatten(1)], 1), gated.flatten(1)
