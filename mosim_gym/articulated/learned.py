"""Physics as parameters to learn: whatever their values, they are physics that can be.

Each parameter is a change from where it starts, 0 at first and of order one: positive numbers by a
factor exp(x), others by so many of their own units. Numbers that may be zero (damping, armature)
get there by a straight line that goes on where exp(x) has become small: by a logarithm they never
would, and what is left of them would be the largest error. Masses and inertias are those of some
distribution of mass (Rucker and Wensing, Smooth parameterization of rigid-body inertia, 2022): with
L upper triangular and ``m L L^T`` the second moments of mass about the centre,
``I = m (tr(L L^T) 1 - L L^T)``, which is positive and keeps the triangle inequality.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.priors import APART, parameter_widths
from mosim_gym.robots.spec import JointType

# A body flat beyond this, relative to its size squared, is given a little thickness.
_THIN = 1e-12
# Impedances are learned by their odds, d / (1 - d), which 1 has none of.
_LEAST, _MOST = 1e-4, 1 - 1e-4
_COMMON = "common_"
#: Numbers that may be zero.
_OPTIONAL = ("armature", "damping", "stiffness", "friction_loss")
# Below this change, their factor falls straight, to zero at one less.
_STRAIGHT = -3.0


class LearnedPhysics(nn.Module):
    """Parameters whose call gives physics.

    Which there are follows from the body and from what is told, so that a checkpoint fits wherever
    it started.

    Attributes:
        widths: of the priors, by parameter; see `mosim_gym.articulated.priors`.
    """

    def __init__(
        self, description: Description, start: Physics, widths: Mapping[str, float] | None = None
    ) -> None:
        """Make the parameters, at the physics of `start`.

        Args:
            description: of the body.
            start: where the numbers start.
            widths: how far they may be from there, by kind; see `mosim_gym.articulated.priors`.
        """
        super().__init__()
        self.widths = parameter_widths(widths)
        for name, value in start._asdict().items():
            self.register_buffer(f"start_{name}", value.clone())
        self.register_buffer("start_root", _root(start))
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._add_bodies(description)
        self._add_joints(description)
        self._add_actuators(description)
        self._add_contacts(description)

    @torch.no_grad()
    def restart(self, start: Physics) -> None:
        """Put all parameters to the physics of `start`."""
        for name, value in start._asdict().items():
            getattr(self, f"start_{name}").copy_(value)
        self._buffers["start_root"] = _root(start).to(self._start("root"))
        for parameter in self.parameters():
            parameter.zero_()

    def start(self) -> Physics:
        """The physics all numbers started from."""
        return Physics(*(self._start(name) for name in Physics._fields))

    def least(self, name: str) -> float:
        """What the parameter of that name cannot be less than."""
        return _STRAIGHT - 1 if name in _OPTIONAL else -math.inf

    def forward(self) -> Physics:
        """The physics, differentiable by the parameters."""
        mass = self._start("mass") * torch.exp(self._change("mass"))
        size = self._start("root").square().sum((1, 2)).sqrt()[:, None]
        rubbing = torch.exp(self._change("pair_friction"))[:, None]
        return Physics(
            mass=mass,
            centre=self._start("centre") + size * self._change("centre"),
            inertia=self._inertia(mass),
            **{name: self._start(name) * _factor(self._change(name)) for name in _OPTIONAL},
            spring_reference=self._start("spring_reference") + self._change("spring_reference"),
            gear=self._start("gear") * (1 + self._change("gear"))[:, None],
            gain=self._signed("gain"),
            bias=self._signed("bias"),
            limit_solref=self._start("limit_solref") * torch.exp(self._change("limit_solref")),
            limit_solimp=self._impedance("limit_solimp"),
            pair_friction=self._start("pair_friction") * rubbing,
            pair_solref=self._start("pair_solref") * torch.exp(self._change("pair_solref")),
            pair_solimp=self._impedance("pair_solimp"),
            **{
                name: self._start(name)
                for name in (
                    "time_constant", "limit_margin", "friction_solref", "friction_solimp",
                    "pair_margin", "pair_gap",
                )
            },
        )  # fmt: skip

    def _inertia(self, mass: Tensor) -> Tensor:
        root = self._start("root")
        size = root.square().sum((1, 2)).sqrt()[:, None, None]
        width, skew = self._change("width"), self._change("skew")
        stretched = torch.diag_embed(torch.diagonal(root, dim1=1, dim2=2) * torch.exp(width))
        x, y, z = (size[:, 0, 0] * part for part in skew.unbind(1))
        none = torch.zeros_like(x)
        rows = [torch.stack(row, 1) for row in ((none, x, y), (none, none, z), (none, none, none))]
        changed = stretched + torch.triu(root, 1) + torch.stack(rows, 1)
        second = changed @ changed.transpose(1, 2)
        trace = second.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        eye = torch.eye(3).to(second)
        return mass[:, None, None] * (trace * eye - second)

    def _signed(self, name: str) -> Tensor:
        start = self._start(name)
        # One unit an actuator: the larger of what gain and bias start at.
        both = torch.cat([self._start("gain"), self._start("bias")], 1)
        unit = both.abs().amax(1, keepdim=True)
        return start + unit * self._change(name)

    def _impedance(self, name: str) -> Tensor:
        start, change = self._start(name), self._change(name)
        held = start[:, :2].clamp(_LEAST, _MOST)
        odds = torch.logit(held) + change[:, :2]
        # Where nothing is learned, exactly what it was.
        ends = torch.sigmoid(odds) + (start[:, :2] - held)
        return torch.cat([ends, start[:, 2:3] * torch.exp(change[:, 2:]), start[:, 3:]], 1)

    def _start(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, f"start_{name}"))

    def _change(self, name: str) -> Tensor:
        """The change of a number: its parameter where there is one, zeros elsewhere."""
        shape = self._shapes[name]
        nothing = self._start("mass").new_zeros(shape)
        if not hasattr(self, name):
            return nothing
        rows, value = getattr(self, f"rows_{name}"), getattr(self, name)
        if hasattr(self, _COMMON + name):
            value = value + getattr(self, _COMMON + name)
        return nothing.index_add(0, rows, value.expand(len(rows), *shape[1:]))

    def _add(
        self,
        name: str,
        shape: tuple[int, ...],
        rows: np.ndarray,
        *,
        one: bool = False,
        alike: bool = False,
    ) -> None:
        """A parameter for some rows of a number.

        Args:
            name: of the number.
            shape: of it, one row a body, joint, ...
            rows: that are learned.
            one: they are all the same.
            alike: each is something that all have in common, changed a little.
        """
        self._shapes[name] = shape
        width = self.widths[name]
        if not len(rows) or width == 0:
            return
        index = torch.tensor(rows, dtype=torch.int64)
        self.register_buffer(f"rows_{name}", index, persistent=False)
        size = (1 if one else len(rows), *shape[1:])
        setattr(self, name, nn.Parameter(torch.zeros(size, dtype=torch.float64)))
        if alike and len(rows) > 1:
            common = nn.Parameter(torch.zeros((1, *shape[1:]), dtype=torch.float64))
            setattr(self, _COMMON + name, common)
            self.widths |= {name: min(width, APART), _COMMON + name: width}

    def _add_bodies(self, description: Description) -> None:
        nbody, moving = len(description.weld), np.flatnonzero(description.weld > 0)
        self._add("mass", (nbody,), moving)
        for name in ("centre", "width", "skew"):
            self._add(name, (nbody, 3), moving)

    def _add_joints(self, description: Description) -> None:
        tree, options = description.tree, description.options
        joints, dofs = tree.joints, np.flatnonzero(~description.free_dofs)
        scalar = np.array([kind in (JointType.SLIDE, JointType.HINGE) for kind in joints.types])
        sprung = np.flatnonzero(description.may_be_sprung)
        limited = np.flatnonzero(scalar & joints.limited & options.limits)
        self._add("armature", (tree.nv,), dofs)
        self._add("damping", (tree.nv,), dofs[: len(dofs) * options.dampers])
        self._add("stiffness", (len(scalar),), sprung)
        self._add("spring_reference", (tree.nq,), joints.qpos_index[sprung])
        self._add("friction_loss", (tree.nv,), np.flatnonzero(description.rubbing))
        self._add("limit_solref", (len(scalar), 2), limited, alike=True)
        self._add("limit_solimp", (len(scalar), 3), limited, alike=True)

    def _add_actuators(self, description: Description) -> None:
        actuators = description.actuators
        servos = actuators.affine_bias | actuators.affine_gain
        servo = np.flatnonzero(servos & description.options.actuation)
        # The gear of a servo would only change gain and bias together.
        motor = np.flatnonzero(~servos & description.options.actuation)
        self._add("gear", (len(actuators.names),), motor)
        self._add("gain", (len(actuators.names), 3), servo)
        self._add("bias", (len(actuators.names), 3), servo)

    def _add_contacts(self, description: Description) -> None:
        pairs = description.pairs
        every = np.arange(len(pairs))
        self._add("pair_friction", (len(pairs),), every[pairs.condim > 1], alike=True)
        # How hard the ground is, is learned for all contacts together.
        self._add("pair_solref", (len(pairs), 2), every, one=True)
        self._add("pair_solimp", (len(pairs), 3), every, one=True)


def _factor(change: Tensor) -> Tensor:
    """Of a number that may be zero: exp(change), and zero from one below `_STRAIGHT`."""
    straight = (change - (_STRAIGHT - 1)).clamp(min=0.0) * math.exp(_STRAIGHT)
    return torch.where(change > _STRAIGHT, change.exp(), straight)


def _root(physics: Physics) -> Tensor:
    """L ``(nbody, 3, 3)`` of each body; zeros for those without mass."""
    inertia, eye = physics.inertia, torch.eye(3).to(physics.inertia)
    trace = inertia.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    mass = physics.mass[:, None, None]
    second = (trace / 2 * eye - inertia) / torch.where(mass > 0, mass, 1.0)
    size = second.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    thick = second + _THIN * size * eye + (size <= 0) * eye
    # The root that is upper triangular: Cholesky's, of the matrix with its order reversed.
    lower = torch.linalg.cholesky(thick.flip(1, 2))
    return lower.flip(1, 2) * (size > 0)
