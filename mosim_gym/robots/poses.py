"""Poses of bodies, and points fixed to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.robots.tree import IntArray
from mosim_gym.types import Array, Float64Array

T = TypeVar("T")


class Copies(Generic[T]):
    """Constants in any float dtype on any device, made once for each."""

    def __init__(self, make: Callable[[torch.dtype, torch.device], T]) -> None:
        """Tell how to make them; float32 and float64 on the CPU are made now."""
        self._make = make
        self._made: dict[tuple[torch.dtype, torch.device], T] = {}
        for dtype in (torch.float32, torch.float64):
            self.like(torch.empty(0, dtype=dtype, device="cpu"))

    def like(self, tensor: Tensor) -> T:
        """The constants with the dtype of a tensor, where it is."""
        key = (tensor.dtype, tensor.device)
        if key in self._made:
            return self._made[key]
        # Constants made in inference mode could not be used in training later.
        with torch.inference_mode(False):
            made = self._make(*key)
        # A graph being traced makes its own: inside, the line above has no effect.
        if not torch.compiler.is_compiling():
            self._made[key] = made
        return made


class Constants:
    """Arrays as tensors of any float dtype on any device, made once for each."""

    def __init__(self, *arrays: Array) -> None:
        """Keep the arrays; integers stay integers."""
        with torch.inference_mode(False):
            self._originals = tuple(torch.tensor(array) for array in arrays)
        self._copies = Copies(self._make)

    def like(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """The arrays with the dtype of a tensor, where it is."""
        return self._copies.like(tensor)

    def _make(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
        return tuple(
            value.to(device, dtype if value.is_floating_point() else value.dtype)
            for value in self._originals
        )


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points fixed to bodies.

    Attributes:
        bodies: the body of each, ``(k,)``.
        offsets: in the body frame, in metres, ``(k, 3)``.
    """

    bodies: IntArray
    offsets: Float64Array
    _constants: Constants = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the tensors of both."""
        columns = self.offsets.T[..., None, None]
        object.__setattr__(self, "_constants", Constants(self.bodies, columns))

    def tensors(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Bodies ``(k,)`` and offsets ``(3, k, 1, 1)`` with the dtype and device of `like`."""
        bodies, offsets = self._constants.like(like)
        return bodies, offsets


@dataclass(frozen=True, slots=True)
class Poses:
    """Poses of all bodies in the world frame; rows of bodies not asked for are not to be read.

    Attributes:
        position: of the body frames' origins, ``(batch, nbody, 3)``, metres (MuJoCo's xpos).
        rotation: from body to world coordinates, ``(batch, nbody, 3, 3)`` (xmat).
        linear: velocity of the origins, ``(batch, nbody, 3)``, m/s; ``None`` without qvel.
        angular: angular velocity, ``(batch, nbody, 3)``, rad/s; ``None`` without qvel.
    """

    position: Tensor
    rotation: Tensor
    linear: Tensor | None = None
    angular: Tensor | None = None

    def points(self, points: Points) -> Tensor:
        """Where points are, ``(batch, k, 3)``, in the world."""
        bodies, arms = self._arms(points)
        origins = self.position.permute(1, 2, 0).index_select(0, bodies)
        return (origins + arms).permute(2, 0, 1)

    def point_velocities(self, points: Points) -> Tensor:
        """How fast they move, ``(batch, k, 3)``, in the world.

        Raises:
            MosimError: if the poses were computed without velocities.
        """
        if self.linear is None or self.angular is None:
            raise MosimError("These poses have no velocities; call the kinematics with qvel.")
        bodies, arms = self._arms(points)
        linear = self.linear.permute(1, 2, 0).index_select(0, bodies)
        angular = self.angular.permute(1, 2, 0).index_select(0, bodies)
        return (linear + cross(angular, arms)).permute(2, 0, 1)

    def _arms(self, points: Points) -> tuple[Tensor, Tensor]:
        """The points' bodies, and ways from the bodies' origins to them, ``(k, 3, batch)``."""
        bodies, (x, y, z) = points.tensors(self.position)
        columns = self.rotation.permute(1, 3, 2, 0).index_select(0, bodies)
        arms = torch.addcmul(columns[:, 0] * x, columns[:, 1], y)
        return bodies, torch.addcmul(arms, columns[:, 2], z)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross products along axis 1, ``(n, 3, batch)``."""
    # torch.linalg.cross goes through memory one vector at a time.
    (ax, ay, az), (bx, by, bz) = a.unbind(1), b.unbind(1)
    x = torch.addcmul(ay * bz, az, by, value=-1)
    y = torch.addcmul(az * bx, ax, bz, value=-1)
    z = torch.addcmul(ax * by, ay, bx, value=-1)
    return torch.stack([x, y, z], 1)
