"""An ensemble gives the figures that its members give one by one."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision
from mosim_gym.dynamics.ensemble import Ensemble, MemberStates
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec
from mosim_gym.types import State

SPEC = RobotSpec(
    name="kite",
    joints=(
        Joint("root", JointType.FREE, 0, 0, None, True),
        Joint("tail", JointType.HINGE, 7, 6, (-1.0, 1.0), False),
    ),
    actuators=(Actuator("a", (-1.0, 1.0)), Actuator("b", (-1.0, 1.0))),
    na=1,
    physics_dt=0.01,
    n_substeps=2,
    integrator=Integrator.EULER,
    fingerprint="kite",
    context_inputs=2,
)
ARM = dataclasses.replace(
    SPEC,
    joints=tuple(Joint(n, JointType.HINGE, i, i, (-1.0, 1.0), i == 0) for i, n in enumerate("abc")),
    na=0,
    context_inputs=0,
)
CASES = {
    "residual": (SPEC, ModelConfig(width=8, integrator_steps=2)),
    "rigid_body": (SPEC, ModelConfig("rigid_body", width=8, correctors=2, integrator="rk4")),
    "lagrangian": (ARM, ModelConfig("lagrangian", integrator_steps=2)),
    "error control": (ARM, ModelConfig(width=8, features=Flavour.RAW, integrator="dopri5")),
}


def members(spec: RobotSpec, config: ModelConfig, k: int = 3) -> list[Simulator]:
    config = dataclasses.replace(config, precision=Precision.FLOAT64)
    made = [Simulator(spec, config) for _ in range(k)]
    for member in made:
        for weight in member.parameters():
            # So little that a polynomial stays a mass.
            weight.data += 0.01 * torch.randn_like(weight)
        member.acceleration_scale.uniform_(0.5, 2.0)
    return made


def states(spec: RobotSpec, n: int = 4) -> State:
    def of(width: int) -> Tensor | None:
        return 0.3 * torch.randn(n, width).double() if width else None

    qpos, qvel = of(spec.nq), of(spec.nv)
    assert qpos is not None and qvel is not None
    return State(qpos, qvel, of(spec.na), of(spec.context_inputs))


@pytest.mark.parametrize(("spec", "config"), CASES.values(), ids=CASES.keys())
def test_figures_are_those_of_the_members_one_by_one(spec: RobotSpec, config: ModelConfig) -> None:
    each = members(spec, config)
    ensemble = Ensemble(each)
    start, actions = states(spec), torch.rand(4, 5, 2).double()
    with torch.inference_mode():
        futures = ensemble.rollout(start, actions)
    assert futures.qpos.shape == (3, 4, 6, spec.nq) and futures.horizon == 5
    following = ensemble.step(ensemble.step(start, actions[:, 0]), actions[:, 1])
    assert len(following) == len(ensemble) == 3
    for k, member in enumerate(each):
        alone = member.rollout(start, actions)
        for field in dataclasses.fields(alone):
            one, together = getattr(alone, field.name), getattr(futures, field.name)
            assert (one is None) == (together is None)
            if one is not None:
                torch.testing.assert_close(together[k], one, rtol=1e-9, atol=1e-11)
        for name, value in following[k].items():
            true = start.context if name == "context" else getattr(alone, name)[:, 2]
            torch.testing.assert_close(value, true, rtol=1e-9, atol=1e-11)
    assert not torch.allclose(futures.qvel[0, :, -1], futures.qvel[1, :, -1])


def test_a_member_that_diverges_leaves_the_others_alone() -> None:
    each = members(ARM, CASES["residual"][1])
    each[1].bound_speed(1e-6)
    futures = Ensemble(each).rollout(states(ARM), torch.rand(4, 5, 2))
    assert futures.diverged.any(1).tolist() == [False, True, False]
    assert futures.valid_steps[0].tolist() == [5] * 4 and not futures.valid_steps[1].any()


def test_gradients_reach_states_and_actions() -> None:
    ensemble = Ensemble(members(ARM, CASES["lagrangian"][1]))
    start, action = states(ARM), torch.rand(4, 2).double().requires_grad_()
    start.qpos.requires_grad_()
    after = ensemble.step(start, action)
    after.qvel.square().sum().backward()
    assert start.qpos.grad is not None and start.qpos.grad.abs().sum() > 0
    assert action.grad is not None and action.grad.abs().sum() > 0


def test_the_same_model_twice_is_an_ensemble_without_spread() -> None:
    (one,) = members(ARM, CASES["residual"][1], 1)
    after = Ensemble([one, one]).step(states(ARM).to(torch.float32), torch.rand(4, 2))
    assert isinstance(after, MemberStates) and torch.equal(after.qpos[0], after.qpos[1])


def test_members_that_do_not_fit_together_are_named() -> None:
    residual = CASES["residual"][1]
    one = members(ARM, residual, 1)
    with pytest.raises(MosimError, match="was given no members; expected one simulator or more"):
        Ensemble([])
    other = dataclasses.replace(ARM, name="leg", fingerprint="leg")
    with pytest.raises(MosimError, match="Member 1 of the ensemble belongs to another body: leg"):
        Ensemble([*one, *members(other, residual, 1)])
    wider = dataclasses.replace(residual, width=9)
    with pytest.raises(MosimError, match=r"0 and 1 of .* different shapes: width \(8, 9\)\. Fit"):
        Ensemble([*one, *members(ARM, wider, 1)])
    with pytest.raises(MosimError, match=r"3 states"):
        Ensemble(one).step(states(ARM, 3), torch.rand(4, 2))
