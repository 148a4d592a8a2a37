"""The smooth part of the dynamics: mass matrix and all forces but those of constraints.

Composite rigid bodies and recursive Newton-Euler (documentation: Computation, General framework;
Featherstone, Rigid Body Dynamics Algorithms, 2008), with the recursions written as products with
constant matrices: what a degree of freedom moves is summed at once. Spatial vectors are (turn,
shift) of six rows, at the origin of their tree; the batch is the last axis.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.actuation import Actuation
from mosim_gym.articulated.description import Description
from mosim_gym.articulated.fluid import Drag
from mosim_gym.articulated.kinetics import Kinetics, Links
from mosim_gym.articulated.passive import Passive
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.plan import Plan
from mosim_gym.robots.poses import Constants, cross


class Inertias(NamedTuple):
    """Of n bodies, or of all that n degrees of freedom move, about the origin of their tree.

    Attributes:
        turning: rotational inertia, ``(n, 3, 3, batch)``.
        moment: mass times centre, ``(n, 3, batch)``.
        mass: ``(n, 1, batch)``.
    """

    turning: Tensor
    moment: Tensor
    mass: Tensor

    def momentum(self, motion: Tensor) -> Tensor:
        """Momenta ``(n, 6, batch)`` of motions ``(n, 6, batch)``."""
        turn, shift = motion[:, :3], motion[:, 3:]
        angular = (self.turning * turn[:, None]).sum(2) + cross(self.moment, shift)
        linear = self.mass * shift - cross(self.moment, turn)
        return torch.cat([angular, linear], 1)


class Motion(NamedTuple):
    """What the smooth dynamics tell of a batch of states.

    Attributes:
        kinetics: of the configurations.
        mass: ``(batch, nv, nv)``, armature included.
        bias: Coriolis, centrifugal and gravity forces, ``(batch, nv)`` (qfrc_bias).
        passive: of springs, dampers and a fluid, ``(batch, nv)`` (qfrc_passive).
        actuator: ``(batch, nv)`` (qfrc_actuator).
    """

    kinetics: Kinetics
    mass: Tensor
    bias: Tensor
    passive: Tensor
    actuator: Tensor

    @property
    def force(self) -> Tensor:
        """All of them, ``(batch, nv)`` (qfrc_smooth)."""
        return self.passive - self.bias + self.actuator


class State(NamedTuple):
    """States and controls of a batch.

    Attributes:
        qpos: ``(batch, nq)``.
        qvel: ``(batch, nv)``.
        act: ``(batch, na)``; ``None`` for bodies without activations.
        ctrl: ``(batch, nu)``.
    """

    qpos: Tensor
    qvel: Tensor
    act: Tensor | None
    ctrl: Tensor

    def detach(self) -> State:
        """The same, cut off from the autograd graph."""
        act = None if self.act is None else self.act.detach()
        return State(self.qpos.detach(), self.qvel.detach(), act, self.ctrl.detach())


class Smooth:
    """The smooth dynamics of a body, compiled once for batches of any dtype on any device."""

    def __init__(self, description: Description) -> None:
        """Compile the description."""
        self.links = Links(description.tree)
        self.passive = Passive(description)
        self.actuation = Actuation(description)
        self._drag = Drag(description.fluid) if description.fluid else None
        self._gravity = Constants(description.options.gravity[:, None])

    def __call__(
        self, physics: Physics, qpos: Tensor, qvel: Tensor, act: Tensor | None, ctrl: Tensor
    ) -> Motion:
        """Mass matrix and forces.

        Args:
            physics: of the body.
            qpos: ``(batch, nq)``; quaternions need not have length one.
            qvel: ``(batch, nv)``.
            act: ``(batch, na)``; ``None`` for bodies without activations.
            ctrl: ``(batch, nu)``.
        """
        return self.motion(physics, self.links(qpos), State(qpos, qvel, act, ctrl))

    def motion(self, physics: Physics, kinetics: Kinetics, state: State) -> Motion:
        """The same where the kinetics are known."""
        plan = self.links.plan(state.qvel)
        axes, inertias = _motion_axes(kinetics), _body_inertias(physics, kinetics)
        return Motion(
            kinetics,
            mass=_mass_matrix(plan, axes, inertias, physics.armature),
            bias=self._newton_euler(plan, axes, inertias, state.qvel, None),
            passive=self._passive(physics, plan, axes, kinetics, state),
            actuator=self.actuation(physics, *state),
        )

    def mass_matrix(self, physics: Physics, qpos: Tensor) -> tuple[Tensor, Kinetics]:
        """The mass matrix alone, ``(batch, nv, nv)``, and the kinetics it comes from."""
        plan, kinetics = self.links.plan(qpos), self.links(qpos)
        inertias = _body_inertias(physics, kinetics)
        return _mass_matrix(plan, _motion_axes(kinetics), inertias, physics.armature), kinetics

    def inverse(
        self, physics: Physics, kinetics: Kinetics, state: State, acceleration: Tensor
    ) -> Tensor:
        """Inverse dynamics: forces ``(batch, nv)`` missing for accelerations ``(batch, nv)``.

        Equal to ``M a + bias - passive - actuator``, without the cost of M.
        """
        plan = self.links.plan(state.qvel)
        axes, inertias = _motion_axes(kinetics), _body_inertias(physics, kinetics)
        force = self._newton_euler(plan, axes, inertias, state.qvel, acceleration)
        force = force + physics.armature * acceleration
        force = force - self._passive(physics, plan, axes, kinetics, state)
        return force - self.actuation(physics, *state)

    def _passive(
        self, physics: Physics, plan: Plan, axes: Tensor, kinetics: Kinetics, state: State
    ) -> Tensor:
        """Forces of springs, dampers and the fluid, ``(batch, nv)``."""
        force = self.passive(physics, state.qpos, state.qvel)
        if self._drag is None:
            return force
        velocity = _product(plan.carries[len(axes) :], axes * state.qvel.t()[:, None])
        wrench = self._drag(physics, kinetics, velocity)
        return force + (axes * _product(plan.moves, wrench)).sum(1).t()

    def _newton_euler(
        self, plan: Plan, axes: Tensor, inertias: Inertias, qvel: Tensor, qacc: Tensor | None
    ) -> Tensor:
        """Forces that make accelerations, zeros by default, ``(batch, nv)`` (`mj_rne`)."""
        (gravity,) = self._gravity.like(qvel)
        nv = len(axes)
        moving = axes * qvel.t()[:, None]
        velocities = _product(plan.carries, moving)
        shared, velocity = velocities[:nv], velocities[nv:]
        drift = _cross_motion(shared, moving)
        drift = drift if qacc is None else drift + axes * qacc.t()[:, None]
        drift = _product(plan.carries[nv:], drift)
        # A body at rest in a field of gravity is one that accelerates upwards.
        acceleration = torch.cat([drift[:, :3], drift[:, 3:] - gravity], 1)
        force = inertias.momentum(acceleration)
        force = force + _cross_force(velocity, inertias.momentum(velocity))
        return (axes * _product(plan.moves, force)).sum(1).t()


def _motion_axes(kinetics: Kinetics) -> Tensor:
    """The motion of a tree that each degree of freedom is, ``(nv, 6, batch)`` (cdof)."""
    axis, turns = kinetics.axis, kinetics.turns
    shift = torch.where(turns > 0, cross(kinetics.anchor, axis), axis)
    return torch.cat([axis * turns, shift], 1)


def _body_inertias(physics: Physics, kinetics: Kinetics) -> Inertias:
    columns = kinetics.rotation.permute(1, 3, 2, 0)
    arm = (columns * physics.centre[:, :, None, None]).sum(1)
    centre = kinetics.position.permute(1, 2, 0) - kinetics.body_origin + arm
    mass = physics.mass[:, None, None]
    moment = mass * centre
    # R I R': the columns of R weighted by I, times those of R.
    weighted = (physics.inertia[:, :, :, None, None] * columns[:, :, None]).sum(1)
    own = (weighted[:, :, :, None] * columns[:, :, None]).sum(1)
    square = (moment * centre).sum(1)[:, None, None] * torch.eye(3).to(centre)[:, :, None]
    turning = own + square - moment[:, :, None] * centre[:, None]
    return Inertias(turning, moment, mass.expand(-1, 1, centre.shape[2]))


def _mass_matrix(plan: Plan, axes: Tensor, bodies: Inertias, armature: Tensor) -> Tensor:
    n, batch = len(bodies.mass), axes.shape[2]
    parts = [bodies.turning.reshape(n, 9, batch), bodies.moment, bodies.mass]
    moved = _product(plan.moves, torch.cat(parts, 1))
    turning = moved[:, :9].view(-1, 3, 3, batch)
    composite = Inertias(turning, moved[:, 9:12], moved[:, 12:])
    momentum = composite.momentum(axes).index_select(0, plan.columns)
    entries = (axes.index_select(0, plan.rows) * momentum).sum(1)
    nv = len(axes)
    diagonal = entries[:nv] + armature[:, None]
    none = torch.zeros_like(entries[:1])
    entries = torch.cat([diagonal, entries[nv:], none])
    # The memory keeps the batch last, which is how it is solved with.
    return entries.index_select(0, plan.order).view(nv, nv, batch).permute(2, 0, 1)


def _product(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Sums ``(m, k, batch)`` of ``(n, k, batch)``, weighted by the rows of ``(m, n)``."""
    _, k, batch = vectors.shape
    return torch.mm(matrix, vectors.reshape(-1, k * batch)).view(-1, k, batch)


def _cross_motion(velocity: Tensor, motion: Tensor) -> Tensor:
    """How motions fixed to something that moves change, ``(n, 6, batch)``."""
    spin, travel = velocity[:, :3], velocity[:, 3:]
    turn, shift = motion[:, :3], motion[:, 3:]
    return torch.cat([cross(spin, turn), cross(spin, shift) + cross(travel, turn)], 1)


def _cross_force(velocity: Tensor, momentum: Tensor) -> Tensor:
    """How momenta of something that moves change, ``(n, 6, batch)``."""
    spin, travel = velocity[:, :3], velocity[:, 3:]
    angular, linear = momentum[:, :3], momentum[:, 3:]
    return torch.cat([cross(spin, angular) + cross(travel, linear), cross(spin, linear)], 1)
