"""Where a body's parts are and along which axes each degree of freedom moves them.

Inside, the batch is the last axis, as in `mosim_gym.robots.kinematics`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.links import split
from mosim_gym.articulated.plan import Plan, compile_links
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.poses import Copies, cross
from mosim_gym.robots.tree import Tree


class Kinetics(NamedTuple):
    """A configuration of a batch; the first two are views with the batch ahead.

    Attributes:
        position: of the body frames' origins in the world, ``(batch, nbody, 3)`` (xpos).
        rotation: from body to world coordinates, ``(batch, nbody, 3, 3)`` (xmat).
        axis: of each degree of freedom in the world, ``(nv, 3, batch)``.
        anchor: a point on the axis of each turn, ``(nv, 3, batch)``, from `origin`.
        origin: of the coordinates of each degree of freedom's tree, ``(nv, 3, batch)``: its root.
        body_origin: the same for the bodies, ``(nbody, 3, batch)``.
        turns: 1 for turns, 0 for shifts, ``(nv, 1, 1)``.
        moves: which bodies (columns) a degree of freedom moves, ``(nv, nbody)`` of 0 and 1.
    """

    position: Tensor
    rotation: Tensor
    axis: Tensor
    anchor: Tensor
    origin: Tensor
    body_origin: Tensor
    turns: Tensor
    moves: Tensor

    def detach(self) -> Kinetics:
        """The same, cut off from the autograd graph."""
        return Kinetics(*(value.detach() for value in self))


class Links:
    """Kinetics of a tree, compiled once for batches of any dtype on any device."""

    def __init__(self, tree: Tree) -> None:
        """Compile the tree."""
        links = split(tree)
        self._kinematics = Kinematics(links.tree)
        with torch.inference_mode(False):
            plan = compile_links(links)
        self._plans = Copies(plan.to)

    def plan(self, like: Tensor) -> Plan:
        """The constants with the dtype of a tensor, where it is."""
        return self._plans.like(like)

    def __call__(self, qpos: Tensor) -> Kinetics:
        """The configurations of a batch of qpos ``(batch, nq)``, differentiable."""
        plan, poses = self.plan(qpos), self._kinematics(qpos)
        position = poses.position.permute(1, 2, 0)
        columns = poses.rotation.permute(1, 3, 2, 0)
        n, batch = position.shape[0], position.shape[2]
        flat = columns.reshape(3 * n, 3 * batch)
        axis = torch.mm(plan.axes, flat).view(-1, 3, batch)
        arm = torch.mm(plan.anchors, flat).view(-1, 3, batch)
        origin = position.index_select(0, plan.dof_roots)
        return Kinetics(
            position=position.index_select(0, plan.bodies).permute(2, 0, 1),
            rotation=columns.index_select(0, plan.bodies).permute(3, 0, 2, 1),
            axis=axis,
            anchor=position.index_select(0, plan.dofs) - origin + arm,
            origin=origin,
            body_origin=position.index_select(0, plan.body_roots),
            turns=plan.turns,
            moves=plan.moves,
        )


def jacobian_of_points(kinetics: Kinetics, bodies: Tensor, points: Tensor) -> Tensor:
    """How points fixed to bodies move with qvel (`mj_jac`'s jacp).

    Args:
        kinetics: of the batch.
        bodies: the body of each point, ``(k,)`` int64.
        points: in the world, ``(batch, k, 3)``.

    Returns:
        ``(batch, k, 3, nv)``; the memory has the batch last.
    """
    (k,), (nv, _, batch) = bodies.shape, kinetics.axis.shape
    axis, pivot = kinetics.axis, kinetics.anchor + kinetics.origin
    arms = points.permute(1, 2, 0)[:, None] - pivot
    turned = cross(axis.expand(k, nv, 3, batch).flatten(0, 1), arms.flatten(0, 1))
    moved = torch.where(kinetics.turns > 0, turned.view(k, nv, 3, batch), axis)
    return _masked(kinetics, bodies, moved)


def jacobian_of_turns(kinetics: Kinetics, bodies: Tensor) -> Tensor:
    """How bodies turn with qvel (`mj_jac`'s jacr), ``(batch, k, 3, nv)`` of ``(k,)`` bodies."""
    turning = kinetics.axis * kinetics.turns
    return _masked(kinetics, bodies, turning.expand(len(bodies), *turning.shape))


def _masked(kinetics: Kinetics, bodies: Tensor, moved: Tensor) -> Tensor:
    mask = kinetics.moves.index_select(1, bodies).t()[:, :, None, None]
    return (moved * mask).permute(3, 0, 2, 1)
