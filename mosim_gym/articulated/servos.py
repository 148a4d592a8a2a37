"""Where servos start: each fitted to the motion of its own joint, as though there were no other.

A servo that is strong for its joint is at the limit of its force most of the time, where its gains
have no influence on the motion, and a weak one never is: solved for from one, the other is not
found. Alone, a joint of inertia I moves as ``I a = clip(k (target - q) - k t v)``, where the limit
is told, so that k, t and I can be looked for among all there may be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mosim_gym.articulated.description import Description
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.smooth import Smooth
from mosim_gym.robots.spec import Integrator, JointType

#: Rows that are looked at, and guesses at a time.
_ROWS, _AT_ONCE = 2000, 200
# What is tried: of the range of targets, where a servo comes to its limit; damping in seconds,
# finely, as a strong servo is told by how well its two forces cancel; inertia, of that which the
# limit accelerates as fast as was seen.
_REACH = np.logspace(-3, 1.5, 19)
_SECONDS = np.logspace(-2.5, 0, 61)
_INERTIA = np.logspace(-1.5, 1, 11)
_FAST = 0.98
# Then more finely around the best, time and again: by these factors, to a smaller power each time.
_FINELY = np.array([0.75, 0.85, 0.95, 1.0, 1.05, 1.18, 1.33])
_AGAIN, _CLOSER = 8, 0.7
#: Of the inertia of a joint, what is left to armature where the body seems to have it all.
_LEAST = 0.01


class Motion(NamedTuple):
    """Rows of motion.

    Attributes:
        qpos: ``(rows, nq)``.
        qvel: ``(rows, nv)``.
        acceleration: ``(rows, nv)``.
        ctrl: ``(rows, nu)``.
    """

    qpos: Tensor
    qvel: Tensor
    acceleration: Tensor
    ctrl: Tensor


class _Servo(NamedTuple):
    """Numbers of servos, ``(k, 1)`` each: stiffness, damping over stiffness, inertia."""

    stiffness: Tensor
    seconds: Tensor
    inertia: Tensor


def servos_from_motion(description: Description, physics: Physics, motion: Motion) -> Physics:
    """The same physics with the servos, and the armature of their joints, as motion has them.

    Changed are position servos of one hinge or slide each whose force and targets are limited.

    Args:
        description: of the body.
        physics: where all other numbers start.
        motion: of the body, in order or not.
    """
    rows = torch.arange(0, len(motion.qpos), 1 + len(motion.qpos) // _ROWS)
    motion = Motion(*(value[rows].double() for value in motion))
    tree = description.tree
    mass, _ = Smooth(description).mass_matrix(
        physics, torch.tensor(tree.qpos0[None]).to(physics.mass)
    )
    moved = mass[0].diagonal() - physics.armature
    gain, bias, armature = physics.gain.clone(), physics.bias.clone(), physics.armature.clone()
    for u, joint in _found(description):
        dof = int(tree.joints.dof_index[joint])
        servo = _fit(description, u, int(tree.joints.qpos_index[joint]), dof, motion)
        stiffness, seconds, inertia = (float(value) for value in servo)
        gain[u, 0], bias[u, 1], bias[u, 2] = stiffness, -stiffness, -stiffness * seconds
        armature[dof] = max(inertia - float(moved[dof]), _LEAST * inertia)
    return physics._replace(gain=gain, bias=bias, armature=armature)


def tells_scale(description: Description) -> bool:
    """Whether something that is told in newtons acts on the body: then motion tells its masses."""
    limited = description.actuators.force_limited & description.options.actuation
    return bool(limited.any()) or description.fluid is not None


def all_found(description: Description) -> bool:
    """Whether there are servos, and `servos_from_motion` finds every one."""
    actuators = description.actuators
    servos = int((actuators.affine_bias | actuators.affine_gain).sum())
    return 0 < servos == len(_found(description))


def _found(description: Description) -> list[tuple[int, int]]:
    """Servos and the joints they turn."""
    actuators, types = description.actuators, description.tree.joints.types
    if not description.options.actuation:
        return []
    wanted = (actuators.position_gear != 0) & (actuators.act_index < 0)
    wanted &= actuators.force_limited & actuators.ctrl_limited
    pairs = []
    for u in np.flatnonzero(wanted).tolist():
        joints = np.flatnonzero(actuators.joints[u])
        scalar = all(types[j] in (JointType.HINGE, JointType.SLIDE) for j in joints)
        if len(joints) == 1 and scalar:
            pairs.append((u, int(joints[0])))
    return pairs


def _fit(description: Description, u: int, q: int, v: int, motion: Motion) -> _Servo:
    """The servo that leaves the least of a joint's acceleration unexplained."""
    actuators, options = description.actuators, description.options
    low, high = actuators.force_range[u]
    # Of the actuator's length and force, per unit of the joint's.
    gear = float(actuators.position_gear[u] * actuators.joints[u].sum())
    length, speed = gear * motion.qpos[:, q], gear * motion.qvel[:, v]
    limit, reach = max(high, -low), float(np.ptp(actuators.ctrl_range[u]))
    seen = motion.acceleration[:, v]
    fast = float(seen.abs().quantile(_FAST)) or 1.0
    # The implicit integrator damps a servo by the velocity that a step ends with.
    step = options.timestep if options.integrator is Integrator.IMPLICITFAST else 0.0
    tried = torch.cartesian_prod(
        torch.tensor(limit / (reach * _REACH)),
        torch.tensor(_SECONDS),
        torch.tensor(abs(gear) * limit / fast * _INERTIA),
    )
    error = motion.ctrl[:, u].clamp(*actuators.ctrl_range[u].tolist()) - length

    def best(tried: Tensor) -> Tensor:
        left = []
        for part in tried.split(_AT_ONCE):
            servo = _Servo(*part.t()[:, :, None])
            asked = servo.stiffness * (error - servo.seconds * speed)
            force = asked.clamp(low, high)
            damping = torch.where(
                force == asked, step * gear**2 * servo.stiffness * servo.seconds, 0.0
            )
            missing = gear * force / (servo.inertia + damping) - seen
            # What pulls at the joint all the time is not the servo's, nor is what hits it.
            missing = missing - missing.median(1, keepdim=True).values
            left.append(missing.abs().mean(1))
        return tried[int(torch.cat(left).argmin())]

    found = best(tried)
    for k in range(_AGAIN):
        factor = torch.tensor(_FINELY**_CLOSER**k)
        found = best(found * torch.cartesian_prod(factor, factor, factor))
    return _Servo(*found)
