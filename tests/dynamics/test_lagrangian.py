"""The Lagrangian predictor against the theorems of mechanics, and against MuJoCo."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from mosim_gym.dynamics.config import ModelConfig, Precision
from mosim_gym.dynamics.lagrangian import Lagrangian
from mosim_gym.dynamics.predictors import Inputs
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.dynamics.soft_limits import SoftLimits
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec
from mosim_gym.types import State

H, S = JointType.HINGE, JointType.SLIDE
CONFIG = ModelConfig(predictor="lagrangian", width=16, precision=Precision.FLOAT64)
#: Chains by polynomials, with slides before, between and after; and by networks.
BODIES = [(H,), (H, H), (S, H), (S, H, H), (H, S, H), (H, H, H), (H, H, H, H), (S, S, H, H, H, H)]


def spec_of(types: tuple[JointType, ...], **changes: object) -> RobotSpec:
    joints = tuple(Joint(f"j{i}", t, i, i, None, i == 0) for i, t in enumerate(types))
    fields = {
        "name": "chain", "joints": joints, "actuators": (Actuator("push", (-1.0, 1.0)),), "na": 0,
        "physics_dt": 0.01, "n_substeps": 1, "integrator": Integrator.RK4, "fingerprint": "chain",
    }  # fmt: skip
    return RobotSpec(**{**fields, **changes})  # type: ignore[arg-type]


def some_lagrangian(spec: RobotSpec) -> Lagrangian:
    predictor = Simulator(spec, CONFIG).requires_grad_(False).predictor
    assert isinstance(predictor, Lagrangian)
    for parameter in predictor.mechanics.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    return predictor


@pytest.mark.parametrize("types", BODIES, ids=lambda types: "".join(t[0] for t in types))
def test_energy_is_kept_and_forces_come_from_a_potential(types: tuple[JointType, ...]) -> None:
    predictor = some_lagrangian(spec_of(types))
    nv = len(types)
    qpos, qvel = torch.randn(2, 5, nv).double()
    scale = torch.rand(nv).double() + 0.5
    inputs = Inputs(qpos, qvel, None, torch.zeros(5, 1).double(), torch.zeros(5, 1), scale)
    acceleration, speed = predictor(inputs), qvel / scale

    def mass(at: Tensor) -> Tensor:
        return predictor.symmetric.matrix_of(predictor.mechanics(at, scale).mass)

    _, change = torch.autograd.functional.jvp(mass, qpos, qvel)
    power = torch.einsum("bi,bij,bj->b", speed, mass(qpos), acceleration)
    power = power + 0.5 * torch.einsum("bi,bij,bj->b", speed, change, speed)
    force = predictor.mechanics(qpos, scale).force
    torch.testing.assert_close(power, (force * speed).sum(1))
    for row in qpos:
        slope = torch.autograd.functional.jacobian(
            lambda at: predictor.mechanics(at[None], scale).force[0] / scale, row
        )
        torch.testing.assert_close(slope, slope.T)


def test_networks_keep_the_mass_positive() -> None:
    predictor = some_lagrangian(spec_of((H, H, H, H)))
    for parameter in predictor.mechanics.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    terms = predictor.mechanics(torch.randn(20, 4).double(), torch.ones(4).double())
    assert (torch.linalg.eigvalsh(predictor.symmetric.matrix_of(terms.mass)) > 0).all()


@pytest.mark.parametrize("types", BODIES[:3], ids=lambda types: "".join(t[0] for t in types))
def test_what_the_first_joint_does_to_the_whole_body_leaves_its_mass(
    types: tuple[JointType, ...],
) -> None:
    predictor = some_lagrangian(spec_of(types))
    qpos, moved = torch.randn(2, 5, len(types)).double()
    moved[:, 1:] = qpos[:, 1:]
    ones = torch.ones(len(types)).double()
    mass = [predictor.mechanics(at, ones).mass for at in (qpos, moved)]
    torch.testing.assert_close(mass[0], mass[1])


def test_other_joints_are_refused() -> None:
    joints = (Joint("root", JointType.FREE, 0, 0, None, True),)
    with pytest.raises(
        MosimError, match=r"hinges and slides; chain has ball or free joints \(root"
    ):
        Simulator(spec_of((), joints=joints), CONFIG)


STOP = """
<mujoco>
  <option timestep="0.01" integrator="{integrator}"/>
  <worldbody>
    <body>
      <joint name="a" type="slide" axis="1 0 0" damping="{damping}" range="-0.1 0.2"
        limited="true" solreflimit="0.05 0.8" solimplimit="0.7 0.97 0.02"/>
      <geom size="0.1" mass="2"/>
      <body>
        <joint name="b" type="slide" axis="1 0 0" range="-0.3 0.3" limited="true"/>
        <geom size="0.1" mass="1.5"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="a" gear="3"/></actuator>
</mujoco>
"""


@pytest.mark.parametrize("integrator", ["RK4", "Euler"])
def test_told_the_parameters_it_steps_as_mujoco_with_limits(integrator: str) -> None:
    """Both slides hit their limits, alone and together; Euler steps damping implicitly."""
    model = mujoco.MjModel.from_xml_string(STOP.format(integrator=integrator, damping=1.5))
    spec = RobotSpec.from_mujoco(model, name="stop")
    name = "rk4" if integrator == "RK4" else "semi_implicit_euler"
    config = ModelConfig(predictor="lagrangian", precision=Precision.FLOAT64, integrator=name)
    simulator = Simulator(spec, config).requires_grad_(False)
    tell(simulator.predictor, model)
    rng = np.random.default_rng(0)
    qpos, qvel = rng.uniform(-0.5, 0.5, (200, 2)), rng.normal(size=(200, 2))
    control = rng.uniform(-1, 1, (200, 1))
    state = State(torch.from_numpy(qpos), torch.from_numpy(qvel))
    stepped = simulator.step(state, torch.from_numpy(control))
    data = mujoco.MjData(model)
    for row in range(200):
        data.qpos, data.qvel, data.ctrl = qpos[row], qvel[row], control[row]
        data.qacc_warmstart = 0
        mujoco.mj_step(model, data)
        np.testing.assert_allclose(stepped.qvel[row], data.qvel, atol=1e-7)
        np.testing.assert_allclose(stepped.qpos[row], data.qpos, atol=1e-9)


def tell(predictor: torch.nn.Module, model: mujoco.MjModel) -> None:
    """Give the model's own parameters, by the formulas of MuJoCo's documentation."""
    assert isinstance(predictor, Lagrangian) and isinstance(predictor.limits, SoftLimits)
    predictor.mechanics.mass.copy_(torch.tensor([[3.5, 1.5, 1.5]]))  # M_11, M_22, M_12
    predictor.damping.copy_(torch.from_numpy(model.dof_damping))
    predictor.gain.copy_(torch.tensor([[3.0, 0.0]]))
    solref, solimp = torch.from_numpy(model.jnt_solref), torch.from_numpy(model.jnt_solimp)
    least, most, width = solimp[:, :3].unbind(1)
    limits = predictor.limits
    limits.log_damping.copy_((2 / (most * solref[:, 0])).log())
    limits.log_stiffness.copy_(-2 * (most * solref[:, 0] * solref[:, 1]).log())
    limits.log_weight.copy_(-torch.from_numpy(model.dof_invweight0).log())
    limits.log_width.copy_(width.log())
    limits.logit_least.copy_(torch.logit(least))
    limits.logit_most.copy_(torch.logit(most))
