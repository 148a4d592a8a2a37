"""Features: what they ignore, and what they show only beyond a limit."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.dynamics.config import Flavour
from mosim_gym.dynamics.features import FeatureMap, horizontal_root_positions
from mosim_gym.robots.spec import RobotSpec

FREE = """<mujoco><worldbody><body><freejoint/><geom size=".1"/>
<body pos="1 0 0"><joint range="-60 60" limited="true"/><geom size=".1"/>
<body pos="1 0 0"><joint type="ball"/><geom size=".1"/></body></body></body></worldbody></mujoco>"""
PLANAR = """<mujoco><worldbody><body><joint name="rootx" type="slide" axis="1 0 0"/>
<joint name="rootz" type="slide" axis="0 0 1"/><joint name="rooty" axis="0 1 0"/>
<geom size=".1"/><body pos="1 0 0"><joint name="knee" range="-60 60" limited="true"/>
<geom size=".1"/></body></body></worldbody></mujoco>"""

LIMIT = np.pi / 3


def spec_of(xml: str) -> RobotSpec:
    return RobotSpec.from_mujoco(mujoco.MjModel.from_xml_string(xml), name="body")


def random_state(spec: RobotSpec, n: int = 5) -> tuple[torch.Tensor, ...]:
    qpos, qvel = torch.randn(n, spec.nq).double(), torch.randn(n, spec.nv).double()
    return qpos, qvel, torch.zeros(n, spec.nu).double()


def test_a_free_root_forgets_where_it_is_and_heads() -> None:
    spec = spec_of(FREE)
    features = FeatureMap(spec, Flavour.STANDARD).double()
    qpos, qvel, action = random_state(spec)
    qpos[:, 3:7] /= qpos[:, 3:7].norm(dim=1, keepdim=True)
    turn = np.array([np.cos(0.4), 0, 0, np.sin(0.4)])
    moved, velocity = qpos.clone(), qvel.clone()
    moved[:, :2] += 3.0
    for row in range(len(qpos)):
        quaternion, linear = np.zeros(4), np.zeros(3)
        mujoco.mju_mulQuat(quaternion, turn, qpos[row, 3:7].numpy())
        mujoco.mju_rotVecQuat(linear, qvel[row, :3].numpy(), turn)
        moved[row, 3:7], velocity[row, :3] = torch.tensor(quaternion), torch.tensor(linear)
    before = features.encode(qpos, qvel, None, action)
    after = features.encode(moved, velocity, None, action)
    torch.testing.assert_close(before, after)


def test_what_matters_to_a_neighbour_stays() -> None:
    ball = PLANAR.replace("rootx", "ball_x")
    assert horizontal_root_positions(spec_of(ball)) == ()
    balls = '<body><freejoint/><geom size=".1"/></body>' * 2
    two = f"<mujoco><worldbody>{balls}</worldbody></mujoco>"
    assert horizontal_root_positions(spec_of(two)) == ()


def test_frames_undo_each_other() -> None:
    spec = spec_of(FREE)
    features = FeatureMap(spec, Flavour.STANDARD).double()
    qpos, qvel, _ = random_state(spec)
    local = features.to_local(qpos, qvel)
    assert not torch.allclose(local, qvel)
    torch.testing.assert_close(features.to_world(qpos, local), qvel)


def test_hinges_are_periodic_and_root_x_is_dropped() -> None:
    spec = spec_of(PLANAR)
    assert horizontal_root_positions(spec) == (0,)
    features = FeatureMap(spec, Flavour.STANDARD).double()
    qpos, qvel, action = random_state(spec)
    moved = qpos + torch.tensor([5.0, 0.0, 2 * np.pi, 0.0], dtype=torch.float64)
    torch.testing.assert_close(
        features.encode(qpos, qvel, None, action), features.encode(moved, qvel, None, action)
    )


@pytest.mark.parametrize(("angle", "depth"), [(0.5, 0.0), (LIMIT + 0.2, 0.2), (-LIMIT - 0.1, -0.1)])
def test_depth_is_shown_only_past_a_limit(angle: float, depth: float) -> None:
    spec = spec_of(PLANAR)
    features = FeatureMap(spec, Flavour.STANDARD).double()
    qpos = torch.tensor([[0.0, 0.0, 0.0, angle]], dtype=torch.float64)
    encoded = features.encode(qpos, torch.zeros(1, 4).double(), None, torch.zeros(1, 0))
    past, side, hardened = encoded[0, features.n_position - 3 : features.n_position]
    assert past.item() == pytest.approx(depth)
    assert side == hardened == np.sign(depth)


def test_sizes_add_up_and_training_data_is_white() -> None:
    for xml in (FREE, PLANAR):
        spec = spec_of(xml)
        for flavour in (Flavour.STANDARD, Flavour.RAW):
            features = FeatureMap(spec, flavour).double()
            qpos, qvel, action = random_state(spec, 500)
            raw = features.unwhitened(qpos, qvel, None, action)
            assert raw.shape == (500, features.n_features)
            features.learn_scales(raw)
            white = features.encode(qpos, qvel, None, action)
            if flavour is Flavour.RAW:
                torch.testing.assert_close(white, torch.cat([qpos, qvel, action], 1))
            else:
                assert white.mean(0).abs().max() < 1e-9
                torch.testing.assert_close(white.std(0), torch.ones(features.n_features).double())


def test_a_feature_that_never_varied_is_shown_as_zero() -> None:
    spec = spec_of(PLANAR)
    features = FeatureMap(spec, Flavour.STANDARD).double()
    qpos, qvel, action = random_state(spec, 50)
    qpos[:, 1] = 0.3
    features.learn_scales(features.unwhitened(qpos, qvel, None, action))
    qpos[:, 1] = 9.0
    assert (features.encode(qpos, qvel, None, action)[:, 0] == 0).all()
