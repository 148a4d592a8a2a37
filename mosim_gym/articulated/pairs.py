"""Which geoms can touch, and by which parameters, as MuJoCo decides it.

Documentation: Computation, Collision detection (selection of pairs) and Contact parameters
(`mj_contactParam`): priority first, then the larger friction and dimension, and a mean of solref
and solimp weighted by solmix; margins and gaps add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mosim_gym.robots.tree import IntArray
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco

# mjtDisableBit.
_NO_CONSTRAINT, _NO_CONTACT, _NO_PARENT_FILTER = 1 << 0, 1 << 4, 1 << 10
_LEAST_FRICTION, _TINY = 1e-5, 1e-15  # mjMINMU, mjMINVAL


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of geoms that can touch; of two shapes, the one lower in mjtGeom comes first.

    Attributes:
        geom1: ``(npair,)``.
        geom2: ``(npair,)``.
        condim: 1, 3, 4 or 6, ``(npair,)``.
        explicit: row of the model's own list of pairs, -1 for those found by filters, ``(npair,)``.
    """

    geom1: IntArray
    geom2: IntArray
    condim: IntArray
    explicit: IntArray

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.geom1)

    def chosen(self, index: IntArray) -> Pairs:
        """Some of them."""
        return Pairs(self.geom1[index], self.geom2[index], self.condim[index], self.explicit[index])


@dataclass(frozen=True, slots=True, eq=False)
class Contacts:
    """Parameters of contacts, by pair; meanings as in MuJoCo's mjContact.

    Attributes:
        friction: ``(npair, 5)``.
        solref: ``(npair, 2)``.
        solimp: ``(npair, 5)``.
        margin: ``(npair,)``.
        gap: ``(npair,)``.
    """

    friction: Float64Array
    solref: Float64Array
    solimp: Float64Array
    margin: Float64Array
    gap: Float64Array


def pairs_of(model: mujoco.MjModel) -> Pairs:
    """All pairs of geoms that MuJoCo's filters leave, the model's own list first."""
    if model.opt.disableflags & (_NO_CONSTRAINT | _NO_CONTACT):
        return _pairs(model, [])
    own = zip(model.pair_geom1, model.pair_geom2, strict=True)
    rows = [(*_ordered(model, int(a), int(b)), k) for k, (a, b) in enumerate(own)]
    listed = {frozenset(row[:2]) for row in rows}
    for a, b in combinations(range(model.ngeom), 2):
        if frozenset((a, b)) not in listed and _may_touch(model, a, b):
            rows.append((*_ordered(model, a, b), -1))
    return _pairs(model, rows)


def contacts_of(model: mujoco.MjModel, pairs: Pairs) -> Contacts:
    """The parameters of these pairs."""
    rows = [
        _explicit(model, k) if k >= 0 else _combined(model, a, b)
        for a, b, k in zip(
            pairs.geom1.tolist(), pairs.geom2.tolist(), pairs.explicit.tolist(), strict=True
        )
    ]
    widths = (5, 2, 5, 1, 1)
    columns = [
        np.array([row[i] for row in rows], dtype=np.float64).reshape(len(rows), width)
        for i, width in enumerate(widths)
    ]
    friction, solref, solimp, margin, gap = columns
    return Contacts(friction, solref, solimp, margin[:, 0], gap[:, 0])


def _pairs(model: mujoco.MjModel, rows: list[tuple[int, int, int]]) -> Pairs:
    dims = [int(model.pair_dim[k]) if k >= 0 else _condim(model, a, b) for a, b, k in rows]
    table = np.array(rows, dtype=np.int64).reshape(len(rows), 3)
    return Pairs(table[:, 0], table[:, 1], np.array(dims, dtype=np.int64), table[:, 2])


def _ordered(model: mujoco.MjModel, a: int, b: int) -> tuple[int, int]:
    return (b, a) if model.geom_type[a] > model.geom_type[b] else (a, b)


def _may_touch(model: mujoco.MjModel, a: int, b: int) -> bool:
    types, affinities = model.geom_contype, model.geom_conaffinity
    if not (types[a] & affinities[b] or types[b] & affinities[a]):
        return False
    first, second = sorted((int(model.geom_bodyid[a]), int(model.geom_bodyid[b])))
    welds = model.body_weldid
    weld1, weld2 = int(welds[first]), int(welds[second])
    if weld1 == weld2 or (first << 16) + second in model.exclude_signature.tolist():
        return False
    if model.opt.disableflags & _NO_PARENT_FILTER or weld1 == 0 or weld2 == 0:
        return True
    parent1 = int(welds[model.body_parentid[weld1]])
    parent2 = int(welds[model.body_parentid[weld2]])
    return parent1 != weld2 and parent2 != weld1


def _condim(model: mujoco.MjModel, a: int, b: int) -> int:
    leader = _leader(model, a, b)
    dims = model.geom_condim
    return int(max(dims[a], dims[b]) if leader is None else dims[leader])


def _leader(model: mujoco.MjModel, a: int, b: int) -> int | None:
    """The geom of higher priority, which decides alone."""
    first, second = model.geom_priority[a], model.geom_priority[b]
    if first == second:
        return None
    return a if first > second else b


Row = tuple[Float64Array, Float64Array, Float64Array, float, float]


def _explicit(model: mujoco.MjModel, k: int) -> Row:
    return (
        np.maximum(model.pair_friction[k], _LEAST_FRICTION),
        model.pair_solref[k].copy(),
        model.pair_solimp[k].copy(),
        float(model.pair_margin[k]),
        float(model.pair_gap[k]),
    )


def _combined(model: mujoco.MjModel, a: int, b: int) -> Row:
    leader = _leader(model, a, b)
    friction, solref, solimp = model.geom_friction, model.geom_solref, model.geom_solimp
    if leader is None:
        share = _share(float(model.geom_solmix[a]), float(model.geom_solmix[b]))
        rubbing = np.maximum(friction[a], friction[b])
        # A solref that is not positive holds stiffness and damping themselves.
        standard = solref[a, 0] > 0 and solref[b, 0] > 0
        reference = share * solref[a] + (1 - share) * solref[b]
        if not standard:
            reference = np.minimum(solref[a], solref[b])
        impedance = share * solimp[a] + (1 - share) * solimp[b]
    else:
        rubbing, reference, impedance = friction[leader], solref[leader], solimp[leader]
    slide, spin, roll = np.maximum(rubbing, _LEAST_FRICTION)
    return (
        np.array([slide, slide, spin, roll, roll]),
        np.array(reference),
        np.array(impedance),
        float(model.geom_margin[a] + model.geom_margin[b]),
        float(model.geom_gap[a] + model.geom_gap[b]),
    )


def _share(a: float, b: float) -> float:
    """The first geom's weight in a mean by solmix."""
    if a >= _TINY and b >= _TINY:
        return a / (a + b)
    if a < _TINY and b < _TINY:
        return 0.5
    return 1.0 if a >= _TINY else 0.0
