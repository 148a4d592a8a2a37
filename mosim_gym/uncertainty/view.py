"""A state and an action as one whitened vector with a density, as `Density` sees them.

The features of the dynamics would not do: sine and cosine lie on a circle, a depth past a limit is
zero nearly always, and such columns have no density in the plane. So angles enter as they are (of
hinges that turn freely, wrapped), and nothing enters twice. Where a body is on the ground is left
out; a free root enters by its height, the direction of gravity and velocities in its own frame.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.features import horizontal_root_positions
from mosim_gym.dynamics.manifold import rotation_matrix
from mosim_gym.robots.spec import JointType, RobotSpec
from mosim_gym.types import State

# What varies less than this in the data is shown as how far it is from there, in its own units.
_CONSTANT = 1e-6


class View(nn.Module):
    """Whitened vectors ``(batch, size)`` of states and actions."""

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: RobotSpec) -> None:
        """Work out which entries of qpos enter how."""
        super().__init__()
        dropped = set(horizontal_root_positions(spec))
        self._plain: list[int] = []
        self._turning: list[int] = []
        self._quaternions: list[int] = []
        self._free: list[tuple[int, int]] = []
        for joint in spec.joints:
            at = joint.qpos_index
            if joint.type is JointType.FREE:
                self._plain += [i for i in range(at, at + 3) if i not in dropped]
                if joint.on_root:
                    self._free.append((at + 3, joint.dof_index))
                else:
                    self._quaternions.append(at + 3)
            elif joint.type is JointType.BALL:
                self._quaternions.append(at)
            elif joint.type is JointType.HINGE and joint.range is None:
                self._turning.append(at)
            elif at not in dropped:
                self._plain.append(at)
        self._context = spec.context_inputs
        positions = len(self._plain) + len(self._turning)
        positions += 4 * len(self._quaternions) + 3 * len(self._free)
        self.size = positions + spec.nv + spec.na + self._context + spec.nu
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("scale", torch.ones(self.size))

    def forward(self, state: State, action: Tensor) -> Tensor:
        """Whitened, in the type of the weights."""
        return (self.unwhitened(state, action) - self.mean) * self.scale

    def learn_scales(self, vectors: Tensor) -> None:
        """Whiten by the mean and spread of `vectors`, as `unwhitened` gives them."""
        std = vectors.std(0)
        self.mean.copy_(vectors.mean(0))
        self.scale.copy_(torch.where(std > _CONSTANT, 1 / std, 1.0))

    def unwhitened(self, state: State, action: Tensor) -> Tensor:
        """In MuJoCo's units, ``(batch, size)``."""
        like = self.mean
        state, action = state.to(like.device).to(like.dtype), action.to(like)
        qpos, qvel = state.qpos, state.qvel
        parts = [qpos[:, self._plain]]
        if self._turning:
            angles = qpos[:, self._turning]
            parts.append(torch.remainder(angles + math.pi, 2 * math.pi) - math.pi)
        for at in self._quaternions:
            # q and -q are one rotation.
            w = qpos[:, at : at + 1]
            parts.append(torch.where(w < 0, -1.0, 1.0) * qpos[:, at : at + 4])
        for at, v in self._free:
            matrix = rotation_matrix(qpos[:, at : at + 4])
            parts.append(matrix[:, 2])
            local = torch.einsum("bij,bi->bj", matrix, qvel[:, v : v + 3])
            qvel = torch.cat([qvel[:, :v], local, qvel[:, v + 3 :]], 1)
        parts.append(qvel)
        if state.act is not None:
            parts.append(state.act)
        if self._context and state.context is not None:
            parts.append(state.context)
        return torch.cat([*parts, action], 1)
