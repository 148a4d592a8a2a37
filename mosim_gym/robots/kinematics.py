"""Batched forward kinematics: where bodies and points on them are, and how fast they move.

Equal to MuJoCo's `mj_kinematics` and `mj_objectVelocity` for any tree of hinges, slides, balls
and free joints. Inside, the batch is the last axis: the many small matrices of a tree are then
multiplied by a few elementwise operations that run over whole rows of memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.robots.plan import Plan, compile_tree
from mosim_gym.robots.poses import Constants, Copies, Points, Poses, cross
from mosim_gym.robots.tree import IntArray, Sites, Tree
from mosim_gym.types import Float64Array

# mjMINVAL: a quaternion shorter than this is no turn.
_TINY = 1e-15


class Kinematics:
    """The kinematics of a tree, compiled once, for batches of any dtype on any device.

    Attributes:
        tree: what it was made from.
        plan: what it was compiled to.
    """

    def __init__(self, tree: Tree, bodies: Sequence[str] | None = None) -> None:
        """Compile the tree.

        Args:
            tree: bodies and joints.
            bodies: names of those whose poses are wanted; what only others need is left out.
                ``None``: all.

        Raises:
            UnknownNameError: if there is no such body.
        """
        self.tree = tree
        everything = range(len(tree.bodies.names))
        self._bodies = frozenset(everything if bodies is None else map(tree.body, bodies))
        with torch.inference_mode(False):
            self.plan = compile_tree(tree, sorted(self._bodies))
        self._plans = Copies(self.plan.to)
        self._subtrees = self._massive_subtrees()

    def __call__(self, qpos: Tensor, qvel: Tensor | None = None) -> Poses:
        """Poses of the bodies, differentiable.

        Args:
            qpos: ``(batch, nq)``; quaternions need not have length one.
            qvel: ``(batch, nv)``; without it there are no velocities.
        """
        plan = self._plans.like(qpos)
        q, batch = qpos.t(), qpos.shape[0]
        columns = _rotations(plan, q)
        flat = columns.reshape(3 * columns.shape[0], 3 * batch)
        arms = _vectors(torch.mm(plan.arms, flat))
        roots = _by_three(torch.addmm(plan.roots, plan.travel, q))
        stretched = _stretched(plan, arms, q)
        position = _sums(plan, roots, stretched)
        rotation = columns.index_select(0, plan.body_frames).permute(3, 0, 2, 1)
        if qvel is None:
            return Poses(position, rotation)
        v, n = qvel.t(), len(plan.arms)
        turning = _turning(plan, flat, v)
        rates = _with_sliding(plan, cross(turning[:n], stretched), arms, v)
        speeds = _by_three(torch.mm(plan.travel_rate, v))
        linear = _sums(plan, speeds, rates)
        return Poses(position, rotation, linear, turning[n:].permute(2, 0, 1))

    def sites(self, *names: str) -> Points:
        """The centres of the sites of these names (site_xpos)."""
        return self._placed(self.tree.sites, [self.tree.site(name) for name in names])

    def geoms(self, *names: str) -> Points:
        """The centres of the geoms of these names (geom_xpos)."""
        return self._placed(self.tree.geoms, [self.tree.geom(name) for name in names])

    def centres(self, *names: str) -> Points:
        """The centres of mass of the bodies of these names (xipos)."""
        bodies = np.array([self.tree.body(name) for name in names], dtype=np.int64)
        return self._points(bodies, self.tree.bodies.centre[bodies])

    def subtree_centre(self, poses: Poses, body: str) -> Tensor:
        """Centre of mass of a body and all that hangs from it, ``(batch, 3)`` (subtree_com)."""
        points, weights = self._subtree(body)
        return _mean(poses.points(points), weights)

    def subtree_velocity(self, poses: Poses, body: str) -> Tensor:
        """How fast that centre moves, ``(batch, 3)`` (subtree_linvel)."""
        points, weights = self._subtree(body)
        return _mean(poses.point_velocities(points), weights)

    def _placed(self, sites: Sites, rows: list[int]) -> Points:
        return self._points(sites.body[rows], sites.position[rows])

    def _points(self, bodies: IntArray, offsets: Float64Array) -> Points:
        missing = sorted(set(bodies.tolist()) - self._bodies)
        if missing:
            names = ", ".join(repr(self.tree.bodies.names[body]) for body in missing)
            raise MosimError(
                f"Points on {names} are asked of kinematics that were compiled without: "
                "add these bodies to Kinematics(tree, bodies=...)."
            )
        return Points(bodies, offsets)

    def _massive_subtrees(self) -> dict[str, tuple[Points, Constants]]:
        """Centres of mass of the subtrees, and the share of the mass that each has."""
        found = {}
        for name in self.tree.bodies.names:
            inside = [b for b in self.tree.subtree(name) if self.tree.bodies.mass[b] > 0]
            if inside and self._bodies.issuperset(inside):
                mass = self.tree.bodies.mass[inside]
                centres = self.centres(*(self.tree.bodies.names[b] for b in inside))
                found[name] = centres, Constants((mass / mass.sum())[None])
        return found

    def _subtree(self, body: str) -> tuple[Points, Constants]:
        found = self._subtrees.get(body)
        if found is None:
            self.tree.body(body)
            raise MosimError(
                f"The centre of mass of {body!r} and what hangs from it is asked of kinematics "
                "that lack some of these bodies, or they have no mass: give all of them to "
                "Kinematics(tree, bodies=...), or none."
            )
        return found


def _mean(values: Tensor, weights: Constants) -> Tensor:
    """Weighted mean ``(batch, 3)`` of values ``(batch, k, 3)``."""
    (shares,) = weights.like(values)
    batch, k, _ = values.shape
    flat = values.permute(1, 2, 0).reshape(k, 3 * batch)
    return torch.mm(shares, flat).view(3, batch).t()


def _rotations(plan: Plan, q: Tensor) -> Tensor:
    """Rotations of all frames by columns, ``(F, 3, 3, batch)``, from qpos ``(nq, batch)``."""
    hinges, quaternions = _hinge_rotations(plan, q), _quaternion_rotations(plan, q)
    levels: list[Tensor] = []
    h, k = 0, 0
    for level in plan.levels:
        own = hinges[h : h + level.hinges]
        if quaternions is not None and level.quaternions:
            own = torch.cat([own, quaternions[k : k + level.quaternions]])
        h, k = h + level.hinges, k + level.quaternions
        levels.append(_product(levels[-1].index_select(0, level.parents), own) if levels else own)
    return torch.cat(levels) if len(levels) > 1 else levels[0]


def _hinge_rotations(plan: Plan, q: Tensor) -> Tensor:
    angles = torch.mm(plan.angles, q)
    turns = torch.stack([torch.ones_like(angles), angles.cos(), angles.sin()], 1)
    return torch.bmm(plan.hinges, turns).view(len(plan.hinges), 3, 3, q.shape[1])


def _quaternion_rotations(plan: Plan, q: Tensor) -> Tensor | None:
    if not len(plan.quaternions):
        return None
    n, batch = len(plan.quaternion_start), q.shape[1]
    raw = q.index_select(0, plan.quaternions).view(n, 4, batch)
    unit = raw / torch.linalg.vector_norm(raw, dim=1, keepdim=True).clamp_min(_TINY)
    products = (unit[:, :, None] * unit[:, None]).view(n, 16, batch)
    turned = torch.baddbmm(plan.quaternion_start, plan.quaternion_products, products)
    return turned.view(n, 3, 3, batch)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Products of rotations that are kept by columns, ``(n, 3, 3, batch)``."""
    product = right[:, :, 0:1] * left[:, 0:1]
    product = torch.addcmul(product, right[:, :, 1:2], left[:, 1:2])
    return torch.addcmul(product, right[:, :, 2:3], left[:, 2:3])


