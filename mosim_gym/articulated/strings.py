"""Strings: spatial tendons from site to site that can be no longer, or shorter, than they are told.

A row for either end of a string's range (documentation: Computation, Constraint model; XML
reference, spatial). How hard it is to overstretch is told with its range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.impedance import limit_rows
from mosim_gym.articulated.kinetics import Kinetics, jacobian_of_points
from mosim_gym.articulated.rows import Dense
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.tree import IntArray
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco

_SITE = 3  # mjWRAP_SITE
#: Where two sites are this close, a string has no direction.
_TINY = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """Limited strings, each a chain of straight pieces.

    Attributes:
        names: as in the MJCF, or ``tendon<i>``.
        string: which string a piece belongs to, ``(k,)``.
        bodies: that the ends of a piece are fixed to, ``(k, 2)``.
        ends: where, in the bodies' frames, ``(k, 2, 3)``.
        range: of the length, ``(n, 2)`` m.
        margin: ``(n,)``.
        solref: ``(n, 2)``.
        solimp: ``(n, 5)``.
        shortest: time constant, in seconds; 0 if shorter ones are allowed.
    """

    names: tuple[str, ...]
    string: IntArray
    bodies: IntArray
    ends: Float64Array
    range: Float64Array
    margin: Float64Array
    solref: Float64Array
    solimp: Float64Array
    shortest: float


def is_string(model: mujoco.MjModel, tendon: int) -> bool:
    """Whether a tendon runs from site to site, around nothing."""
    first = model.tendon_adr[tendon]
    kinds = model.wrap_type[first : first + model.tendon_num[tendon]]
    return bool(np.all(kinds == _SITE))


def strings_of(model: mujoco.MjModel, shortest: float) -> Strings | None:
    """The limited strings of a compiled model; ``None`` if it has none."""
    limited = [t for t in np.flatnonzero(model.tendon_limited).tolist() if is_string(model, t)]
    if not limited:
        return None
    pieces = [(k, *ends) for k, t in enumerate(limited) for ends in _pieces(model, t)]
    string, first, second = (
        np.array(column, dtype=np.int64) for column in zip(*pieces, strict=True)
    )
    sites = np.stack([first, second], 1)
    return Strings(
        names=tuple(model.tendon(t).name or f"tendon{t}" for t in limited),
        string=string,
        bodies=np.array(model.site_bodyid[sites], dtype=np.int64),
        ends=np.array(model.site_pos[sites], dtype=np.float64),
        range=np.array(model.tendon_range[limited], dtype=np.float64),
        margin=np.array(model.tendon_margin[limited], dtype=np.float64),
        solref=np.array(model.tendon_solref_lim[limited], dtype=np.float64),
        solimp=np.array(model.tendon_solimp_lim[limited], dtype=np.float64),
        shortest=shortest,
    )


def _pieces(model: mujoco.MjModel, tendon: int) -> Iterator[tuple[int, int]]:
    first = model.tendon_adr[tendon]
    sites = model.wrap_objid[first : first + model.tendon_num[tendon]].tolist()
    yield from zip(sites, sites[1:], strict=False)


class StringRows:
    """What the strings of a body ask for."""

    def __init__(self, strings: Strings) -> None:
        """Prepare the constants."""
        k, n = len(strings.string), len(strings.names)
        chains = np.zeros((n, k))
        chains[strings.string, np.arange(k)] = 1.0
        self._shortest = strings.shortest
        self._constants = Constants(
            strings.bodies.ravel(), strings.ends.reshape(2 * k, 3, 1), chains, strings.range,
            strings.margin[:, None], strings.solref, strings.solimp,
        )  # fmt: skip

    def __call__(self, kinetics: Kinetics, qvel: Tensor, weight: Tensor) -> Dense:
        """The rows of a batch: of each string its upper end, after all the lower ones.

        Args:
            kinetics: of the configurations.
            qvel: ``(batch, nv)``.
            weight: inverse inertia of each string, ``(n,)``.
        """
        _, _, _, bounds, margin, solref, solimp = self._constants.like(qvel)
        length, longer = self.lengths(kinetics)
        distance = torch.cat([length - bounds[:, :1], bounds[:, 1:] - length])
        jacobian = torch.cat([longer, -longer])
        asked, firmness = limit_rows(
            solref.repeat(2, 1),
            solimp.repeat(2, 1),
            distance - margin.repeat(2, 1),
            (jacobian * qvel.t()).sum(1),
            weight.repeat(2),
            self._shortest,
        )
        return Dense(jacobian, asked, firmness)

    def lengths(self, kinetics: Kinetics) -> tuple[Tensor, Tensor]:
        """Lengths ``(n, batch)`` and how they grow with qvel, ``(n, nv, batch)`` (ten_J)."""
        bodies, ends, chains = self._constants.like(kinetics.axis)[:3]
        rotation = kinetics.rotation.permute(1, 2, 3, 0).index_select(0, bodies)
        place = kinetics.position.permute(1, 2, 0).index_select(0, bodies)
        points = place + (rotation * ends[:, None]).sum(2)
        moved = jacobian_of_points(kinetics, bodies, points.permute(2, 0, 1)).permute(1, 2, 3, 0)
        way, stretch = points[1::2] - points[::2], moved[1::2] - moved[::2]
        piece = way.square().sum(1).clamp_min(_TINY**2).sqrt()
        longer = (way[:, :, None] * stretch).sum(1) / piece[:, None]
        nv, batch = longer.shape[1:]
        return chains @ piece, (chains @ longer.flatten(1)).view(-1, nv, batch)
