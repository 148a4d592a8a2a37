"""Contact features: what MuJoCo sees, blind to place and heading, finite far out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.description import Description, describe
from mosim_gym.dynamics.approaches import (
    Approaches,
    PlanarApproaches,
    SpatialApproaches,
    approaches_of,
)
from mosim_gym.dynamics.checkpoint import load_simulator, save_checkpoint
from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision
from mosim_gym.dynamics.contact_features import DEEPEST, FARTHEST, ContactFeatures
from mosim_gym.dynamics.ensemble import Ensemble
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.robots.planar import Plane
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State
from tests.articulated.bodies import States, put, suite_model
from tests.articulated.contact_oracle import lowered, moving_states

DOUBLE = Precision.FLOAT64
BODIES = ("cheetah", "hopper", "walker", "go2", "humanoid")


def on_the_ground(model: mujoco.MjModel, rows: int, seed: int = 0) -> States:
    """States of which most touch: joints anywhere near rest, lowered until they do."""
    rng = np.random.default_rng(seed)
    data = mujoco.MjData(model)
    found = []
    while len(found) < rows:
        mujoco.mj_resetData(model, data)
        mujoco.mj_integratePos(model, data.qpos, rng.normal(0, 0.5, model.nv), 1.0)
        mujoco.mj_kinematics(model, data)
        touching = (model.geom_contype | model.geom_conaffinity) * model.geom_bodyid > 0
        lowest = data.geom_xpos[touching, 2].min()
        data.qpos[height_of(model)] -= lowest + rng.uniform(-0.05, 0.05)
        found.append((data.qpos.copy(), rng.normal(0, 2, model.nv)))
    qpos, qvel = (torch.tensor(np.stack(column)) for column in zip(*found, strict=True))
    return States(qpos, qvel, None, torch.zeros(rows, model.nu).double())


def height_of(model: mujoco.MjModel) -> int:
    """Where in qpos the height of the root is."""
    if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        return 2
    return int(np.flatnonzero(model.jnt_axis[:3, 2])[0])


def body(name: str) -> tuple[mujoco.MjModel, Description]:
    model = suite_model(name)
    return model, describe(model)


def seen_by_mujoco(
    model: mujoco.MjModel, states: States, row: int
) -> list[tuple[float, float, float]]:
    """Distance, speed away and speed along of each contact with what never moves, in order."""
    data = mujoco.MjData(model)
    put(model, data, states, row)
    mujoco.mj_forward(model, data)
    found = []
    for contact in data.contact[: data.ncon]:
        bodies = model.geom_bodyid[list(contact.geom)]
        if (model.body_weldid[bodies] != 0).all() or contact.dist > 0:
            continue
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jac(model, data, jacobian, None, contact.pos, int(bodies[1]))
        velocity = contact.frame.reshape(3, 3) @ jacobian @ data.qvel
        found.append((contact.dist, velocity[0], float(np.hypot(*velocity[1:]))))
    return sorted(found)


@pytest.mark.parametrize("name", BODIES)
def test_they_are_mujocos(name: str) -> None:
    model, description = body(name)
    compare(model, approaches_of(description), on_the_ground(model, 30))


@pytest.mark.parametrize("kind", [PlanarApproaches, SpatialApproaches])
def test_they_are_mujocos_on_a_ground_that_is_moved_and_turned(kind: type) -> None:
    model = lowered(planar=kind is PlanarApproaches)
    approaches = approaches_of(describe(model))
    assert isinstance(approaches, kind)
    compare(model, approaches, moving_states(model, 100))


def compare(model: mujoco.MjModel, approaches: Approaches, states: States) -> None:
    """The points that touch are MuJoCo's contacts."""
    distance, speeds = approaches(states.qpos, states.qvel)
    along = torch.linalg.vector_norm(speeds[:, 1:], dim=1)
    touched = 0
    for row in range(len(distance)):
        theirs = seen_by_mujoco(model, states, row)
        columns = zip(distance[row], speeds[row, 0], along[row], strict=True)
        ours = sorted(tuple(map(float, column)) for column in columns if column[0] <= 0)
        assert len(ours) == len(theirs)
        touched += len(ours)
        if ours:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert touched > 30


