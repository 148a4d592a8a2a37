"""Rows of contacts: frictionless, pyramidal and elliptic cones of dimension 1, 3, 4 and 6.

Source: MuJoCo documentation, Computation, Constraint model: Contact, Friction cones; `mjContact`.

The batch is the last axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.cones import Cones
from mosim_gym.articulated.description import Cone, Description
from mosim_gym.articulated.edges import Edges, along_edges
from mosim_gym.articulated.geometry import Geometry, contact_frames
from mosim_gym.articulated.impedance import columns, impedance, reference, regularizer
from mosim_gym.articulated.kinetics import Kinetics
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.rows import Block, Dense, Pressing
from mosim_gym.articulated.sensors import Touching
from mosim_gym.articulated.shapes import Touch
from mosim_gym.articulated.weights import Weights
from mosim_gym.robots.poses import Constants, Poses, cross
from mosim_gym.robots.tree import IntArray

#: Contacts of one dimension that are kept: more than any body of the suite was seen to make (11,
#: the humanoid on its back) of up to 142 that could be.
SLOTS = 24


class ContactRows(NamedTuple):
    """What contacts ask for.

    Attributes:
        touching: the contacts, by their dimension.
        overflow: where more touch than there are slots, ``(batch,)`` bool.
    """

    touching: list[Touching]
    overflow: Tensor

    @property
    def blocks(self) -> list[Block]:
        """One for each dimension of contacts."""
        return [contacts.block for contacts in self.touching]


class Contacts:
    """The contacts of a body."""

    def __init__(self, description: Description, slots: int | None = None) -> None:
        """Sort the pairs by dimension.

        Args:
            description: of the body.
            slots: the deepest this many contacts of each dimension are kept. ``None``: all that
                could ever be, which costs time where few of many can touch at once.
        """
        pairs = description.pairs
        self._groups = [
            _Group(description, np.flatnonzero(pairs.condim == dim), dim, slots)
            for dim in sorted(set(pairs.condim.tolist()))
        ]

    def __call__(
        self,
        physics: Physics,
        weights: Weights,
        kinetics: Kinetics,
        qvel: Tensor,
        *,
        snug: bool = False,
    ) -> ContactRows:
        """The rows of a batch of states.

        Args:
            physics: of the body.
            weights: that follow from it.
            kinetics: of the batch.
            qvel: ``(batch, nv)``.
            snug: no more slots than any state of this batch needs, none where nothing touches.
                Shapes then depend on the numbers: not to be compiled, nor transformed by
                torch.func.
        """
        poses = Poses(kinetics.position, kinetics.rotation)
        motion = _Motion.of(kinetics)
        overflow = torch.zeros_like(qvel[:, 0], dtype=torch.bool)
        touching: list[Touching] = []
        for group in self._groups:
            seen = group.see(physics, weights, poses, snug)
            if seen is None:
                continue
            block = group.block(seen, motion, qvel.t())
            touching.append(Touching(block, seen.touch, seen.bodies, seen.chosen))
            overflow = overflow | seen.overflow
        return ContactRows(touching, overflow)


class _Motion(NamedTuple):
    """How degrees of freedom move points about one origin; ``(nv, 3, batch)`` each."""

    origin: Tensor
    turn: Tensor
    shift: Tensor

    @classmethod
    def of(cls, kinetics: Kinetics) -> _Motion:
        origin = kinetics.origin[:1]
        turn = kinetics.axis * kinetics.turns
        arm = kinetics.anchor + (kinetics.origin - origin)
        shift = torch.where(kinetics.turns > 0, cross(arm, kinetics.axis), kinetics.axis)
        return cls(origin, turn, shift)


class _Seen(NamedTuple):
    """Contacts in their slots, and their parameters; ``(k, n)`` or ``(k, n, batch)``."""

    touch: Touch
    side: Tensor
    friction: Tensor
    solref: Tensor
    solimp: Tensor
    edge: Tensor  # margin, inverse inertia to shifts and to turns
    overflow: Tensor
    bodies: tuple[Tensor, Tensor]  # of all candidates
    chosen: Tensor | None


class _Group:
    """Contacts of one dimension."""

    def __init__(
        self, description: Description, rows: IntArray, dim: int, slots: int | None
    ) -> None:
        tree, pairs, options = description.tree, description.pairs, description.options
        geom1, geom2 = pairs.geom1[rows], pairs.geom2[rows]
        self._geometry = Geometry(tree, geom1, geom2)
        candidates = self._geometry.pair
        body1 = tree.geoms.body[geom1][candidates]
        body2 = tree.geoms.body[geom2][candidates]
        moves = _moves(description)
        self._constants = Constants(rows[candidates], body1, body2, moves[body2] - moves[body1])
        self._slots = slots
        self._dim, self._elliptic = dim, options.cone is Cone.ELLIPTIC
        self._impratio = options.impratio
        self._shortest = 2 * options.timestep if options.refsafe else 0.0

    def see(self, physics: Physics, weights: Weights, poses: Poses, snug: bool) -> _Seen | None:
        """Where the contacts are; ``None`` where there are none, if only as many are asked for."""
        pair, body1, body2, side = self._constants.like(poses.position)
        touch = self._geometry(poses)
        # The gap only says from where on MuJoCo lists a contact.
        margin = physics.pair_margin.index_select(0, pair)
        light = weights.body.index_select(0, body1) + weights.body.index_select(0, body2)
        tables = [
            side,
            physics.pair_friction.index_select(0, pair),
            physics.pair_solref.index_select(0, pair),
            physics.pair_solimp.index_select(0, pair),
            torch.cat([margin[:, None], light], 1),
        ]
        left = touch.distance.detach() - margin.detach()[:, None]
        overflow = torch.zeros_like(left[0], dtype=torch.bool)
        slots, chosen = self._slots, None
        if snug:
            most = int((left < 0).sum(0).max())
            if most == 0:
                return None
            slots = min(most, len(left) if slots is None else slots)
        if slots is not None and slots < len(left):
            chosen = torch.topk(left, slots, dim=0, largest=False, sorted=False).indices
            touch = Touch(*(_pick(value, chosen) for value in touch))
            tables = [table[chosen].permute(0, 2, 1) for table in tables]
            overflow = (left < 0).sum(0) > slots
        side, friction, solref, solimp, edge = tables
        return _Seen(touch, side, friction, solref, solimp, edge, overflow, (body1, body2), chosen)

    def block(self, seen: _Seen, motion: _Motion, v: Tensor) -> Pressing:
        """Their rows."""
        touch, dim = seen.touch, self._dim
        margin, shift, _ = columns(seen.edge)
        friction = columns(seen.friction)[: dim - 1]
        distance = touch.distance - margin
        there = distance < 0
        distance = torch.where(there, distance, 0.0)
        d = impedance(seen.solimp, distance)
        stiffness, damping = reference(seen.solref, seen.solimp, self._shortest)
        pulled = -stiffness * d * distance
        jacobian = _jacobian(touch, seen.side, motion, dim)
        if dim == 1:
            firmness = torch.where(there, 1 / regularizer(d, shift), 0.0)
            row = jacobian[:, 0]
            return Dense(row, pulled - damping * (row * v).sum(1), firmness)
        if self._elliptic:
            normal = regularizer(d, shift)
            return self._cones(jacobian, v, normal, there, friction, pulled, damping)
        # One common R of the edges, that matches the friction of the elliptic cone.
        weight = regularizer(d, shift * (1 + friction[0].square()))
        common = 2 * friction[0].square() / self._impratio * weight
        firmness = torch.where(there, 1 / common, 0.0)
        slopes = torch.stack(friction, 1)
        asked = -damping[:, None] * along_edges(jacobian, slopes, v) + pulled[:, None]
        return Edges(jacobian, slopes, asked, firmness)

    def _cones(
        self,
        jacobian: Tensor,
        v: Tensor,
        normal: Tensor,
        there: Tensor,
        friction: tuple[Tensor, ...],
        pulled: Tensor,
        damping: Tensor,
    ) -> Cones:
        """R of the other rows falls with the square of their friction."""
        factors = [torch.ones_like(normal)]
        factors += [(f / friction[0]).square() * self._impratio + 0 * normal for f in friction]
        firmness = torch.where(there, 1 / normal, 0.0)[:, None] * torch.stack(factors, 1)
        asked = -damping[:, None] * (jacobian * v).sum(2)
        asked = torch.cat([asked[:, :1] + pulled[:, None], asked[:, 1:]], 1)
        return Cones(
            jacobian, asked, firmness, torch.stack(friction, 1), friction[0] / self._impratio**0.5
        )


def _moves(description: Description) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Which degrees of freedom move a body, ``(nbody, nv)`` of 0 and 1."""
    tree = description.tree
    starts = [*tree.joints.dof_index.tolist(), tree.nv]
    moves = np.zeros((len(tree.bodies.names), tree.nv))
    for j, body in enumerate(tree.joints.body.tolist()):
        moves[body, starts[j] : starts[j + 1]] = 1.0
    for body in range(1, len(moves)):
        moves[body] = np.maximum(moves[body], moves[int(tree.bodies.parent[body])])
    return moves


