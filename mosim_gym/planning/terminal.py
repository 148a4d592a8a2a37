"""Terminal values: what a planner is told of the world beyond its horizon.

A horizon of half a second does not see that a swing back is the way up. These are not learned:
they use the masses of the body, or where its target is, and are part of what a planner is told.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.planning.rollout import Dynamics, TerminalValue
from mosim_gym.planning.sampling import Limits
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks import reacher
from mosim_gym.types import Float64Array, State

#: MuJoCo's default, m/s^2 along -z.
_GRAVITY = 9.81
_RICCATI_STEPS = 20_000


class MechanicalEnergy:
    """Kinetic and potential energy of a tree of bodies, in joules.

    MuJoCo's own (`mj_energyPos`, `mj_energyVel`) for bodies without springs and rotor inertia.

    Args:
        tree: bodies with their inertia.
    """

    def __init__(self, tree: Tree) -> None:
        """See the class."""
        self._kinematics = Kinematics(tree)
        bodies = tree.bodies
        moving = [k for k in range(1, len(bodies.names)) if bodies.mass[k] > 0]
        self._centres = self._kinematics.centres(*(bodies.names[k] for k in moving))
        self._moving = moving
        self._mass = torch.from_numpy(bodies.mass[moving])
        self._inertia = torch.from_numpy(_inertia_matrices(tree)[moving])

    def __call__(self, state: State) -> Tensor:
        """Energies ``(batch,)``; zero at rest with all centres of mass at height zero."""
        poses = self._kinematics(state.qpos, state.qvel)
        assert poses.angular is not None, "asked for with velocities"
        mass, inertia = self._mass.to(state.qpos), self._inertia.to(state.qpos)
        height = poses.points(self._centres)[..., 2]
        speed = poses.point_velocities(self._centres).square().sum(2)
        rotation, spin = poses.rotation[:, self._moving], poses.angular[:, self._moving]
        local = torch.einsum("bkij,bki->bkj", rotation, spin)
        turning = torch.einsum("bki,kij,bkj->bk", local, inertia, local)
        return (height * _GRAVITY + speed / 2) @ mass + turning.sum(1) / 2


class SwingUp:
    """The energy of the upright body at rest, with its further links straight and still.

    A chain with that energy and no bend comes to rest upright of itself (Spong, 1995, "The swing
    up control problem for the acrobot"); the planner finds what holds it there.

    Args:
        tree: a chain of hinges, upright where all are at 0, hanging where the first is at pi.
        energy: cost of lacking what lies between hanging and upright.
        bend: cost of a radian of a further hinge, whole turns included: the soonest way to energy
            is to spin the last link, and no way leads on from there.
        spin: cost of a rad/s of a further hinge.
    """

    def __init__(self, tree: Tree, *, energy: float, bend: float = 0.0, spin: float = 0.0) -> None:
        """See the class."""
        self._energy = MechanicalEnergy(tree)
        self._bend, self._spin = bend, spin
        upright = torch.zeros(1, tree.nq, dtype=torch.float64)
        hanging = upright.clone()
        hanging[:, 0] = math.pi
        self._goal = float(self._energy(State(upright, upright)))
        self._per_joule = energy / (self._goal - float(self._energy(State(hanging, upright))))

    def __call__(self, state: State) -> Tensor:
        """Minus the costs, ``(batch,)``; 0 at the goal."""
        missing = (self._energy(state) - self._goal).abs()
        bend = state.qpos[:, 1:].abs().sum(1)
        spin = state.qvel[:, 1:].abs().sum(1)
        return -(self._per_joule * missing + self._bend * bend + self._spin * spin)


class Catch:
    """1 where no effort is needed to come to rest upright, 0 where much is.

    The effort is that of the linear-quadratic regulator of the model itself, linearised about the
    goal: the least sum of squared controls, in control steps at the limit of an actuator.

    Args:
        dynamics: a body of hinges and slides that rests upright, unpushed, where all are at 0.
        effort: that brings the value down to 1 / e.

    Raises:
        MosimError: if the model cannot be brought to rest there.
    """

    def __init__(self, dynamics: Dynamics, effort: float = 10.0) -> None:
        """See the class."""
        self._hinges = [j.qpos_index for j in dynamics.spec.joints if j.type is JointType.HINGE]
        self._matrix = _regulator_cost(*_linearised(dynamics)) / effort

    def __call__(self, state: State) -> Tensor:
        """Values ``(batch,)``."""
        qpos = state.qpos.clone()
        qpos[:, self._hinges] = _wrapped(qpos[:, self._hinges])
        away = torch.cat([qpos, state.qvel], 1)
        return torch.exp(-((away @ self._matrix.to(away)) * away).sum(1))


def _wrapped(angle: Tensor) -> Tensor:
    """The same angles between -pi and pi."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _linearised(dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """A and B of ``x' = A x + B u`` about zero, x = (qpos, qvel), u in half ranges; float64."""
    spec = dynamics.spec
    step = torch.finfo(dynamics.dtype).eps ** (1 / 3)
    size = 2 * spec.nv
    probes = step * torch.eye(size + spec.nu, dtype=dynamics.dtype, device=dynamics.device)
    both = torch.cat([probes, -probes])
    unit = Limits.of(spec, probes).unit
    state = State(both[:, : spec.nv], both[:, spec.nv : size])
    reached = dynamics.step(state, both[:, size:] * unit)
    after = torch.cat([reached.qpos, reached.qvel], 1).to("cpu", torch.float64)
    forward, backward = after.chunk(2)
    slopes = (forward - backward).T / (2 * step)
    return slopes[:, :size], slopes[:, size:]


def _regulator_cost(a: Tensor, b: Tensor) -> Tensor:
    """P of the cost-to-go ``x' P x`` with controls at price 1 and states nearly free."""
    # Without any price on the state, a body that is stable of itself would have no goal.
    price = 0.01 * torch.eye(len(a), dtype=a.dtype)
    identity = torch.eye(b.shape[1], dtype=a.dtype)
    cost = price
    for _ in range(_RICCATI_STEPS):
        before = cost
        gain = torch.linalg.solve(identity + b.T @ cost @ b, b.T @ cost @ a)
        cost = price + a.T @ cost @ (a - b @ gain)
        if (cost - before).abs().max() <= 1e-9 * cost.abs().max():
            return (cost + cost.T) / 2
    raise MosimError(
        "This model cannot be brought to rest upright: the regulator of its linearisation there "
        "does not converge. Is it trained well enough around the goal?"
    )


def swing_up_and_catch(dynamics: Dynamics, tree: Tree) -> TerminalValue:
    """For the acrobot: gain energy, straighten, and be caught upright.

    Energy is blind to falling slowly from upright, which `Catch` is not.
    """
    swing, catch = SwingUp(tree, energy=200.0, bend=5.0, spin=2.0), Catch(dynamics)
    return lambda state: swing(state) + 100 * catch(state)


def swing_up(dynamics: Dynamics, tree: Tree) -> TerminalValue:
    """For the pendulum: gain energy."""
    return SwingUp(tree, energy=50.0)


def reach(dynamics: Dynamics, tree: Tree) -> TerminalValue:
    """For dm_control's reacher: minus the distance from finger to target, in decimetres."""
    task = reacher.easy()

    def closeness(state: State) -> Tensor:
        away = task.measure(state, state.qvel).to_target
        return -10 * torch.linalg.vector_norm(away, dim=1)

    return closeness


def _inertia_matrices(tree: Tree) -> Float64Array:
    """Inertia about the centre of mass in the body frame, ``(nbody, 3, 3)``."""
    w, x, y, z = tree.bodies.inertia_quaternion.T
    # The principal axes in the body frame are the columns of the quaternion's rotation.
    axes = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )
    matrices: Float64Array = np.einsum("kia,ka,kja->kij", axes, tree.bodies.inertia, axes)
    return matrices
