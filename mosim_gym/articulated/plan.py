"""A tree of links compiled into the constant matrices of the smooth dynamics.

With the motion axes of all degrees of freedom known in the world, everything else is sums along
the paths of the tree: products with matrices of zeros and ones, without a loop over bodies.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mosim_gym.articulated.links import Links


@dataclass(frozen=True, slots=True)
class Plan:
    """Constants of the smooth dynamics of nlink links, nbody bodies and nv degrees of freedom.

    Attributes:
        bodies: the link of each body, ``(nbody,)``.
        body_roots: the root link of each body's tree, ``(nbody,)``.
        dofs: the link of each degree of freedom, ``(nv,)``.
        dof_roots: the root link of its tree, ``(nv,)``.
        axes: from the columns of the links' rotations, ``(nv, 3 nlink)``.
        anchors: the same for the way from a link's origin to the anchor, ``(nv, 3 nlink)``.
        turns: 1 for turns, 0 for shifts, ``(nv, 1, 1)``.
        moves: which bodies a degree of freedom moves, ``(nv, nbody)``.
        carries: whose motion, of the degrees of freedom (columns), its axis shares and, after
            those, whose a body shares, ``(nv + nbody, nv)``.
        rows: of the entries of the mass matrix that are not zero by structure, the diagonal
            first, ``(E,)``; the row is nearer to the world.
        columns: of the same, ``(E,)``.
        order: the entry of each place of the mass matrix, E for those that are zero,
            ``(nv nv,)``.
    """

    bodies: Tensor
    body_roots: Tensor
    dofs: Tensor
    dof_roots: Tensor
    axes: Tensor
    anchors: Tensor
    turns: Tensor
    moves: Tensor
    carries: Tensor
    rows: Tensor
    columns: Tensor
    order: Tensor

    def to(self, dtype: torch.dtype, device: torch.device) -> Plan:
        """The same constants in another dtype and on another device."""
        moved = {}
        for item in fields(self):
            value = getattr(self, item.name)
            moved[item.name] = value.to(device, dtype if value.is_floating_point() else value.dtype)
        return replace(self, **moved)


def compile_links(links: Links) -> Plan:
    """The constants, in float64 on the CPU."""
    of_body, of_dof = links.of_body, np.array([dof.link for dof in links.dofs])
    nv, n = len(links.dofs), len(links.parent)
    axes, anchors = np.zeros((nv, n, 3)), np.zeros((nv, n, 3))
    for j, dof in enumerate(links.dofs):
        axes[j, dof.frame] = dof.axis
        anchors[j, dof.link] = dof.anchor
    moves = links.above[np.ix_(of_body, of_dof)].T
    # An axis fixed to its link turns with it; that of a free body's travel is the world's.
    frames = np.array([dof.frame for dof in links.dofs])
    shares = links.above[np.ix_(frames, of_dof)]
    above = links.above[np.ix_(of_dof, of_dof)]
    # Degrees of freedom of one link: the earlier one counts as nearer to the world.
    off = [(i, j) for j in range(nv) for i in range(j) if above[j, i]]
    pairs = [(i, i) for i in range(nv)] + off
    order = np.full((nv, nv), len(pairs))
    for entry, (i, j) in enumerate(pairs):
        order[i, j] = order[j, i] = entry
    return Plan(
        bodies=_indices(of_body),
        body_roots=_indices([links.root(link) for link in of_body.tolist()]),
        dofs=_indices(of_dof),
        dof_roots=_indices([links.root(link) for link in of_dof.tolist()]),
        axes=_floats(axes.reshape(nv, 3 * n)),
        anchors=_floats(anchors.reshape(nv, 3 * n)),
        turns=_floats([[[dof.turns]] for dof in links.dofs]),
        moves=_floats(moves),
        carries=_floats(np.vstack([shares, moves.T])),
        rows=_indices([i for i, _ in pairs]),
        columns=_indices([j for _, j in pairs]),
        order=_indices(order.ravel()),
    )


def _floats(values: ArrayLike) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.float64))


def _indices(values: ArrayLike) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.int64))
