"""The golden values are theorems (order of convergence) and MuJoCo's own steps."""

from __future__ import annotations

import subprocess
import sys

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mosim_gym.dynamics.config import ModelConfig, Precision
from mosim_gym.dynamics.integrators import METHODS, get_method
from mosim_gym.dynamics.manifold import Manifold, rotation_matrix
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import UnknownNameError
from mosim_gym.robots.spec import Integrator, RobotSpec
from mosim_gym.types import State

PENDULUM = """<mujoco><option timestep="0.01" integrator="{integrator}"/><worldbody>
<body><joint name="swing" axis="0 1 0"/><geom type="sphere" size=".05" pos="0 0 -.5" mass="2"/>
</body></worldbody></mujoco>"""
TUMBLING = """<mujoco><option timestep="0.005" gravity="0 0 -9.81" integrator="{integrator}"/>
<worldbody><body><freejoint/><inertial pos="0 0 0" mass="1" diaginertia=".1 .2 .25"/></body>
</worldbody></mujoco>"""
JOINTS = """<mujoco><worldbody><body><freejoint/><geom size=".1"/>
<body pos="1 0 0"><joint type="slide"/><joint type="ball"/><geom size=".1"/>
<body pos="1 0 0"><joint type="hinge"/><geom size=".1"/></body></body></body></worldbody>
</mujoco>"""


def oscillate(name: str, steps: int) -> float:
    """Error of a driven oscillator after one second."""

    def derivative(q: Tensor, v: Tensor, act: Tensor | None) -> tuple[Tensor, Tensor | None]:
        assert act is not None
        return -4.0 * q + act, -act

    def displace(q: Tensor, velocity: Tensor, h: float) -> Tensor:
        return q + h * velocity

    q, v, act = (torch.tensor([[x]], dtype=torch.float64) for x in (1.0, 0.5, 0.0))
    h = 1.0 / steps
    for _ in range(steps):
        rates = METHODS[name].rates(derivative, displace, q, v, act, h)
        assert rates.activation is not None
        q, v, act = q + h * rates.velocity, v + h * rates.acceleration, act + h * rates.activation
    exact = np.array([np.cos(2) + 0.25 * np.sin(2), -2 * np.sin(2) + 0.5 * np.cos(2)])
    return float(np.abs(np.array([q.item(), v.item()]) - exact).max())


@pytest.mark.parametrize("name", ["semi_implicit_euler", "rk4"])
def test_error_falls_with_the_order_of_the_method(name: str) -> None:
    steps = np.array([20, 40, 80, 160])
    errors = [oscillate(name, n) for n in steps]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(METHODS[name].order, abs=0.1)


def test_dopri5_keeps_its_tolerance() -> None:
    assert oscillate("dopri5", 1) < 1e-4


def test_unknown_integrator_lists_near_matches() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rk4'"):
        get_method("rk44")


