"""Distances, positions and frames of contacts against `mj_collision`."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.geometry import Geometry, contact_frames
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.poses import Poses
from tests.articulated.bodies import States, draw, put, suite_model
from tests.articulated.contact_oracle import (
    Answer,
    ask,
    described,
    lowered,
    moving_states,
    shapes,
)


def near_ground(model: mujoco.MjModel, rows: int, seed: int = 0) -> States:
    """Free shapes turned at random, in the ground and each other."""
    states = draw(model, rows, seed)
    rng = np.random.default_rng(seed)
    for joint in range(model.njnt):
        at = model.jnt_qposadr[joint]
        home = torch.tensor(model.qpos0[at : at + 3])
        states.qpos[:, at : at + 3] = home + torch.tensor(rng.normal(0, 0.08, (rows, 3)))
    return states


def check(model: mujoco.MjModel, states: States, answers: list[Answer]) -> int:
    """Every contact of MuJoCo is one of ours and the other way round; how many there were."""
    description, physics, _ = described(model)
    pairs = description.pairs
    geometry = Geometry(description.tree, pairs.geom1, pairs.geom2)
    touch = geometry(Kinematics(description.tree)(states.qpos))
    frames = torch.stack(contact_frames(touch.normal, touch.tangent), 1).permute(3, 0, 1, 2)
    geoms = list(zip(pairs.geom1[geometry.pair], pairs.geom2[geometry.pair], strict=True))
    margin = physics.pair_margin[geometry.pair].numpy()
    for row, answer in enumerate(answers):
        distance = touch.distance[:, row].numpy()
        position = touch.position[:, :, row].numpy()
        free = {i for i in range(len(geoms)) if distance[i] < margin[i] - 1e-12}
        assert len(free) == len(answer.contacts)
        for first, second, dist, pos, frame in answer.contacts:
            own = [i for i in free if tuple(geoms[i]) == (first, second)]
            best = min(own, key=lambda i: np.abs(position[i] - pos).max())
            free.remove(best)
            assert abs(distance[best] - dist) < 1e-10
            np.testing.assert_allclose(position[best], pos, atol=1e-10)
            np.testing.assert_allclose(frames[row, best].numpy(), frame, atol=1e-8)
    return sum(len(answer.contacts) for answer in answers)


def test_every_pair_of_shapes() -> None:
    model = shapes()
    states = near_ground(model, 200)
    assert check(model, states, ask(model, states)) > 1000


@pytest.mark.parametrize("planar", [True, False])
def test_planes_of_bodies_that_are_moved_and_turned(planar: bool) -> None:
    model = lowered(planar=planar)
    states = moving_states(model, 100)
    assert check(model, states, ask(model, states)) > 50
    description, _, _ = described(model)
    pairs = description.pairs
    geometry = Geometry(description.tree, pairs.geom1, pairs.geom2)
    distance = geometry(Kinematics(description.tree)(states.qpos)).distance
    data = mujoco.MjData(model)
    for row in range(0, 100, 10):
        put(model, data, states, row)
        mujoco.mj_kinematics(model, data)
        for pair, (a, b) in enumerate(zip(pairs.geom1, pairs.geom2, strict=True)):
            expected = mujoco.mj_geomDistance(model, data, a, b, 10.0, None)
            found = distance[geometry.pair == pair, row].min()
            assert float(found) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("domain", ["cheetah", "hopper", "walker", "humanoid"])
def test_bodies_of_the_suite(domain: str) -> None:
    model = suite_model(domain)
    states = moving_states(model, 100)
    assert check(model, states, ask(model, states)) > 20


def test_derivatives_are_finite_where_things_coincide() -> None:
    model = shapes()
    description, _, _ = described(model)
    pairs = description.pairs
    geometry = Geometry(description.tree, pairs.geom1, pairs.geom2)
    qpos = torch.tensor(model.qpos0)[None].clone()
    for joint in range(model.njnt):
        qpos[0, 7 * joint : 7 * joint + 3] = 0.0
    qpos.requires_grad_(True)
    touch = geometry(Kinematics(description.tree)(qpos))
    total = sum(value.sum() for value in (*touch, *contact_frames(touch.normal, touch.tangent)))
    assert torch.isfinite(total)
    total.backward()
    assert torch.isfinite(qpos.grad).all()


def test_nothing_to_touch() -> None:
    description, _, _ = described(shapes())
    none = np.zeros(0, np.int64)
    poses = Poses(torch.zeros(3, 2, 3), torch.zeros(3, 2, 3, 3))
    touch = Geometry(description.tree, none, none)(poses)
    assert touch.distance.shape == (0, 3) and touch.normal.shape == (0, 3, 3)