def _jacobian(touch: Touch, side: Tensor, motion: _Motion, dim: int) -> Tensor:
    """How bodies move apart along, and turn about, the contact axes, ``(k, dim, nv, batch)``."""
    axes = contact_frames(touch.normal, touch.tangent)
    arm = touch.position - motion.origin
    rows = [
        _paired(axis, motion.shift) + _paired(cross(arm, axis), motion.turn)
        for axis in axes[: min(dim, 3)]
    ]
    rows += [_paired(axis, motion.turn) for axis in axes[: dim - 3] if dim > 3]
    sides = side[..., None] if side.ndim == 2 else side
    return torch.stack(rows, 1) * sides[:, None]


def _paired(left: Tensor, right: Tensor) -> Tensor:
    """Inner products ``(k, nv, batch)`` of ``(k, 3, batch)`` with ``(nv, 3, batch)``."""
    x, y, z = left[:, None].unbind(2)
    total = torch.addcmul(x * right[:, 0], y, right[:, 1])
    return torch.addcmul(total, z, right[:, 2])


def _pick(values: Tensor, chosen: Tensor) -> Tensor:
    """Rows ``(slots, ..., batch)`` of ``(k, ..., batch)``."""
    if values.ndim == 2:
        return values.gather(0, chosen)
    index = chosen[:, None].expand(-1, values.shape[1], -1)
    return values.expand(-1, -1, chosen.shape[1]).gather(0, index)