def _sums(plan: Plan, roots: Tensor, arms: Tensor) -> Tensor:
    """Bodies ``(batch, nbody, 3)`` from roots ``(G, 3, batch)`` and arms ``(E, 3, batch)``."""
    terms = torch.cat([roots, arms])
    return _vectors(torch.mm(plan.reach, _flat(terms))).permute(2, 0, 1)


def _turning(plan: Plan, flat: Tensor, v: Tensor) -> Tensor:
    """Angular velocities of arms and bodies in the world, ``(E + nbody, 3, batch)``."""
    steady = None if plan.steady is None else _by_three(torch.mm(plan.steady, v))
    if steady is not None and not len(plan.spins):
        return steady
    axes = _vectors(torch.mm(plan.spins, flat))
    spins = _flat(axes * torch.mm(plan.spin_rates, v)[:, None])
    if steady is None:
        return _vectors(torch.mm(plan.spin_reach, spins))
    return _vectors(torch.addmm(_flat(steady), plan.spin_reach, spins))


def _by_three(rows: Tensor) -> Tensor:
    """Rows ``(3 n, batch)`` as vectors ``(n, 3, batch)``."""
    return rows.view(rows.shape[0] // 3, 3, rows.shape[1])


def _vectors(flat: Tensor) -> Tensor:
    """Vectors side by side ``(n, 3 batch)`` as ``(n, 3, batch)``."""
    return flat.view(flat.shape[0], 3, flat.shape[1] // 3)


def _flat(vectors: Tensor) -> Tensor:
    """Vectors ``(n, 3, batch)`` side by side, ``(n, 3 batch)``."""
    return vectors.view(vectors.shape[0], 3 * vectors.shape[2])


def _stretched(plan: Plan, arms: Tensor, q: Tensor) -> Tensor:
    """The arms ``(E, 3, batch)``, those of slides (the last) as long as qpos says."""
    slides = len(plan.slides)
    if not slides:
        return arms
    lengths = q.index_select(0, plan.slides)[:, None]
    return torch.cat([arms[:-slides], arms[-slides:] * lengths])


def _with_sliding(plan: Plan, rates: Tensor, arms: Tensor, v: Tensor) -> Tensor:
    """How fast the arms change: as they are turned, and those of slides as they slide."""
    slides = len(plan.slides)
    if not slides:
        return rates
    speeds = v.index_select(0, plan.slide_rates)[:, None]
    return torch.cat([rates[:-slides], rates[-slides:] + arms[-slides:] * speeds])
