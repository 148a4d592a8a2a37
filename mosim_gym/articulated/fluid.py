"""Drag and lift of a fluid around the body (documentation: Computation, Fluid forces).

MuJoCo's first model: each body is dragged as the box that has its mass and inertia would be. The
box is therefore a function of the physics; along which axes it lies is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.kinetics import Kinetics
from mosim_gym.articulated.physics import Physics
from mosim_gym.robots.frames import rotation_of
from mosim_gym.robots.poses import Constants, cross
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    import mujoco

_TINY = 1e-15  # mjMINVAL
#: Without springs and dampers there is no fluid (mjtDisableBit).
_NO_PASSIVE = 1 << 5 | 1 << 6
_IMPLICITFAST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Fluid:
    """What surrounds a body.

    Attributes:
        density: kg/m^3.
        viscosity: in Pa s.
        wind: its velocity in the world, ``(3,)`` m/s.
        axes: of the boxes that stand for the bodies, as quaternions in the bodies' frames,
            ``(nbody, 4)``.
    """

    density: float
    viscosity: float
    wind: Float64Array
    axes: Float64Array


def uncovered_fluid(model: mujoco.MjModel) -> Iterator[str]:
    """What of its fluid is not covered, in words."""
    option = model.opt
    if option.density or option.viscosity:
        if np.any(model.geom_fluid[:, 0]):
            yield "fluid forces on ellipsoids"
        if option.integrator == _IMPLICITFAST:
            yield "a fluid under the implicitfast integrator"


def fluid_of(model: mujoco.MjModel) -> Fluid | None:
    """The fluid of a compiled model; ``None`` where there is none, or it is switched off."""
    option = model.opt
    off = option.disableflags & _NO_PASSIVE == _NO_PASSIVE
    if off or not (option.density or option.viscosity) or any(uncovered_fluid(model)):
        return None
    return Fluid(
        density=float(option.density),
        viscosity=float(option.viscosity),
        wind=np.array(option.wind, dtype=np.float64),
        axes=np.array(model.body_iquat, dtype=np.float64),
    )


class Drag:
    """The forces of a fluid on a body (`mj_inertiaBoxFluidModel`)."""

    def __init__(self, fluid: Fluid) -> None:
        """Prepare the constants."""
        self._density, self._viscosity = fluid.density, fluid.viscosity
        turns = np.stack([rotation_of(axes) for axes in fluid.axes])
        self._constants = Constants(turns, fluid.wind[:, None])

    def __call__(self, physics: Physics, kinetics: Kinetics, velocity: Tensor) -> Tensor:
        """Wrenches ``(nbody, 6, batch)`` (torque, force) at the origins of the bodies' trees.

        Args:
            physics: whose masses and inertias say how large the boxes are.
            kinetics: of the configurations.
            velocity: of the bodies, (turn, shift) at the same origins, ``(nbody, 6, batch)``.
        """
        turns, wind = self._constants.like(velocity)
        box = _boxes(physics, turns)
        rotation = kinetics.rotation.permute(1, 2, 3, 0)
        axes = (rotation[:, :, :, None] * turns[:, None, :, :, None]).sum(2)
        arm = (rotation * physics.centre[:, None, :, None]).sum(2)
        centre = kinetics.position.permute(1, 2, 0) - kinetics.body_origin + arm
        turn = velocity[:, :3]
        shift = velocity[:, 3:] + cross(turn, centre) - wind
        torque, force = self._resistance(box, _within(axes, turn), _within(axes, shift))
        torque, force = _outside(axes, torque), _outside(axes, force)
        return torch.cat([torque + cross(centre, force), force], 1)

    def _resistance(self, box: Tensor, turn: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Torques and forces along the axes of boxes of edges ``(nbody, 3)``."""
        size = box.mean(1)[:, None, None]
        torque = -math.pi * self._viscosity * size**3 * turn
        force = -3 * math.pi * self._viscosity * size * shift
        x, y, z = box.unbind(1)
        faces = torch.stack([y * z, x * z, x * y], 1)[:, :, None]
        x4, y4, z4 = (box**4).unbind(1)
        paddles = torch.stack([x * (y4 + z4), y * (x4 + z4), z * (x4 + y4)], 1)[:, :, None]
        torque = torque - self._density / 64 * paddles * turn.abs() * turn
        force = force - self._density / 2 * faces * shift.abs() * shift
        return torque, force


def _boxes(physics: Physics, turns: Tensor) -> Tensor:
    """Edges ``(nbody, 3)`` of solid boxes of these masses and inertias along told axes."""
    moments = ((physics.inertia @ turns) * turns).sum(1)
    opposite = moments.sum(1, keepdim=True) - 2 * moments
    mass = physics.mass[:, None]
    edges = (6 * opposite.clamp_min(_TINY) / mass.clamp_min(_TINY)).sqrt()
    return torch.where(mass < _TINY, 0.0, edges)


def _within(axes: Tensor, vector: Tensor) -> Tensor:
    """Vectors of the world ``(nbody, 3, batch)`` along axes ``(nbody, 3, 3, batch)``."""
    return (axes * vector[:, :, None]).sum(1)


def _outside(axes: Tensor, vector: Tensor) -> Tensor:
    """Vectors along axes, in the world."""
    return (axes * vector[:, None]).sum(2)