def test_a_plane_of_motion_makes_no_difference() -> None:
    model, description = body("cheetah")
    states = on_the_ground(model, 10)
    flat = PlanarApproaches(description, Plane.XZ)(states.qpos, states.qvel)
    full = SpatialApproaches(description)(states.qpos, states.qvel)
    # The ends of a capsule one after the other, or one end of all capsules and then the other.
    order = [end * 8 + k for k in range(8) for end in (0, 1)]
    torch.testing.assert_close(flat[0], full[0][:, order])
    torch.testing.assert_close(flat[1][:, 0], full[1][:, 0, order])
    torch.testing.assert_close(flat[1][:, 1], -full[1][:, 1, order])
    assert full[1][:, 2:].abs().max() < 1e-9


def simulator_of(name: str, config: ModelConfig | None = None) -> Simulator:
    model, description = body(name)
    config = ModelConfig(width=8, features=Flavour.CONTACT) if config is None else config
    config = dataclasses.replace(config, geometry=description.to_json())
    torch.manual_seed(0)
    return Simulator(RobotSpec.from_mujoco(model, name=name), config)


def test_neither_place_nor_heading_matters() -> None:
    simulator = simulator_of("go2", ModelConfig(features=Flavour.CONTACT, precision=DOUBLE))
    states = on_the_ground(suite_model("go2"), 5)
    turn = np.array([np.cos(0.4), 0, 0, np.sin(0.4)])
    moved = State(states.qpos.clone(), states.qvel.clone())
    moved.qpos[:, :2] += 3.0
    for qpos, qvel in zip(moved.qpos.numpy(), moved.qvel.numpy(), strict=True):
        mujoco.mju_mulQuat(qpos[3:7], turn, qpos[3:7].copy())
        mujoco.mju_rotVecQuat(qvel[:3], qvel[:3].copy(), turn)
    first = simulator.step(State(states.qpos, states.qvel), states.ctrl)
    second = simulator.step(moved, states.ctrl)
    torch.testing.assert_close(first.qpos[:, 7:], second.qpos[:, 7:])
    torch.testing.assert_close(first.qvel[:, 3:], second.qvel[:, 3:])
    for row, qvel in enumerate(first.qvel.detach().numpy()):
        turned = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, qvel[:3], turn)
        np.testing.assert_allclose(second.qvel[row, :3].detach(), turned, atol=1e-9)


def test_place_does_not_matter_in_a_plane() -> None:
    simulator = simulator_of("cheetah")
    states = on_the_ground(suite_model("cheetah"), 5)
    shift = torch.zeros(9).double()
    shift[0] = 4.0
    first = simulator.step(State(states.qpos, states.qvel), states.ctrl)
    second = simulator.step(State(states.qpos + shift, states.qvel), states.ctrl)
    torch.testing.assert_close(first.qvel, second.qvel)


@pytest.mark.parametrize("name", ["cheetah", "go2"])
def test_far_out_they_are_bounded_and_motion_goes_on(name: str) -> None:
    simulator = simulator_of(name)
    states = on_the_ground(suite_model(name), 4)
    far = State(states.qpos.clone(), states.qvel * 1e6).to(torch.float32)
    far.qpos[0, height_of(suite_model(name))] = -1e6
    far.qpos[1, height_of(suite_model(name))] = 1e6
    action = states.ctrl.float()
    encoded = simulator.features.encode(far.qpos, far.qvel, None, action)
    assert encoded.abs().max() <= 10
    for _ in range(50):
        far = simulator.step(far, action)
    assert torch.isfinite(far.qvel).all()


def test_rare_touches_are_scaled_as_frequent_ones() -> None:
    features = simulator_of("cheetah").features
    states = on_the_ground(suite_model("cheetah"), 200)
    raw = features.unwhitened(states.qpos, states.qvel, None, states.ctrl).float()
    assert features.contact is not None
    k, end = features.contact.n_points, features.n_position
    touching = raw[:, end - 3 * k : end - 2 * k]
    touching[:, :2] = 0.0
    touching[0, 0] = 1.0
    features.learn_scales(raw)
    scale = features.scale[end - 3 * k : end - 2 * k]
    assert scale[0] == scale[2] == 1 / touching.std(0).max()
    assert scale[1] == 0  # It never touched.


