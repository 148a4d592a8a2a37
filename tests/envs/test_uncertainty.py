"""``uncertainty=`` on all faces, with dynamics and doubt that are known exactly."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_sb3

import mosim_gym
from mosim_gym.envs.caution import Caution, Use
from mosim_gym.tasks import reacher
from mosim_gym.tasks.mujoco import robot_of
from mosim_gym.types import State
from mosim_gym.uncertainty.calibration import Calibration
from tests.envs.faces import BATCHED, ENV_ID, FACES
from tests.envs.fakes import Drifting

UP = np.array([0.5, 0.0], np.float32)
#: Held-out doubts 0.01, 0.02, ..., 1.
KNOWN = Calibration(np.arange(1, 101) / 100)
START = {
    "qpos": np.array([[-5.0, 0.1], [0.5, 0.2], [-5.0, 0.3]]),
    "qvel": np.zeros((3, 2)),
    "context": np.array([[0.2, 0.0], [0.1, 0.1], [0.0, 0.2]]),
}


def known(env, use=Use.TRUNCATE, quantile=0.9):
    """Let a face drift, its doubt the first position, and that of held-out steps `KNOWN`."""
    world = env.unwrapped.world
    world.engine.simulator = Drifting(world.engine.robot)
    world.engine._scorer = lambda state, action: state.qpos[:, 0]
    world.caution = Caution(use, KNOWN, quantile)
    return env


def arrived(steps: int) -> np.ndarray:
    """What is observed after drifting up from `START`."""
    moved = State.from_numpy(
        {**START, "qpos": START["qpos"] + steps * UP.astype(float), "qvel": np.tile(UP, (3, 1))}
    )
    task = reacher.easy()
    return task.observe(task.measure(moved, torch.zeros(1, 2))).numpy().astype(np.float32)


def test_vector_row_that_is_doubted(alone):
    env = known(gym.make_vec(ENV_ID, num_envs=3, checkpoint=alone, uncertainty="truncate"))
    env.reset(seed=0, options=START)
    *_, truncated, infos = env.step(np.tile(UP, (3, 1)))
    # Doubts are -5, .5 and -5: half of the held-out ones are no higher than .5.
    assert not truncated.any()
    assert infos["mosim/uncertainty"].tolist() == [0.0, 0.5, 0.0]
    shown, reward, terminated, truncated, infos = env.step(np.tile(UP, (3, 1)))
    assert not terminated.any() and truncated.tolist() == [False, True, False]
    assert infos["mosim/truncation"].tolist() == [None, "uncertainty", None]
    assert infos["mosim/uncertainty"].tolist() == [0.0, 1.0, 0.0]
    # Bootstrapped from where it arrived; the others went on.
    np.testing.assert_array_equal(infos["final_obs"][1], arrived(2)[1])
    assert infos["final_info"]["mosim/uncertainty"][1] == 1.0
    np.testing.assert_array_equal(shown[[0, 2]], arrived(2)[[0, 2]])
    assert shown[1, 4:].tolist() == [0, 0]


def test_sb3_row_that_is_doubted(alone):
    env = known(mosim_gym.make_sb3_vec_env(ENV_ID, 3, checkpoint=alone, uncertainty="truncate"))
    env.set_options([{name: value[row] for name, value in START.items()} for row in range(3)])
    env.reset()
    env.step(np.tile(UP, (3, 1)))
    _, _, dones, infos = env.step(np.tile(UP, (3, 1)))
    assert dones.tolist() == [False, True, False]
    assert [info["mosim/uncertainty"] for info in infos] == [0.0, 1.0, 0.0]
    assert infos[1]["mosim/truncation"] == "uncertainty"
    assert infos[1]["TimeLimit.truncated"] is True
    np.testing.assert_array_equal(infos[1]["terminal_observation"], arrived(2)[1])


def test_single_that_is_doubted(alone):
    env = known(gym.make(ENV_ID, checkpoint=alone, uncertainty="truncate"))
    env.reset(seed=0, options={name: value[1] for name, value in START.items()})
    *_, truncated, info = env.step(UP)
    assert not truncated and info["mosim/uncertainty"] == 0.5
    observation, _, terminated, truncated, info = env.step(UP)
    assert truncated and not terminated and info["mosim/truncation"] == "uncertainty"
    np.testing.assert_array_equal(observation, arrived(2)[1])


def test_dm_env_that_is_doubted(alone):
    env = mosim_gym.load("reacher", "easy", checkpoint=alone, uncertainty="truncate")
    env.world.engine.simulator = Drifting(env.robot)
    env.world.engine._scorer = lambda state, action: 2.0 + 0 * state.qpos[:, 0]
    env.world.caution = Caution(Use.TRUNCATE, KNOWN, 0.9)
    env.reset()
    step = env.step(UP)
    assert step.last() and step.discount == 1.0


def test_doubt_goes_before_the_horizon_and_divergence_before_doubt(alone):
    env = gym.make_vec(ENV_ID, num_envs=3, checkpoint=alone, uncertainty="truncate", horizon=2)
    known(env).unwrapped.world.engine.simulator = Drifting(robot_of("reacher", "easy"), cliff=5.2)
    start = {**START, "qpos": np.array([[4.4, 0.1], [0.5, 0.2], [-5.0, 0.3]])}
    env.unwrapped.world.caution = Caution(Use.TRUNCATE, Calibration(np.arange(5)), 0.3)
    env.reset(seed=0, options=start)
    infos = env.step(np.tile(UP, (3, 1)))[-1]
    assert infos["mosim/truncation"].tolist() == ["uncertainty", None, None]
    env.reset(seed=0, options={**start, "qpos": start["qpos"] + [[0.5, 0], [-0.1, 0], [0, 0]]})
    infos = env.step(np.tile(UP, (3, 1)))[-1]
    assert infos["mosim/truncation"].tolist() == ["diverged", None, None]


@pytest.mark.parametrize("name", BATCHED)
def test_the_penalty_is_added_and_the_row_goes_on(alone, name):
    face = BATCHED[name](3, checkpoint=alone, uncertainty="penalty")
    known(face.env, Use.PENALTY)
    face.reset(start=START)
    seen = face.step(np.tile(UP, (3, 1)))
    plain = reacher.easy()
    moved = State.from_numpy({**START, "qpos": START["qpos"] + UP})
    reward = plain.reward(plain.measure(moved, torch.zeros(3, 2))).numpy()
    tau, alpha = KNOWN.penalty_scale(0.9)
    log_p = -START["qpos"][:, 0]
    expected = reward + 1 / (1 + np.exp(-(log_p - -tau) / alpha)) - 1
    np.testing.assert_allclose(seen.reward, expected, atol=1e-6)
    assert seen.reward[1] == pytest.approx(-0.01, abs=1e-6)  # not clipped
    assert not seen.truncated.any()


def test_a_row_that_diverges_pays_too(alone):
    """Else divergence would be the way out of the penalty."""
    env = known(gym.make(ENV_ID, checkpoint=alone, uncertainty="penalty"), Use.PENALTY)
    env.unwrapped.world.engine.simulator = Drifting(robot_of("reacher", "easy"), cliff=-np.inf)
    env.reset(seed=0, options={"qpos": [5.0, 0.0], "qvel": [0.0, 0.0]})
    _, reward, _, truncated, info = env.step(UP)
    assert truncated and info["mosim/truncation"] == "diverged"
    assert reward == pytest.approx(-1.0)


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("use", Use)
def test_every_use_on_every_face(several, name, use):
    face = FACES[name](1, checkpoint=several, uncertainty=use.value)
    face.reset(seed=3)
    for _ in range(3):
        seen = face.step(np.full((1, 2), 0.3, np.float32))
        assert np.isfinite(seen.last).all() and np.isfinite(seen.reward).all()


@pytest.mark.parametrize("use", Use)
@pytest.mark.filterwarnings("ignore:.*observation space m.* value is")
def test_the_checkers(several, use):
    env = gym.make(ENV_ID, checkpoint=several, uncertainty=use.value)
    check_gymnasium(env.unwrapped, skip_render_check=True)
    check_sb3(env, warn=True)


@pytest.mark.parametrize("score", ["density", "disagreement"])
def test_the_doubt_told_is_that_of_the_score(several, score):
    options = {"uncertainty": "penalty", "uncertainty_score": score}
    env = gym.make(ENV_ID, checkpoint=several, **options)
    world = env.unwrapped.world
    env.reset(seed=0)
    state = State.from_numpy(world.engine.state())
    info = env.step(UP)[-1]
    doubt = world.engine._scorer(state.to(torch.float32), torch.tensor(UP[None])).double().numpy()
    assert doubt > 0
    assert info["mosim/uncertainty"] == world.caution.calibration.quantile_of(doubt)[0]


def test_spread_is_how_far_the_members_have_parted_since_the_start(several):
    """The members' states, stepped here one by one."""
    env = gym.make_vec(
        ENV_ID, num_envs=2, checkpoint=several, uncertainty="truncate", state_info=True
    )
    world = env.unwrapped.world
    world.caution = Caution(Use.PENALTY, KNOWN, 0.9)
    paths = [several, f"{several}/member-1", f"{several}/member-2"]
    members = [mosim_gym.load_simulator(path) for path in paths]
    scale = world.engine._spread.scale

    def expected(states, own):
        own = torch.cat([own.qpos, own.qvel], 1)
        apart = [(torch.cat([s.qpos, s.qvel], 1) - own) / scale for s in states[1:]]
        return torch.stack(apart).square().mean(2).sqrt()

    env.reset(seed=0)
    start = State.from_numpy(world.engine.state(), dtype=torch.float32)
    states = [start] * 3
    action = np.full((2, 2), 0.3)
    for t in range(6):
        if t == 3:
            env.reset(options={"reset_mask": np.array([True, False])})
            new = State.from_numpy(world.engine.state(), dtype=torch.float32)
            states = [s.replace_rows(np.array([0]), new[np.array([0])]) for s in states]
        states = [m.step(s, torch.tensor(action)) for m, s in zip(members, states, strict=True)]
        infos = env.step(action)[-1]
        own = State.from_numpy(
            infos["mosim/state"] | {"context": start.context}, dtype=torch.float32
        )
        futures = world.engine._futures
        distance = world.engine._spread.distances(futures, own)[1:]
        torch.testing.assert_close(distance, expected(states, own), rtol=1e-3, atol=1e-5)
        doubt = world.engine._spread.of(futures, own)
        joined = (1 + distance**-4.0).rsqrt().mean(0).sqrt()
        torch.testing.assert_close(doubt, joined, rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(
            infos["mosim/uncertainty"], KNOWN.quantile_of(doubt.double().numpy())
        )


def test_steps_are_the_models_own_unless_members_are_drawn(several):
    def run(**options):
        env = gym.make_vec(ENV_ID, num_envs=4, checkpoint=several, **options)
        env.reset(seed=0)
        return [env.step(np.full((4, 2), 0.2))[0] for _ in range(5)]

    plain = run()
    np.testing.assert_array_equal(run(uncertainty="penalty"), plain)
    assert (run(uncertainty="member")[0] != plain[0]).any()


def test_members_are_drawn_anew_by_the_seed(several):
    def run(seed):
        env = gym.make_vec(ENV_ID, num_envs=64, checkpoint=several, uncertainty="member")
        start = {name: np.repeat(value[:1] * 0.1, 64, 0) for name, value in START.items()}
        env.reset(seed=seed, options=start)
        return [env.step(np.full((64, 2), 0.2))[0] for _ in range(2)]

    one, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(one, again)
    assert (one[0] != other[0]).any()
    # From one state, three members lead to three; each of them to three.
    assert [len(np.unique(seen, axis=0)) for seen in one] == [3, 9]


def test_a_rows_members_do_not_depend_on_the_resets_of_others(several):
    def run(mask):
        env = gym.make_vec(ENV_ID, num_envs=8, checkpoint=several, uncertainty="member")
        env.reset(seed=0, options={n: np.repeat(v[:1] * 0.1, 8, 0) for n, v in START.items()})
        seen = []
        for t in range(6):
            if t == 2 and mask.any():
                env.reset(options={"reset_mask": mask})
            seen.append(env.step(np.full((8, 2), 0.2))[0][4:])
        return np.array(seen)

    others = np.arange(8) < 3
    np.testing.assert_array_equal(run(others), run(np.zeros(8, bool)))


@pytest.mark.slow
def test_a_compiled_model_tells_the_same_doubt(several):
    found = []
    for flag in (False, True):
        env = gym.make(ENV_ID, checkpoint=several, uncertainty="penalty", compile=flag)
        env.reset(seed=0)
        steps = [env.step(UP) for _ in range(3)]
        found.append([[reward, info["mosim/uncertainty"]] for _, reward, *_, info in steps])
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
