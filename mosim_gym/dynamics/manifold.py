"""Positions as MuJoCo moves them: numbers for slides and hinges, unit quaternions for the rest.

Quaternions are (w, x, y, z). A free joint's linear velocity is in the world frame, its angular
velocity in the body frame, and so is a ball joint's (documentation: Computation, Floating objects).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mosim_gym.robots.spec import JointType, RobotSpec

# Keeps the gradient of a norm finite at zero; far below what float32 can resolve in a step.
_TINY = 1e-30


class Manifold:
    """Displaces positions along velocities, exactly as `mj_integratePos` does."""

    def __init__(self, spec: RobotSpec) -> None:
        """Find the stretches of positions that are plain numbers, and the quaternions."""
        pieces: list[tuple[bool, int, int, int]] = []
        for joint in spec.joints:
            q, v = joint.qpos_index, joint.dof_index
            if joint.type is JointType.FREE:
                pieces += [(False, q, v, 3), (True, q + 3, v + 3, 3)]
            elif joint.type is JointType.BALL:
                pieces.append((True, q, v, 3))
            elif pieces and not pieces[-1][0]:
                _, q0, v0, n = pieces.pop()
                pieces.append((False, q0, v0, n + 1))
            else:
                pieces.append((False, q, v, 1))
        self._pieces = tuple(pieces)
        self._flat = all(not is_quaternion for is_quaternion, *_ in pieces)

    def displace(self, qpos: Tensor, velocity: Tensor, h: float) -> Tensor:
        """Positions ``(batch, nq)`` after `h` seconds at velocity ``(batch, nv)``."""
        if self._flat:
            return torch.add(qpos, velocity, alpha=h)
        parts = []
        for is_quaternion, q, v, n in self._pieces:
            speed = velocity[:, v : v + n]
            if is_quaternion:
                parts.append(rotate_quaternion(qpos[:, q : q + 4], speed, h))
            else:
                parts.append(torch.add(qpos[:, q : q + n], speed, alpha=h))
        return torch.cat(parts, 1)


def rotate_quaternion(quaternion: Tensor, angular: Tensor, h: float) -> Tensor:
    """Unit quaternions ``(batch, 4)`` after `h` seconds at body-frame `angular` ``(batch, 3)``."""
    half = torch.sqrt(angular.square().sum(1, keepdim=True) + _TINY) * (h / 2)
    w2 = torch.cos(half)
    x2, y2, z2 = (angular * (torch.sinc(half / torch.pi) * (h / 2))).unbind(1)
    w1, x1, y1, z1 = unit(quaternion).unbind(1)
    w2 = w2.squeeze(1)
    product = (
        w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
        w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
        w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
    )
    return unit(torch.stack(product, 1))


def unit(quaternion: Tensor) -> Tensor:
    """Quaternions ``(batch, 4)`` scaled to length one."""
    return quaternion / torch.sqrt(quaternion.square().sum(1, keepdim=True) + _TINY)


def rotation_matrix(quaternion: Tensor) -> Tensor:
    """Rotation matrices ``(batch, 3, 3)``, body to world, of quaternions ``(batch, 4)``."""
    w, x, y, z = unit(quaternion).unbind(1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, 1).reshape(-1, 3, 3)
