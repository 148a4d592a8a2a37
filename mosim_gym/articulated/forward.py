"""The whole forward dynamics: from state and control to acceleration, as MuJoCo has it.

Smooth forces, then constraints (limits, dry friction, contacts), then what the integrator steps
implicitly (documentation: Computation, Simulation pipeline).

What is solved for is found without derivatives. Where these are wanted, one Newton step on the
equations of motion, in which the acceleration is given and forces are asked for, has exactly those
of the solution (implicit function theorem): neither solvers nor mass matrices are differentiated.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.articulated.contacts import SLOTS, Contacts
from mosim_gym.articulated.description import Description
from mosim_gym.articulated.factor import Solve, factorised
from mosim_gym.articulated.implicit import Implicit
from mosim_gym.articulated.kinetics import Kinetics
from mosim_gym.articulated.limits import JointRows
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.rows import Block
from mosim_gym.articulated.sensors import Readings, Touching
from mosim_gym.articulated.smooth import Smooth, State
from mosim_gym.articulated.solver import Solution, minimum
from mosim_gym.articulated.strings import StringRows
from mosim_gym.articulated.weights import InverseWeights, Weights

#: Iterations that a row may take where others do not wait for it. One in 500 of Go2's states under
#: random actions needs more than the usual 8, none more than 16; one that is lost ends a rollout.
_PATIENCE = 24


class Prepared(NamedTuple):
    """Physics, and what follows from it alone."""

    physics: Physics
    weights: Weights

    def detach(self) -> Prepared:
        """The same, cut off from the autograd graph."""
        physics = Physics(*(value.detach() for value in self.physics))
        return Prepared(physics, Weights(*(value.detach() for value in self.weights)))


class _Found(NamedTuple):
    """Accelerations without derivatives, and what solves for corrections of them.

    Attributes:
        moment: under constraints, of the moment, ``(batch, nv)`` (qacc).
        correct: solves with the second derivative there.
        step: of the integrator's step, ``(batch, nv)``.
        correct_step: solves with the matrix of the step.
        converged: ``(batch,)`` bool.
    """

    moment: Tensor
    correct: Solve
    step: Tensor
    correct_step: Solve
    converged: Tensor


class _Posed(NamedTuple):
    """What is known of a batch before derivatives are asked for.

    Attributes:
        state: of the batch.
        kinetics: of the batch.
        blocks: all constraints.
        touching: those of contacts.
        found: accelerations under them.
        converged: which rows are solved, ``(batch,)`` bool.
    """

    state: State
    kinetics: Kinetics
    blocks: list[Block]
    touching: list[Touching]
    found: _Found
    converged: Tensor


class Forward:
    """Forward dynamics of a body, compiled once for batches of any dtype on any device.

    Attributes:
        smooth: its part without constraints.
    """

    def __init__(
        self,
        description: Description,
        step: float | None = None,
        slots: int | None = SLOTS,
        iterations: int = 8,
    ) -> None:
        """Compile the description.

        Args:
            description: of the body.
            step: of the integrator, in seconds, which implicit damping depends on; the
                description's own by default.
            slots: of contacts that are kept, see `Contacts`.
            iterations: of the solver, see `minimum`; without derivatives a few rows may take more.
        """
        self.smooth = Smooth(description)
        step = description.options.timestep if step is None else step
        self._implicit = Implicit(description, self.smooth, step)
        self._weights = InverseWeights(description, self.smooth)
        self._joints = JointRows(description)
        self._strings = StringRows(description.strings) if description.strings else None
        self._contacts = Contacts(description, slots) if len(description.pairs) else None
        self._readings = Readings(description.touch) if description.touch else None
        self._iterations = iterations

    def prepare(self, physics: Physics) -> Prepared:
        """Work out what depends on the physics alone, once for many steps."""
        return Prepared(physics, self._weights(physics))

    def __call__(
        self,
        prepared: Prepared,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        ctrl: Tensor,
        *,
        differentiable: bool = True,
    ) -> Solution:
        """Accelerations ``(batch, nv)``, and which rows converged.

        By Euler and implicitfast a step adds ``step * acceleration`` to qvel: the acceleration is
        that of the step, not of the moment, where these solve for damping implicitly.

        Args:
            prepared: physics of the body.
            qpos: ``(batch, nq)``.
            qvel: ``(batch, nv)``.
            act: ``(batch, na)``; ``None`` for bodies without activations.
            ctrl: ``(batch, nu)``.
            differentiable: by physics, state and control; half as fast.
        """
        posed = self._pose(prepared, State(qpos, qvel, act, ctrl), differentiable)
        state, kinetics, blocks, _, found, converged = posed
        if not differentiable:
            return Solution(found.step, converged)
        physics, moment = prepared.physics, found.moment
        if blocks or not self._implicit.active:
            moment = self._moment(physics, posed)
        if not self._implicit.active:
            return Solution(moment, converged)
        missing = self.smooth.inverse(physics, kinetics, state, found.step)
        missing = missing + self._implicit.force(physics, state, found.step)
        missing = missing + _pulled(blocks, moment)
        return Solution(found.step - _solved(found.correct_step, missing), converged)

    def touch(
        self,
        prepared: Prepared,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        ctrl: Tensor,
        *,
        differentiable: bool = True,
    ) -> Tensor:
        """What the touch sensors of the description read in newtons, ``(batch, ns)``.

        Of the moment: what sensordata holds after `mj_forward`. NaN in rows whose solver did not
        converge. For arguments see `__call__`; the description has sensors.
        """
        assert self._readings is not None
        posed = self._pose(prepared, State(qpos, qvel, act, ctrl), differentiable)
        moment = posed.found.moment
        if differentiable:
            moment = self._moment(prepared.physics, posed)
        readings = self._readings(posed.touching, posed.kinetics, moment)
        return torch.where(posed.converged[:, None], readings, torch.nan)

    def _pose(self, prepared: Prepared, state: State, differentiable: bool) -> _Posed:
        kinetics = self.smooth.links(state.qpos)
        # As much work as this batch needs, where nothing asks for fixed shapes.
        snug = not differentiable and not torch.compiler.is_compiling()
        blocks, touching, overflow = self._blocks(prepared, kinetics, state, snug)
        found = self._find(prepared.detach(), kinetics.detach(), state.detach(), blocks, snug)
        return _Posed(state, kinetics, blocks, touching, found, found.converged & ~overflow)

    def _moment(self, physics: Physics, posed: _Posed) -> Tensor:
        """Accelerations of the moment, differentiable."""
        moment = posed.found.moment
        missing = self.smooth.inverse(physics, posed.kinetics, posed.state, moment)
        missing = missing + _pulled(posed.blocks, moment)
        return moment - _solved(posed.found.correct, missing)

    def _blocks(
        self, prepared: Prepared, kinetics: Kinetics, state: State, snug: bool
    ) -> tuple[list[Block], list[Touching], Tensor]:
        """Constraints, those of contacts, and where there are more than fit."""
        physics, weights = prepared
        blocks: list[Block] = self._joints(physics, weights, state.qpos, state.qvel)
        if self._strings:
            blocks.append(self._strings(kinetics, state.qvel, weights.string))
        if self._contacts is None:
            return blocks, [], torch.zeros_like(state.qvel[:, 0], dtype=torch.bool)
        rows = self._contacts(physics, weights, kinetics, state.qvel, snug=snug)
        return blocks + rows.blocks, rows.touching, rows.overflow

    def _find(
        self,
        prepared: Prepared,
        kinetics: Kinetics,
        state: State,
        blocks: list[Block],
        early: bool,
    ) -> _Found:
        physics = prepared.physics
        motion = self.smooth.motion(physics, kinetics, state)
        correct = factorised(motion.mass.permute(1, 2, 0))
        moment = _solved(correct, motion.force)
        converged = moment.isfinite().all(1)
        if blocks:
            most = max(self._iterations, _PATIENCE) if early else self._iterations
            least = minimum(motion.mass, moment, blocks, most, early=early)
            moment, correct = least.acceleration.t(), least.correct
            converged = least.converged
        if not self._implicit.active:
            return _Found(moment, correct, moment, correct, converged)
        matrix = self._implicit.matrix(physics, motion.mass, state)
        correct_step = factorised(matrix.permute(1, 2, 0))
        force = motion.force
        if blocks:
            force = (motion.mass @ moment.unsqueeze(2)).squeeze(2)
        return _Found(moment, correct, _solved(correct_step, force), correct_step, converged)


def _pulled(blocks: list[Block], acceleration: Tensor) -> Tensor:
    """Minus the forces of constraints, ``(batch, nv)``, that miss accelerations."""
    total = torch.zeros_like(acceleration).t()
    for block in blocks:
        total = total + block.pull(block.gradient(block.miss(acceleration.t())))
    return total.t()


def _solved(correct: Solve, force: Tensor) -> Tensor:
    """Accelerations ``(batch, nv)`` that forces ``(batch, nv)`` give."""
    return correct(force.t()).t()