def test_features_stay_within_what_training_has_seen() -> None:
    features = simulator_of("cheetah").features
    states = on_the_ground(suite_model("cheetah"), 50)

    def shown(qvel: torch.Tensor) -> torch.Tensor:
        return features.encode(states.qpos.float(), qvel.float(), None, states.ctrl.float())

    features.learn_scales(features.unwhitened(states.qpos, states.qvel, None, states.ctrl).float())
    seen, wild = shown(states.qvel), shown(100 * states.qvel)
    room = 0.1001 * (seen.amax(0) - seen.amin(0))
    assert (wild <= seen.amax(0) + room).all() and (wild >= seen.amin(0) - room).all()
    features.learn_range(
        features.unwhitened(states.qpos, 2 * states.qvel, None, states.ctrl).float()
    )
    assert shown(2 * states.qvel).abs().max() > seen.abs().max()


def test_what_is_far_is_all_the_same_and_what_is_deep() -> None:
    model, description = body("cheetah")
    features = ContactFeatures(description)
    states = on_the_ground(model, 1)
    high, deep = states.qpos.repeat(2, 1), states.qpos.repeat(2, 1)
    high[:, 1] += torch.tensor([5.0, 50.0])
    deep[:, 1] -= torch.tensor([5.0, 50.0])
    speeds = states.qvel.repeat(2, 1)
    positions, velocities = features(high, speeds)
    assert (positions[0] == positions[1]).all() and positions.max() == FARTHEST
    assert velocities.abs().max() < 1e-6
    positions, velocities = features(deep, speeds)
    assert (positions[0] == positions[1]).all() and positions.min() == -DEEPEST


def test_precisions_agree_and_gradients_flow() -> None:
    model, description = body("walker")
    features = ContactFeatures(description)
    states = on_the_ground(model, 10)
    wide = features(states.qpos, states.qvel)
    narrow = features(states.qpos.float(), states.qvel.float())
    for ours, theirs in zip(narrow, wide, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-2, atol=1e-2)
    qpos = states.qpos.clone().requires_grad_()
    sum(part.sum() for part in features(qpos, states.qvel)).backward()
    assert torch.isfinite(qpos.grad).all() and (qpos.grad != 0).any()


def test_velocities_stand_with_velocities() -> None:
    simulator = simulator_of("hopper")
    features, states = simulator.features, on_the_ground(suite_model("hopper"), 3)
    first = features.unwhitened(states.qpos, states.qvel, None, states.ctrl)
    second = features.unwhitened(states.qpos, 2 * states.qvel, None, states.ctrl)
    assert first.shape[1] == features.n_features
    ends = (features.n_position, features.n_velocity, features.n_control)
    for ratio, one, two in zip((1, 2, 1), first.split(ends, 1), second.split(ends, 1), strict=True):
        torch.testing.assert_close(ratio * one, two)


@pytest.mark.parametrize("predictor", ["rigid_body", "residual"])
def test_a_checkpoint_brings_them_back(predictor: str, tmp_path: Path) -> None:
    simulator = simulator_of("hopper", ModelConfig(predictor, 8, features=Flavour.CONTACT))
    save_checkpoint(tmp_path / "hopper", simulator, acceptance={}, provenance={}, card="")
    states = on_the_ground(suite_model("hopper"), 3)
    state = State(states.qpos, states.qvel)
    loaded = load_simulator(tmp_path / "hopper")
    assert (loaded.step(state, states.ctrl).qvel == simulator.step(state, states.ctrl).qvel).all()


def test_members_step_as_one() -> None:
    members = [simulator_of("cheetah"), simulator_of("cheetah")]
    states = on_the_ground(suite_model("cheetah"), 3)
    state = State(states.qpos, states.qvel)
    alone = members[1].step(state, states.ctrl)
    torch.testing.assert_close(Ensemble(members).step(state, states.ctrl)[1].qvel, alone.qvel)


def test_a_body_that_meets_nothing_has_none() -> None:
    model, description = body("pendulum")
    features = FeatureMap(
        RobotSpec.from_mujoco(model, name="pendulum"), Flavour.CONTACT, description.to_json()
    )
    plain = FeatureMap(RobotSpec.from_mujoco(model, name="pendulum"), Flavour.STANDARD)
    assert features.n_features == plain.n_features


def test_without_the_geometry_of_the_body() -> None:
    spec = RobotSpec.from_mujoco(suite_model("hopper"), name="hopper")
    with pytest.raises(MosimError, match='features "contact" need the geometry of hopper'):
        FeatureMap(spec, Flavour.CONTACT)
    with pytest.raises(MosimError, match="belongs to another body"):
        FeatureMap(spec, Flavour.CONTACT, body("cheetah")[1].to_json())
