"""Single, vector, SB3 and dm_env faces are views of one thing."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import mosim_gym
from mosim_gym.registration import ROWS
from mosim_gym.tasks.mujoco import load_dm_env
from tests.envs.faces import BATCHED, ENV_ID, FACES, Sb3, Singles, Vector, flat

OBSERVED = spaces.Box(-np.inf, np.inf, (6,), np.float32)


def actions_of(rows, steps=60, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, rows, 2)).astype(np.float32)


def starts(rows):
    rng = np.random.default_rng(9)
    return {name: rng.normal(0, 0.5, (rows, 2)) for name in ("qpos", "qvel", "context")}


def play(env, actions, **reset):
    """Everything a face shows, as one list of arrays."""
    trace = [env.reset(**reset)]
    for action in actions:
        trace += list(env.step(action))
    return trace


def assert_equal(left, right):
    assert len(left) == len(right)
    for here, there in zip(left, right, strict=True):
        np.testing.assert_array_equal(here, there)


#: One task of every domain.
DOMAINS = [next(row for row in ROWS if row.domain == name) for name in {r.domain: 0 for r in ROWS}]


@pytest.mark.parametrize("row", DOMAINS, ids=lambda row: row.name)
def test_spaces_are_dm_controls_on_every_face(row, dynamics_of):
    options = dynamics_of(row)
    true = load_dm_env(row.domain, row.task)
    action = true.action_spec()
    acted = spaces.Box(action.minimum.astype("f4"), action.maximum.astype("f4"), dtype=np.float32)
    size = sum(int(np.prod(part.shape)) for part in true.observation_spec().values())
    observed = spaces.Box(-np.inf, np.inf, (size,), np.float32)
    single = gym.make(row.env_id, **options)
    vector = gym.make_vec(row.env_id, num_envs=2, **options)
    sb3 = mosim_gym.make_sb3_vec_env(row.env_id, 2, **options)
    for env in (single, sb3):
        assert (env.observation_space, env.action_space) == (observed, acted)
    assert vector.single_observation_space == observed
    assert vector.single_action_space == acted
    dm = mosim_gym.load(row.domain, row.task, **options)
    assert list(dm.observation_spec()) == list(true.observation_spec())
    assert dm.action_spec().shape == action.shape


@pytest.mark.parametrize("order", ["native", "sorted", "dict"])
def test_observation_orders_agree_and_lie_in_their_space(order, dynamics):
    native = Singles(1, **dynamics).reset(seed=3)[0]
    parts = {"position": native[:2], "to_target": native[2:4], "velocity": native[4:]}
    single = gym.make(ENV_ID, obs_order=order, **dynamics)
    vector = gym.make_vec(ENV_ID, num_envs=1, obs_order=order, **dynamics)
    sb3 = mosim_gym.make_sb3_vec_env(ENV_ID, 1, seed=3, obs_order=order, **dynamics)
    alone, batched, stacked = single.reset(seed=3)[0], vector.reset(seed=3)[0], sb3.reset()
    assert single.observation_space.contains(alone)
    assert vector.observation_space.contains(batched)
    assert single.observation_space == sb3.observation_space == vector.single_observation_space
    if order == "dict":
        for name, value in parts.items():
            np.testing.assert_array_equal(alone[name], value)
            np.testing.assert_array_equal(batched[name], value[None])
            np.testing.assert_array_equal(stacked[name], value[None])
    else:
        for shown in (alone, batched[0], stacked[0]):
            np.testing.assert_array_equal(shown, native)


@pytest.mark.parametrize("face", ["vector", "sb3", "dm"])
def test_at_one_env_the_seed_alone_makes_them_agree(face, dynamics):
    single = Singles(1, horizon=7, **dynamics)
    other = FACES[face](1, horizon=7, **dynamics)
    for seed in (0, 5):
        actions = actions_of(1, 40, seed)
        assert_equal(play(single, actions, seed=seed), play(other, actions, seed=seed))


def test_batches_agree_by_seed_bit_for_bit(dynamics):
    left, right = (face(5, horizon=7, **dynamics) for face in (Vector, Sb3))
    actions = actions_of(5)
    assert_equal(play(left, actions, seed=3), play(right, actions, seed=3))


def test_faces_agree_from_the_same_given_states(dynamics):
    actions, start = actions_of(4, 40), starts(4)
    one = play(Singles(4, **dynamics), actions, start=start)
    for face in BATCHED.values():
        other = play(face(4, **dynamics), actions, start=start)
        for here, there in zip(one, other, strict=True):
            # Matrix products of one row and of four differ in the last bits.
            np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("face", FACES)
def test_same_seed_same_bits_and_another_seed_another_episode(face, dynamics):
    rows = 1 if face in ("single", "dm") else 4
    actions = actions_of(rows)
    one, two, three = (
        play(FACES[face](rows, horizon=9, **dynamics), actions, seed=seed) for seed in (1, 1, 2)
    )
    assert_equal(one, two)
    assert (one[0] != three[0]).any()
    again = FACES[face](rows, horizon=9, **dynamics)
    play(again, actions[:13], seed=2)
    assert_equal(one, play(again, actions, seed=1))


def test_a_list_of_seeds_is_what_its_first_stands_for(dynamics):
    left, right = (gym.make_vec(ENV_ID, num_envs=3, horizon=2, **dynamics) for _ in range(2))
    np.testing.assert_array_equal(left.reset(seed=4)[0], right.reset(seed=[4, 5, 6])[0])
    for action in actions_of(3, 7):
        np.testing.assert_array_equal(left.step(action)[0], right.step(action)[0])


@pytest.mark.parametrize("face", BATCHED)
def test_rows_that_do_not_reset_do_not_notice_those_that_do(face, dynamics):
    """Rows 0 and 2 reset (by mask, midway); 1 and 3 are as in a run where nothing does."""
    quiet, busy = (FACES[face](4, **dynamics) for _ in range(2))
    start, actions = starts(4), actions_of(4, 30)
    quiet.reset(seed=0, start=start)
    busy.reset(seed=0, start=start)
    for t, action in enumerate(actions):
        if t in (4, 5, 17):
            busy.worlds[0].reset(np.array([0, 2]))
        here, there = quiet.step(action), busy.step(action)
        np.testing.assert_array_equal(here.last[[1, 3]], there.last[[1, 3]])
        np.testing.assert_array_equal(here.reward[[1, 3]], there.reward[[1, 3]])
    assert (here.last[[0, 2]] != there.last[[0, 2]]).any(1).all()


@pytest.mark.parametrize("face", FACES)
def test_what_is_returned_belongs_to_the_caller(face, dynamics):
    """Overwriting every array that a face gave changes nothing later."""
    rows = 1 if face in ("single", "dm") else 3
    clean, spoiled = (FACES[face](rows, horizon=4, **dynamics) for _ in range(2))
    np.testing.assert_array_equal(clean.reset(seed=0), spoiled.reset(seed=0))
    for action in actions_of(rows, 12):
        mine = action.copy()
        here, there = clean.step(action), spoiled.step(mine)
        assert_equal(here, there)
        for array in (*there, mine):
            array.fill(True)


def test_types_of_the_single_face(dynamics):
    env = gym.make(ENV_ID, **dynamics)
    observation, info = env.reset(seed=0)
    assert observation.dtype == np.float32 and set(info) == {"mosim/state"}
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert type(reward) is float and type(terminated) is bool and type(truncated) is bool
    assert observation.dtype == np.float32 and observation.shape == (6,)
    for fields in (info["mosim/state"], info["mosim/state_before"]):
        assert set(fields) == {"qpos", "qvel", "context"}
        assert all(value.dtype == np.float64 and value.shape == (2,) for value in fields.values())


def test_types_of_the_batched_faces(dynamics):
    vector = gym.make_vec(ENV_ID, num_envs=3, **dynamics)
    vector.reset(seed=0)
    _, reward, terminated, truncated, _ = vector.step(vector.action_space.sample())
    assert reward.shape == (3,) and reward.dtype == np.float64
    assert terminated.dtype == truncated.dtype == bool
    sb3 = Sb3(3, **dynamics).env
    sb3.reset()
    observation, reward, done, infos = sb3.step(np.zeros((3, 2)))
    assert observation.dtype == reward.dtype == np.float32 and done.dtype == bool
    assert len({id(info) for info in infos}) == 3


def test_actions_are_clipped_to_the_action_space(dynamics):
    inside, outside = (Singles(1, **dynamics) for _ in range(2))
    inside.reset(seed=0)
    outside.reset(seed=0)
    far = np.array([[np.inf, -7.0]])
    assert_equal(inside.step(np.array([[1.0, -1.0]])), outside.step(far))


def test_state_info_by_face_and_dynamics(checkpoint):
    """On by default on the single face, and for true physics; an option turns it on and off."""
    for face, dynamics, asked, expected in (
        ("sb3", "learned", None, False),
        ("sb3", "learned", True, True),
        ("sb3", "mujoco", None, True),
        ("sb3", "mujoco", False, False),
        ("vector", "learned", None, False),
        ("vector", "mujoco", None, True),
        ("single", "learned", None, True),
        ("single", "learned", False, False),
    ):
        env = FACES[face](1, dynamics=dynamics, checkpoint=checkpoint, state_info=asked)
        env.reset(seed=0)
        raw = env.envs[0] if face == "single" else env.env
        action = np.zeros(2) if face == "single" else np.zeros((1, 2))
        info = raw.step(action)[-1]
        info = info[0] if face == "sb3" else info
        assert ("mosim/state" in info) == ("mosim/state_before" in info) == expected


def test_ids_work_with_and_without_the_prefix(checkpoint):
    for name in (ENV_ID, ENV_ID.removeprefix("mosim_gym:")):
        env = gym.make(name, checkpoint=checkpoint)
        assert env.spec.id == "MoSim/reacher-easy-v0"
        assert env.spec.max_episode_steps == 1000
        assert mosim_gym.make_sb3_vec_env(name, 1, checkpoint=checkpoint).num_envs == 1


def test_specs_are_json_and_make_the_same_environment(dynamics):
    env = gym.make(ENV_ID, horizon=5, obs_order="sorted", **dynamics)
    copy = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_array_equal(env.reset(seed=1)[0], copy.reset(seed=1)[0])
    for _ in range(5):
        here, there = env.step(np.ones(2)), copy.step(np.ones(2))
        np.testing.assert_array_equal(here[0], there[0])
    assert here[3] and there[3]
    vector = gym.make_vec(ENV_ID, num_envs=2, **dynamics)
    assert vector.spec.to_json()


def test_the_dm_face_gives_float64_parts_in_dm_controls_order(dynamics):
    env = mosim_gym.load("reacher", "easy", {"random": 1}, **dynamics)
    observation = env.reset().observation
    assert list(observation) == ["position", "to_target", "velocity"]
    assert {value.dtype for value in observation.values()} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(flat(observation), Singles(1, **dynamics).reset(seed=1)[0])
