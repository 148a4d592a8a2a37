"""A kinematic tree compiled into the constants of a few large tensor operations.

With the rotations of all frames known, everything else is linear in them: the arms that a body's
origin is the sum of, and the axes that its angular velocity is the sum of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mosim_gym.robots.frames import Frames, hinge_terms, quaternion_terms
from mosim_gym.robots.places import walk
from mosim_gym.robots.tree import Tree
from mosim_gym.types import Float64Array


@dataclass(frozen=True, slots=True)
class Level:
    """How many frames are equally far from the world, and what they hang from.

    Attributes:
        hinges: number of hinge frames, which come first.
        quaternions: number of quaternion frames.
        parents: index of each one's base within the level before, ``(n,)``; the world's own
            level has none.
    """

    hinges: int
    quaternions: int
    parents: Tensor


@dataclass(frozen=True, slots=True)
class Plan:
    """Constants of the kinematics: F frames (H hinges, Q quaternions), E arms, J spins.

    A spin is an angular velocity about an axis fixed to a frame. Rotations are kept by columns,
    ``(frame, column, row, batch)``, so that what is fixed to a frame is a matrix product with
    ``(3 F, 3 batch)``.

    Attributes:
        levels: the frames in the order they are computed in.
        angles: of the hinge frames from qpos, ``(H, nq)``.
        hinges: their rotations from (1, cosine, sine), ``(H, 9, 3)``.
        quaternions: where the quaternions lie in qpos, ``(4 Q,)``.
        quaternion_start: their rotations at zero, ``(Q, 9, 1)``.
        quaternion_products: what products of their entries add to that, ``(Q, 9, 16)``.
        body_frames: the frame of each body, ``(nbody,)``.
        roots: the G points that arms lead on from, where nothing has moved, ``(3 G, 1)``.
        travel: how qpos moves them in fixed directions, ``(3 G, nq)``.
        travel_rate: the same for qvel, ``(3 G, nv)``.
        arms: from the columns of the frames, ``(E, 3 F)``.
        reach: which root and arms lead to a body, ``(nbody, G + E)``.
        slides: where in qpos the lengths of the last arms lie, those of slides, ``(S,)``.
        slide_rates: the same in qvel, ``(S,)``.
        spins: their axes from the columns of the frames, ``(J, 3 F)``.
        spin_rates: from qvel, ``(J, nv)``.
        spin_reach: which spins turn an arm or (after those) a body, ``(E + nbody, J)``.
        steady: angular velocities of arms and bodies about axes that never move, from qvel,
            ``(3 (E + nbody), nv)``; ``None`` if there are no such axes.
    """

    levels: tuple[Level, ...]
    angles: Tensor
    hinges: Tensor
    quaternions: Tensor
    quaternion_start: Tensor
    quaternion_products: Tensor
    body_frames: Tensor
    roots: Tensor
    travel: Tensor
    travel_rate: Tensor
    arms: Tensor
    reach: Tensor
    slides: Tensor
    slide_rates: Tensor
    spins: Tensor
    spin_rates: Tensor
    spin_reach: Tensor
    steady: Tensor | None

    def to(self, dtype: torch.dtype, device: torch.device) -> Plan:
        """The same constants in another dtype and on another device."""
        levels = tuple(replace(level, parents=level.parents.to(device)) for level in self.levels)
        moved = {
            item.name: value.to(device, dtype if value.is_floating_point() else value.dtype)
            for item in fields(self)
            if isinstance(value := getattr(self, item.name), Tensor)
        }
        return replace(self, levels=levels, **moved)


def compile_tree(tree: Tree, bodies: Sequence[int]) -> Plan:
    """What the poses of the given bodies need, in float64 on the CPU."""
    return _Layout(tree, bodies).plan()


class _Layout:
    """Gives rows and columns to what is needed, and only to that."""

    def __init__(self, tree: Tree, bodies: Sequence[int]) -> None:
        self.tree = tree
        self.frames = Frames()
        asked = frozenset(bodies)
        places = walk(tree, self.frames)
        # A body that was not asked for gets the world's place: a row that costs nothing.
        self.places = [places[b if b in asked else 0] for b in range(len(places))]
        arms = list(dict.fromkeys(arm for place in self.places for arm in place.arms))
        self.arms = sorted(arms, key=lambda arm: arm.slide is not None)
        needed = {place.frame for place in self.places} | {arm.frame for arm in arms}
        needed |= {above for frame in needed for above in self.frames.chain(frame)} | {0}
        self.levels: list[tuple[list[int], list[int]]] = []
        for depth in range(1 + max(self.frames.depth(frame) for frame in needed)):
            level = [frame for frame in sorted(needed) if self.frames.depth(frame) == depth]
            hinges = [frame for frame in level if self.frames[frame].quaternion is None]
            self.levels.append((hinges, [frame for frame in level if frame not in hinges]))
        self.hinges = [frame for hinges, _ in self.levels for frame in hinges]
        self.quaternions = [frame for _, quaternions in self.levels for frame in quaternions]
        order = [frame for level in self.levels for kind in level for frame in kind]
        self.row = {frame: row for row, frame in enumerate(order)}

    def plan(self) -> Plan:
        places, nq = self.places, self.tree.nq
        roots, on_root = self._roots()
        on_arm = [[arm in place.arms for arm in self.arms] for place in places]
        slides = [arm.slide for arm in self.arms if arm.slide is not None]
        constants, products = self._quaternion_terms()
        spins, rates, reach, steady = self._spins()
        return Plan(
            levels=self._levels(),
            angles=_floats(self._angles()),
            hinges=_floats(self._hinge_terms()),
            quaternions=_indices(self._quaternion_entries()),
            quaternion_start=_floats(constants),
            quaternion_products=_floats(products),
            body_frames=_indices([self.row[place.frame] for place in places]),
            roots=_floats(roots[:, :1]),
            travel=_floats(roots[:, 1 : 1 + nq]),
            travel_rate=_floats(roots[:, 1 + nq :]),
            arms=_floats(self._carried([(arm.frame, arm.offset) for arm in self.arms])),
            reach=_floats(np.hstack([on_root, on_arm])),
            slides=_indices([q for q, _ in slides]),
            slide_rates=_indices([v for _, v in slides]),
            spins=_floats(spins),
            spin_rates=_floats(rates),
            spin_reach=_floats(reach),
            steady=_floats(steady) if steady.any() else None,
        )

    def _levels(self) -> tuple[Level, ...]:
        levels = []
        above: list[int] = []
        for hinges, quaternions in self.levels:
            both = hinges + quaternions
            parents = [above.index(self.frames[frame].base) for frame in both] if above else []
            levels.append(Level(len(hinges), len(quaternions), _indices(parents)))
            above = both
        return tuple(levels)

    def _angles(self) -> Float64Array:
        angles = np.zeros((len(self.hinges), self.tree.nq))
        for row, frame in enumerate(self.hinges):
            for q, _, sign in self.frames[frame].hinges:
                angles[row, q] += sign
        return angles

    def _hinge_terms(self) -> Float64Array:
        terms = np.array([hinge_terms(self.frames[frame]) for frame in self.hinges])
        return terms.transpose(0, 3, 2, 1).reshape(-1, 9, 3)

    def _roots(self) -> tuple[Float64Array, Float64Array]:
        """Start, travel and its rate side by side, and which body has which root.

        Bodies have a root in common more often than not; one that stays at zero needs none.
        """
        every = np.array(
            [np.hstack([p.start[:, None], p.travel, p.travel_rate]) for p in self.places]
        )
        distinct, index = np.unique(every, axis=0, return_inverse=True)
        on = np.eye(len(distinct))[index.reshape(-1)]
        moved = distinct.any(axis=(1, 2))
        return distinct[moved].reshape(-1, every.shape[2]), on[:, moved]

    def _quaternion_entries(self) -> list[int]:
        where = [self.frames[frame].quaternion for frame in self.quaternions]
        return [qv[0] + k for qv in where if qv is not None for k in range(4)]

    def _quaternion_terms(self) -> tuple[Float64Array, Float64Array]:
        terms = [quaternion_terms(self.frames[frame]) for frame in self.quaternions]
        constants = np.array([constant.T for constant, _ in terms])
        products = np.array([product.transpose(1, 0, 2, 3) for _, product in terms])
        return constants.reshape(-1, 9, 1), products.reshape(-1, 9, 16)

    def _carried(self, vectors: list[tuple[int, Float64Array]]) -> Float64Array:
        """Rows that take the columns of the frames to vectors fixed to them."""
        rows = np.zeros((len(vectors), len(self.row), 3))
        for row, (frame, vector) in enumerate(vectors):
            rows[row, self.row[frame]] = vector
        return rows.reshape(len(vectors), 3 * len(self.row))

    def _spins(self) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """Axes and rates of the spins, what they turn, and what turns about steady axes."""
        carriers = [arm.frame for arm in self.arms] + [place.frame for place in self.places]
        chains = [frozenset(self.frames.chain(carrier)) for carrier in carriers]
        axes: list[tuple[int, Float64Array]] = []
        rates: list[Float64Array] = []
        turned: list[list[bool]] = []
        steady = np.zeros((len(carriers), 3, self.tree.nv))
        for frame in self.row:
            on = [frame in chain for chain in chains]
            record = self.frames[frame]
            for axis, rate in record.spins(self.tree.nv):
                if record.base == 0 and record.axis is not None:
                    steady[on] += np.outer(record.before @ record.axis, rate)
                else:
                    axes.append((frame, axis))
                    rates.append(rate)
                    turned.append(on)
        reach = np.array(turned, dtype=np.float64).reshape(len(axes), len(carriers)).T
        stacked = np.array(rates).reshape(len(axes), self.tree.nv)
        return self._carried(axes), stacked, reach, steady.reshape(3 * len(carriers), self.tree.nv)


def _floats(values: ArrayLike) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.float64))


def _indices(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)
