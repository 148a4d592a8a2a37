"""Bodies beyond the suite: what their tasks show and reward, asked of MuJoCo's own data.

`test_parity.py` compares their tasks with environments made of the same functions; this does not.
"""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from dm_control.utils.rewards import tolerance

from mosim_gym.articulated.description import describe
from mosim_gym.tasks.mujoco import load_dm_env, model_of, robot_of, seed
from mosim_gym.tasks.own import OWN_BODIES, SHIPPED
from mosim_gym.types import State
from tests.tasks.parity import TWINS, edge_samples, random_samples

INF = float("inf")


def panda(model, data, target):
    way = target - data.site("pinch").xpos
    reward = tolerance(np.linalg.norm(way), (0, 0.03), margin=0.4, sigmoid="long_tail")
    return np.concatenate([data.qpos, way, data.qvel]), reward


def go2(model, data, speed):
    frame, velocity = data.body("base").xmat.reshape(3, 3), np.zeros(6)
    # Turning, then drift, of the body's frame as it sees them.
    mujoco.mj_objectVelocity(
        model, data, mujoco.mjtObj.mjOBJ_XBODY, data.body("base").id, velocity, 1
    )
    turning, drift = velocity[:3], velocity[3:]
    height = data.body("base").xpos[2]
    observed = [data.qpos[7:], frame[2], [height], drift, turning, data.qvel[6:]]
    stands = tolerance(height, (0.25, INF), margin=0.125) * tolerance(
        frame[2, 2], (0.95, INF), margin=1.95, value_at_margin=0, sigmoid="linear"
    )
    straight = (tolerance(drift[1], margin=0.5) + tolerance(turning[2], margin=1.0)) / 2
    if speed == 0:
        moves = tolerance(drift[0], margin=0.5)
    else:
        band = (speed - 0.15, speed + 0.15)
        ahead = tolerance(drift[0], band, margin=0.6, value_at_margin=0, sigmoid="linear")
        moves = (5 * ahead + 1) / 6
    return np.concatenate(observed), stands * straight * moves


@pytest.mark.parametrize(
    ("name", "oracle", "argument"),
    [("panda-reach", panda, None), ("go2-stand", go2, 0.0), ("go2-walk", go2, 0.75)],
)
def test_they_show_and_reward_what_mujoco_says(name, oracle, argument):
    twin = next(twin for twin in TWINS if str(twin) == name)
    model, rng, task = model_of(twin.domain, twin.task), np.random.default_rng(0), twin.make()
    data, rewards = mujoco.MjData(model), []
    for samples in (random_samples(twin, 200, rng), edge_samples(twin, 200, rng)):
        measured = task.measure(samples.state, samples.action)
        observed, reward = task.observe(measured).numpy(), task.reward(measured).numpy()
        for row, fields in enumerate(rows_of(samples.state)):
            data.qpos[:], data.qvel[:] = fields["qpos"], fields["qvel"]
            mujoco.mj_forward(model, data)
            asked = fields["context"] if argument is None else argument
            shown, earned = oracle(model, data, asked)
            np.testing.assert_allclose(observed[row], shown, rtol=1e-9, atol=1e-9)
            assert reward[row] == pytest.approx(earned, abs=1e-9)
        rewards.append(reward)
    assert np.ptp(np.concatenate(rewards)) > 0.5
    assert 0 <= np.min(rewards) and np.max(rewards) <= 1


def rows_of(state: State):
    fields = state.numpy()
    return [{name: value[row] for name, value in fields.items()} for row in range(len(state))]


@pytest.mark.parametrize("domain", sorted(SHIPPED))
def test_shipped_robots_are_covered_have_no_mesh_and_name_their_licence(domain):
    path = OWN_BODIES[domain].mjcf
    model = mujoco.MjModel.from_xml_path(str(path))
    assert model.nmesh == 0 and describe(model).options.timestep == 0.004
    assert path.stat().st_size < 15_000
    licence = path.with_name(f"LICENSE-{domain}.txt")
    assert licence.name in path.read_text()[:400] and licence.stat().st_size > 1000
    assert robot_of(domain, next(iter(OWN_BODIES[domain].tasks))).control_dt == pytest.approx(0.02)


def test_standing_still_is_standing():
    """The stance held for ten seconds, from disturbed starts."""
    env = load_dm_env("go2", "stand")
    for value in range(3):
        seed(env, value)
        env.reset()
        rewards = [env.step(np.array([0.0, 0.9, -1.8] * 4)).reward for _ in range(500)]
        assert min(rewards[100:]) > 0.9


def test_at_the_start_feet_are_close_above_the_ground():
    task = next(twin for twin in TWINS if str(twin) == "go2-walk").make()
    state = task.initial_states(500, np.random.default_rng(0))
    heights = task.whole(state.qpos).points(task.feet)[:, :, 2].amin(1) - 0.022
    assert heights.min() >= 0 and 0.045 < heights.max() <= 0.05


def test_servos_are_damped_from_the_first_step():
    """dm_control itself does not tell actuators their speed before the first step."""
    env = load_dm_env("go2", "walk")
    env.reset()
    data = env.physics.data
    joints = env.physics.model.actuator_trnid[:, 0] + 5  # the free joint has six velocities
    np.testing.assert_allclose(data.actuator_velocity, data.qvel[joints])
    assert np.abs(data.actuator_velocity).max() > 0.1


def test_reach_without_a_target_is_refused():
    task = next(twin for twin in TWINS if twin.domain == "panda").make()
    with pytest.raises(ValueError, match="needs the target"):
        task.measure(State(torch.zeros(1, 9), torch.zeros(1, 9)), torch.zeros(1, 9))