class Exact(Simulator):
    """MuJoCo's acceleration of a body without constraints, in closed form."""

    def __init__(self, model: mujoco.MjModel) -> None:
        spec = RobotSpec.from_mujoco(model, name="exact")
        method = "rk4" if spec.integrator is Integrator.RK4 else "semi_implicit_euler"
        config = ModelConfig(width=1, blocks=1, integrator=method, precision=Precision.FLOAT64)
        super().__init__(spec, config)
        self.inertia = torch.tensor(model.body_inertia[1])
        self.swing = 2 * 0.5**2 + 0.4 * 2 * 0.05**2

    def derivative(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        if self.spec.nq == 1:
            return -2 * 9.81 * 0.5 / self.swing * torch.sin(qpos), None
        turn = qvel[:, 3:]
        angular = -torch.linalg.cross(turn, self.inertia * turn) / self.inertia
        linear = torch.tensor([[0.0, 0.0, -9.81]], dtype=qpos.dtype).expand(len(qpos), 3)
        return torch.cat([linear, angular], 1), None


@pytest.mark.parametrize("integrator", ["Euler", "RK4"])
@pytest.mark.parametrize("xml", [PENDULUM, TUMBLING])
def test_steps_as_mujoco_does(xml: str, integrator: str) -> None:
    model = mujoco.MjModel.from_xml_string(xml.format(integrator=integrator))
    data = mujoco.MjData(model)
    data.qpos[0] += 1.0
    data.qvel[:] = np.linspace(0.5, 3, model.nv)
    exact = Exact(model)
    state = State.from_numpy({"qpos": data.qpos, "qvel": data.qvel})
    for _ in range(100):
        mujoco.mj_step(model, data)
        state = exact.step(state, torch.zeros(1, 0))
    np.testing.assert_allclose(state.qpos[0], data.qpos, atol=1e-9)
    np.testing.assert_allclose(state.qvel[0], data.qvel, atol=1e-9)


numbers = st.floats(-3, 3, allow_nan=False, width=32)


@given(
    qpos=st.lists(numbers, min_size=13, max_size=13),
    velocity=st.lists(numbers, min_size=11, max_size=11),
    h=st.sampled_from([1e-3, 0.02, 0.5]),
)
def test_displaces_positions_as_mj_integrate_pos(
    qpos: list[float], velocity: list[float], h: float
) -> None:
    model = mujoco.MjModel.from_xml_string(JOINTS)
    start = np.array(qpos)
    for first in (3, 8):
        start[first] += 4.0  # far from the zero quaternion, which has no direction
    mujoco.mj_normalizeQuat(model, start)
    manifold = Manifold(RobotSpec.from_mujoco(model, name="joints"))
    moved = manifold.displace(torch.tensor(start[None]), torch.tensor([velocity]).double(), h)
    mujoco.mj_integratePos(model, start, np.array(velocity), h)
    np.testing.assert_allclose(moved[0], start, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quaternions_stay_of_length_one_for_10_000_steps(dtype: torch.dtype) -> None:
    model = mujoco.MjModel.from_xml_string(JOINTS)
    manifold = Manifold(RobotSpec.from_mujoco(model, name="joints"))
    qpos = torch.tensor(model.qpos0[None], dtype=dtype).repeat(4, 1)
    velocity = torch.randn(50, 4, 11, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.inference_mode():
        for step in range(10_000):
            qpos = manifold.displace(qpos, 20 * velocity[step % 50], 0.01)
    for first in (3, 8):
        length = qpos[:, first : first + 4].double().norm(dim=1)
        assert (length - 1).abs().max() < 1e-6


def test_standing_still_has_a_finite_gradient() -> None:
    model = mujoco.MjModel.from_xml_string(JOINTS)
    manifold = Manifold(RobotSpec.from_mujoco(model, name="joints"))
    velocity = torch.zeros(1, 11, dtype=torch.float64, requires_grad=True)
    manifold.displace(torch.tensor(model.qpos0[None]), velocity, 0.01).sum().backward()
    assert velocity.grad is not None and velocity.grad.isfinite().all()


def test_rotation_matrix_is_mujocos() -> None:
    quaternion = torch.tensor([[0.5, -1.0, 2.0, 0.3]], dtype=torch.float64)
    expected = np.zeros(9)
    mujoco.mju_quat2Mat(expected, (quaternion / quaternion.norm())[0].numpy())
    np.testing.assert_allclose(rotation_matrix(quaternion)[0].flatten(), expected, atol=1e-14)


def test_dopri5_has_derivatives_after_a_first_use_without() -> None:
    """In a process of its own: the solver is imported by whoever comes first."""
    script = """
import torch
from mosim_gym.dynamics.integrators import get_method

def step(v):
    derivative, displace = lambda q, v, a: (-v, None), lambda q, v, h: q + h * v
    return get_method("dopri5").rates(derivative, displace, v.detach(), v, None, 0.1).acceleration

with torch.inference_mode():
    step(torch.ones(1, 1))
v = torch.ones(1, 1, requires_grad=True)
step(v).sum().backward()
assert abs(v.grad.item() - (torch.tensor(-0.1).exp().item() - 1) / 0.1) < 1e-4
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_row_that_runs_away_stops_no_other() -> None:
    """The adaptive solver takes the same steps for all rows."""

    def derivative(q: Tensor, v: Tensor, a: Tensor | None) -> tuple[Tensor, None]:
        return torch.where(q > 5, 1e12 * q.exp(), -q), None

    def displace(q: Tensor, v: Tensor, h: float) -> Tensor:
        return q + h * v

    q, v = torch.tensor([[1.0], [9.0], [0.5]]), torch.zeros(3, 1)
    found = get_method("dopri5").rates(derivative, displace, q, v, None, 0.1)
    assert found.acceleration[1].isnan().all()
    alone = get_method("dopri5").rates(derivative, displace, q[::2], v[::2], None, 0.1)
    torch.testing.assert_close(found.acceleration[::2], alone.acceleration)
