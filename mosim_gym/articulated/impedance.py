"""How firmly a constraint holds and what it asks for: impedance, reference and regularizer.

A constraint at distance r, of which the margin is taken off already, and with velocity v asks for
the acceleration ``-b v - k d r`` and yields by the regularizer ``R = (1 - d) / d A`` times its
force, d(r) being its impedance and A the inverse inertia that it is taken to feel. Source: MuJoCo
documentation, Computation (Parameters: Impedance, Reference; Algorithms: diagApprox) and Modeling
(Solver parameters); `mj_makeImpedance`, `mj_diagApprox`.

The batch is the last axis; k constraints are ``(k, batch)``, their parameters ``(k, n)`` or, one
set for each row of the batch, ``(k, n, batch)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

# mjMINVAL, mjMINIMP, mjMAXIMP, and solref's default.
_TINY = 1e-15
_LEAST, _MOST = 1e-4, 0.9999
_SECONDS, _RATIO = 0.02, 1.0


def columns(parameters: Tensor) -> tuple[Tensor, ...]:
    """Parameters ``(k, n)`` or ``(k, n, batch)`` one by one, each ``(k, 1)`` or ``(k, batch)``."""
    table = parameters[..., None] if parameters.ndim == 2 else parameters
    return table.unbind(1)


def impedance(solimp: Tensor, distance: Tensor) -> Tensor:
    """Impedance d between 0 and 1, ``(k, batch)``.

    Args:
        solimp: d at no distance, d from `width` on, width in metres or radians, midpoint and power
            of the curve between, n = 5.
        distance: r, ``(k, batch)``.
    """
    least, most, width, middle, power = columns(solimp)
    least, most = least.clamp(_LEAST, _MOST), most.clamp(_LEAST, _MOST)
    middle, power = middle.clamp(_LEAST, _MOST), power.clamp_min(1.0)
    depth = distance.abs() / width.clamp_min(_TINY)
    # Where the curve has ended its powers are not needed, and their derivatives not finite.
    inside = (depth > 0) & (depth < 1)
    x = torch.where(inside, depth, 0.5)
    low = middle * (x / middle).pow(power)
    high = 1 - (1 - middle) * ((1 - x) / (1 - middle)).pow(power)
    curve = torch.where(x <= middle, low, high)
    rise = torch.where(inside, curve, (depth >= 1).to(distance.dtype))
    rise = torch.where(width <= _TINY, 0.5, rise)
    return least + (most - least) * rise


def reference(solref: Tensor, solimp: Tensor, shortest: float) -> tuple[Tensor, Tensor]:
    """Stiffness k in 1/s^2 and damping b in 1/s, each ``(k, 1)`` or ``(k, batch)``.

    Args:
        solref: time constant in seconds and damping ratio, or, both negative, stiffness and
            damping themselves; mixed signs stand for the default, as in MuJoCo; n = 2.
        solimp: see `impedance`.
        shortest: no time constant below this, in seconds: twice the timestep, as the solver
            would be unstable; 0 where the model has switched this safety off.
    """
    first, second = columns(solref)
    most = columns(solimp)[1].clamp(_LEAST, _MOST)
    mixed = (first > 0) != (second > 0)
    first = torch.where(mixed, _SECONDS, first)
    second = torch.where(mixed, _RATIO, second)
    standard = first > 0
    time = torch.where(standard, first, 1.0).clamp_min(shortest)
    ratio = torch.where(standard, second, 1.0)
    stiffness = torch.where(standard, 1 / (most * time * ratio).square(), -first / most.square())
    damping = torch.where(standard, 2 / (most * time), -second / most)
    return stiffness, damping


def regularizer(impedance: Tensor, inverse_inertia: Tensor) -> Tensor:
    """R ``(k, batch)`` in the units of an acceleration by a force."""
    return ((1 - impedance) / impedance * inverse_inertia).clamp_min(_TINY)


def limit_rows(
    solref: Tensor,
    solimp: Tensor,
    distance: Tensor,
    speed: Tensor,
    weight: Tensor,
    shortest: float,
) -> tuple[Tensor, Tensor]:
    """What limits ask for and how firmly: aref and D, ``(k, batch)``.

    Args:
        solref: ``(k, 2)``.
        solimp: ``(k, 5)``.
        distance: from the limits, ``(k, batch)``, negative past them.
        speed: at which the distances grow, ``(k, batch)``.
        weight: inverse inertias, ``(k,)``.
        shortest: time constant, in seconds.
    """
    past = distance < 0
    distance = torch.where(past, distance, 0.0)
    d = impedance(solimp, distance)
    stiffness, damping = reference(solref, solimp, shortest)
    firmness = 1 / regularizer(d, weight[:, None])
    return -damping * speed - stiffness * d * distance, torch.where(past, firmness, 0.0)
