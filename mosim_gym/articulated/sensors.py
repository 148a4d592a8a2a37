"""Touch sensors: what they read of the forces of contacts.

A sensor belongs to a site of a body. It reads the sum of the normal forces of that body's contacts
whose ray, from the contact along its normal and out of the body, meets the volume of the site
(MuJoCo documentation, XML reference: sensor/touch; `mj_sensorAcc`).

The batch is the last axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.kinetics import Kinetics
from mosim_gym.articulated.rays import RAYS
from mosim_gym.articulated.rows import Pressing
from mosim_gym.articulated.shapes import Touch
from mosim_gym.robots.frames import rotation_of
from mosim_gym.robots.poses import Constants
from mosim_gym.robots.tree import IntArray, Sites
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco

_TOUCH = 0  # mjSENS_TOUCH


@dataclass(frozen=True, slots=True, eq=False)
class Sensors:
    """Touch sensors as they are told.

    Attributes:
        names: as in the MJCF, in the order of sensordata, as in `RobotSpec.touch`.
        body: that each is fixed to, ``(ns,)``.
        position: of its site in the body frame, ``(ns, 3)``.
        quaternion: of its site in the body frame, ``(ns, 4)``.
        size: of its site, in MuJoCo's meaning for the shape, ``(ns, 3)``.
        shape: of its site, MuJoCo's mjtGeom number, ``(ns,)``.
    """

    names: tuple[str, ...]
    body: IntArray
    position: Float64Array
    quaternion: Float64Array
    size: Float64Array
    shape: IntArray


def sensors_of(model: mujoco.MjModel, sites: Sites) -> Sensors | None:
    """The touch sensors of a compiled model.

    ``None`` if it has none, or one that reads another number: through a shape whose rays are not
    covered, cut off, late, or from time to time.
    """
    chosen = np.flatnonzero(model.sensor_type == _TOUCH)
    at = np.array(model.sensor_objid[chosen], dtype=np.int64)
    shape = np.array(model.site_type[at], dtype=np.int64)
    altered = (model.sensor_cutoff, model.sensor_delay, model.sensor_interval)
    if (
        not len(chosen)
        or set(shape.tolist()) - RAYS.keys()
        or any(v[chosen].any() for v in altered)
    ):
        return None
    return Sensors(
        names=tuple(model.sensor(i).name for i in chosen.tolist()),
        body=sites.body[at],
        position=sites.position[at],
        quaternion=sites.quaternion[at],
        size=sites.size[at],
        shape=shape,
    )


class Touching(NamedTuple):
    """Contacts of one dimension, in their slots.

    Attributes:
        block: what they ask for.
        touch: where they are.
        bodies: the first and the second of every candidate for a slot, ``(n,)`` each.
        chosen: the candidates in the slots, ``(k, batch)``; ``None`` if there is one for each.
    """

    block: Pressing
    touch: Touch
    bodies: tuple[Tensor, Tensor]
    chosen: Tensor | None

    def sides(self) -> tuple[Tensor, Tensor]:
        """Their first and their second bodies, ``(k, batch or 1)``."""
        first, second = self.bodies
        if self.chosen is None:
            return first[:, None], second[:, None]
        return first[self.chosen], second[self.chosen]

    def normal_force(self, acceleration: Tensor) -> Tensor:
        """By which bodies that move with accelerations ``(nv, batch)`` press, ``(k, batch)`` N."""
        block = self.block
        return -block.normal(block.gradient(block.miss(acceleration)))


class Readings:
    """What sensors read, compiled once for batches of any dtype on any device."""

    def __init__(self, sensors: Sensors) -> None:
        """Sort the sensors by shape."""
        self._count = len(sensors.names)
        rotation = np.array([rotation_of(q / np.linalg.norm(q)) for q in sensors.quaternion])
        self._kinds = [
            (
                RAYS[shape],
                Constants(
                    rows,
                    sensors.body[rows],
                    sensors.position[rows][..., None],
                    rotation[rows],
                    sensors.size[rows][:, None, :, None],
                ),
            )
            for shape in dict.fromkeys(sensors.shape.tolist())
            for rows in [np.flatnonzero(sensors.shape == shape)]
        ]

    def __call__(
        self, contacts: Sequence[Touching], kinetics: Kinetics, acceleration: Tensor
    ) -> Tensor:
        """The readings in newtons, ``(batch, ns)``.

        Args:
            contacts: of the batch.
            kinetics: of the batch.
            acceleration: under all constraints, of the moment, ``(batch, nv)`` (qacc).
        """
        total = acceleration.new_zeros(self._count, len(acceleration))
        for contact in contacts:
            force = contact.normal_force(acceleration.t())
            for meets, constants in self._kinds:
                rows, body, offset, turn, size = constants.like(acceleration)
                ray = _rays(contact, body)
                rotation = kinetics.rotation.index_select(1, body)
                place = kinetics.position.index_select(1, body) + (rotation @ offset)[..., 0]
                axes = (rotation @ turn).permute(1, 2, 3, 0)[:, None]
                start = contact.touch.position - place.permute(1, 2, 0)[:, None]
                felt = meets(_along(axes, start), _along(axes, ray), size) & (ray != 0).any(2)
                total = total.index_add(0, rows, torch.where(felt, force, 0.0).sum(1))
        return total.t()


def _rays(contact: Touching, body: Tensor) -> Tensor:
    """Directions ``(ns, k, 3, batch)`` out of the sensors' bodies; zero for contacts of others."""
    normal = contact.touch.normal
    first, second = (side == body[:, None, None] for side in contact.sides())
    # Normals lead from the first body to the second.
    return (first.to(normal) - second.to(normal))[:, :, None] * normal


def _along(axes: Tensor, vectors: Tensor) -> Tensor:
    """Coordinates of ``(ns, k, 3, batch)`` along the columns of ``(ns, 1, 3, 3, batch)``."""
    return (axes * vectors[..., None, :]).sum(2)
