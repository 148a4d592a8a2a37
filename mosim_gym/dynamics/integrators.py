"""Numerical methods as data, and the one function that steps them.

A method advances (positions, velocities, activations) by one step of length h. Positions live on a
manifold (quaternions of free and ball joints), so a method works on displacements in velocity
coordinates, applied to the starting positions as `mj_integratePos` does. MuJoCo's own rules:
documentation, Computation, chapter Numerical integration, and `mj_Euler`, `mj_RungeKutta`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mosim_gym.errors import unknown_name

#: (qpos, qvel, act) -> (qacc, act_rate or None)
Derivative = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor | None]]
#: (qpos, velocity, seconds) -> qpos
Displace = Callable[[Tensor, Tensor, float], Tensor]


class Rates(NamedTuple):
    """Mean rates over one step: a step adds h times them."""

    velocity: Tensor
    acceleration: Tensor
    activation: Tensor | None


@dataclass(frozen=True, slots=True)
class Method:
    """An explicit Runge-Kutta method.

    Attributes:
        order: of the error over a fixed time, in powers of the step.
        nodes: row i holds the weights of the earlier stages that lead to stage i (Butcher's A).
        weights: of the stages in the step (Butcher's b).
        new_velocity: positions follow the velocity at the END of the step (semi-implicit).
    """

    order: int
    nodes: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    new_velocity: bool = False

    def rates(
        self,
        derivative: Derivative,
        displace: Displace,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        h: float,
    ) -> Rates:
        """Mean rates over a step of `h` seconds; tensors are ``(batch, n)``."""
        stages: list[Rates] = []
        for row in self.nodes:
            q, v, a = qpos, qvel, act
            if row:
                slope = _mix(row, stages)
                q = displace(qpos, slope.velocity, h)
                v = torch.add(qvel, slope.acceleration, alpha=h)
                if act is not None and slope.activation is not None:
                    a = torch.add(act, slope.activation, alpha=h)
            stages.append(Rates(v, *derivative(q, v, a)))
        mean = _mix(self.weights, stages)
        if not self.new_velocity:
            return mean
        return mean._replace(velocity=torch.add(qvel, mean.acceleration, alpha=h))


#: A speed or acceleration that no body has; the row is NaN from there on.
_RUNAWAY = 1e6


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Dormand-Prince 5(4) with error control, by torchdiffeq (the paper's solver)."""

    order: int = 5
    rtol: float = 1e-5
    atol: float = 1e-6

    def rates(
        self,
        derivative: Derivative,
        displace: Displace,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        h: float,
    ) -> Rates:
        """Mean rates over a step of `h` seconds; tensors are ``(batch, n)``."""
        # Imported here: only this method needs it, and it costs import time. Its constants must not
        # be tensors of inference mode, which no derivative may meet.
        with torch.inference_mode(False):
            from torchdiffeq import odeint

        nv = qvel.shape[1]
        lost = torch.zeros_like(qvel[:, :1], dtype=torch.bool)

        def field(_: Tensor, y: Tensor) -> Tensor:
            shift, v = y[:, :nv], y[:, nv : 2 * nv]
            a = None if act is None else y[:, 2 * nv :]
            qacc, act_rate = derivative(displace(qpos, shift, 1.0), v, a)
            rate = torch.cat([v, qacc] if act_rate is None else [v, qacc, act_rate], 1)
            # All rows share their steps: one that runs away would make them vanish for all.
            nonlocal lost
            lost = lost | ~(rate.abs() <= _RUNAWAY).all(1, keepdim=True)
            return torch.where(lost, 0.0, rate)

        start = torch.cat([torch.zeros_like(qvel), qvel, *([] if act is None else [act])], 1)
        times = torch.tensor([0.0, h], dtype=start.dtype, device=start.device)
        end = odeint(field, start, times, method="dopri5", rtol=self.rtol, atol=self.atol)[-1]
        mean = torch.where(lost, torch.nan, (end - start) / h)
        rate = None if act is None else mean[:, 2 * nv :]
        return Rates(mean[:, :nv], mean[:, nv : 2 * nv], rate)


METHODS: dict[str, Method | Adaptive] = {
    "semi_implicit_euler": Method(1, ((),), (1.0,), new_velocity=True),
    "rk4": Method(4, ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    "dopri5": Adaptive(),
}


def get_method(name: str) -> Method | Adaptive:
    """The method of that name.

    Raises:
        UnknownNameError: listing the names there are.
    """
    if name not in METHODS:
        raise unknown_name("integrator", name, METHODS)
    return METHODS[name]


def _mix(weights: tuple[float, ...], stages: list[Rates]) -> Rates:
    if weights == (1.0,):
        return stages[0]
    terms = [(w, stage) for w, stage in zip(weights, stages, strict=True) if w]
    velocity = sum_of([w * stage.velocity for w, stage in terms])
    acceleration = sum_of([w * stage.acceleration for w, stage in terms])
    rates = [w * stage.activation for w, stage in terms if stage.activation is not None]
    return Rates(velocity, acceleration, sum_of(rates) if rates else None)


def sum_of(terms: list[Tensor]) -> Tensor:
    """Sum of one or more tensors of one shape."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
