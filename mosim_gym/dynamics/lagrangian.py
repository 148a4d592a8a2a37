"""A predictor that is told joint types only, and learns the rest of a body's Lagrangian.

``M(q) a = -(dM/dt v - 1/2 d(v.M v)/dq) - dV/dq - D v + s - K q + G u + limits``, with the mass
matrix M, the potential V, damping D, springs K, constant forces s and actuator gains G learned
(documentation: Computation, General framework). Armature is part of M. For bodies of hinges and
slides that touch nothing; friction, contacts and fluids are left to correctors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.mechanics import Networks, Polynomials, Terms
from mosim_gym.dynamics.memo import Memo
from mosim_gym.dynamics.predictors import Inputs, register_predictor
from mosim_gym.dynamics.soft_limits import SoftLimits
from mosim_gym.dynamics.symmetric import Symmetric
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Integrator, JointType, RobotSpec

#: More hinges than these, and polynomials have too many weights.
MOST_HINGES = 3
# Rounds that find out which limits push; one limit takes one, and more rarely act at once.
_MOST_ROUNDS = 3


@register_predictor("lagrangian")
class Lagrangian(nn.Module):
    """Learned mass matrix and potential; the forces of motion follow from them.

    Computes in whitened coordinates: of joint j, ``q_j / scale_j``, with the scale of its
    accelerations. Up to three hinges by trigonometric polynomials, beyond by networks.
    """

    sprung: Tensor

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Start with a unit mass and no forces.

        Raises:
            MosimError: for a body with ball or free joints.
        """
        super().__init__()
        _require_flat(spec)
        nv = spec.nv
        self.symmetric = Symmetric(nv)
        self.mechanics: nn.Module = (
            Polynomials(spec, self.symmetric)
            if sum(j.type is JointType.HINGE for j in spec.joints) <= MOST_HINGES
            else Networks(spec, self.symmetric, config)
        )
        self.damping = nn.Parameter(torch.zeros(nv))
        # The context changes how controls act: it multiplies them.
        self._context = slice(features.n_features - spec.nu - spec.context_inputs, -spec.nu)
        self.needs_features = self._has_context = spec.context_inputs > 0
        self.gain = nn.Parameter(torch.zeros(spec.na + spec.nu * (1 + spec.context_inputs), nv))
        # A hinge that turns freely has no place for a spring to pull it to.
        sprung = [j.type is JointType.SLIDE or j.range is not None for j in spec.joints]
        self._has_springs = any(sprung)
        self.register_buffer("sprung", torch.tensor(sprung).double(), persistent=False)
        self.spring = nn.Parameter(torch.zeros(2, nv))
        limits = SoftLimits(spec)
        self.limits = limits if limits.limited else None
        # MuJoCo's Euler steps damping implicitly: it adds h D to the mass (`mj_Euler`).
        implicit = spec.integrator is not Integrator.RK4
        self.implicit_step = spec.control_dt / config.integrator_steps if implicit else 0.0
        self._springs, self._implicit = Memo(self._sprung), Memo(self._implicit_mass)

    def details(self) -> list[nn.Parameter]:
        """How limits harden: few states tell of it, and none before the motion is about right."""
        return [] if self.limits is None else self.limits.shape()

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)``."""
        symmetric, scale = self.symmetric, inputs.scale
        terms: Terms = self.mechanics(inputs.qpos, scale)
        speed = inputs.qvel / scale
        products = symmetric.products(speed).unsqueeze(2)
        force = torch.baddbmm(terms.force.unsqueeze(2), terms.turning, products, alpha=-1.0)
        force = torch.addcmul(force.squeeze(2), self.damping, speed, value=-1.0)
        force = torch.addmm(force, self._controls(inputs), self.gain)
        if self._has_springs:
            constant, stiffness = self._springs(self.spring)
            force = torch.addcmul(force + constant, stiffness, inputs.qpos, value=-1.0)
        mass = terms.mass
        if self.limits is not None:
            force = force + self._limit_force(self.limits, mass, force, inputs)
        if self.implicit_step:
            mass = mass + self._implicit(self.damping)
        return symmetric.solve(mass, force)

    def _sprung(self, spring: Tensor) -> tuple[Tensor, Tensor]:
        """Constant forces and stiffnesses, 0 where there is no spring."""
        constant, stiffness = spring * self.sprung
        return constant, stiffness

    def _implicit_mass(self, damping: Tensor) -> Tensor:
        """What implicit damping adds to the entries of the mass matrix."""
        none = damping.new_zeros(self.symmetric.n_entries)
        return self.symmetric.add_diagonal(none.unsqueeze(0), self.implicit_step * damping)

    def _controls(self, inputs: Inputs) -> Tensor:
        parts = [] if inputs.act is None else [inputs.act]
        parts.append(inputs.action)
        if self._has_context:
            context = inputs.features[:, self._context]
            parts.append((context.unsqueeze(2) * inputs.action.unsqueeze(1)).flatten(1))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _limit_force(
        self, limits: SoftLimits, mass: Tensor, force: Tensor, inputs: Inputs
    ) -> Tensor:
        """Forces of the limits: the minimum of Gauss' principle."""
        past, asked, softness = limits(inputs.qpos, inputs.qvel, inputs.scale)
        if len(limits.limited) == 1:
            return self._only_force(limits.limited[0], mass, force, past, asked, softness)
        acceleration = self.symmetric.solve(mass, force)
        pushing = torch.zeros_like(force)
        # By active sets.
        for _ in range(min(len(limits.limited), _MOST_ROUNDS)):
            pushing = (past * (acceleration - asked) > 0) / softness
            stiffened = self.symmetric.add_diagonal(mass, pushing)
            acceleration = self.symmetric.solve(stiffened, force + pushing * asked)
        return pushing * (asked - acceleration)

    def _only_force(
        self, dof: int, mass: Tensor, force: Tensor, past: Tensor, asked: Tensor, softness: Tensor
    ) -> Tensor:
        """The same for a single limit, in closed form: few operations."""
        # How every coordinate answers to a force on this one, and so it to forces on the others.
        column = self.symmetric.column_of_inverse(mass, dof)
        missing = asked - (column * force).sum(1, keepdim=True)
        pushed = missing / (softness + column[:, dof : dof + 1])
        # A limit only pushes back; other coordinates are past nothing.
        return pushed * (past * missing < 0)


def _require_flat(spec: RobotSpec) -> None:
    other = [joint.name for joint in spec.joints if joint.type.nq > 1]
    if other:
        raise MosimError(
            f'The predictor "lagrangian" is for bodies of hinges and slides; {spec.name} has '
            f'ball or free joints ({", ".join(other)}). Use "residual" or "rigid_body"; '
            'to fit, preset="default".'
        )
