"""Where episodes start: options, recorded states, mixtures; and that it lasts."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mosim_gym
from mosim_gym import MixedResets, ReplayResets, TaskResets
from mosim_gym.envs.resets import Draw
from mosim_gym.errors import MosimError
from mosim_gym.registration import find_env
from mosim_gym.tasks.mujoco import robot_of
from mosim_gym.types import State
from tests.envs.faces import ENV_ID
from tests.envs.fakes import Shelf

STATE = {"qpos": np.array([0.1, -0.2]), "qvel": np.array([1.0, 2.0]), "context": np.array([0.1, 0])}


def make(dynamics, **options):
    return gym.make(ENV_ID, **dynamics, **options)


def make_vec(dynamics, num_envs, **options):
    return gym.make_vec(ENV_ID, num_envs=num_envs, state_info=True, **dynamics, **options)


def start_of(env, **reset):
    return env.reset(**reset)[1]["mosim/state"]


# --- options ---------------------------------------------------------------------------------


def test_options_override_once(dynamics):
    env = make(dynamics)
    state = start_of(env, seed=0, options=STATE)
    for name, value in STATE.items():
        np.testing.assert_allclose(state[name], value, atol=1e-7)
    assert (start_of(env)["qpos"] != state["qpos"]).all()


def test_a_missing_context_is_drawn_and_unknown_keys_are_ignored(dynamics):
    env = make(dynamics)
    options = {"qpos": STATE["qpos"], "qvel": STATE["qvel"], "act": None, "minari": object()}
    targets = [start_of(env, seed=seed, options=options)["context"] for seed in (0, 1)]
    assert (targets[0] != targets[1]).all()
    for target in targets:
        assert 0.049 < np.hypot(*target) < 0.201


def test_a_part_of_the_state_may_be_given(dynamics):
    env = make(dynamics)
    drawn = start_of(env, seed=3)
    state = start_of(env, seed=3, options={"qvel": [5.0, 6.0]})
    np.testing.assert_allclose(state["qvel"], [5, 6])
    np.testing.assert_allclose(state["qpos"], drawn["qpos"], atol=1e-7)


def test_the_vector_face_takes_rows_and_a_mask(dynamics):
    env = make_vec(dynamics, 3)
    batch = {name: np.stack([value, 2 * value, 3 * value]) for name, value in STATE.items()}
    env.reset(seed=0, options=batch)
    mask = np.array([False, True, False])
    options = {"reset_mask": mask, "qpos": np.full((3, 2), 0.5)}
    shown, infos = env.reset(options=options)
    assert options["reset_mask"] is mask  # read, not popped
    assert infos["_mosim/state"].tolist() == mask.tolist()
    np.testing.assert_allclose(shown[:, :2], [STATE["qpos"], [0.5, 0.5], 3 * STATE["qpos"]],
                               atol=1e-6)  # fmt: skip
    np.testing.assert_allclose(shown[[0, 2], 4:], batch["qvel"][[0, 2]], atol=1e-6)


def test_a_masked_reset_restarts_the_step_count_of_those_rows_only(dynamics):
    env = make_vec(dynamics, 2, horizon=3)
    env.reset(seed=0)
    env.step(np.zeros((2, 2)))
    env.reset(options={"reset_mask": np.array([True, False])})
    ends = [env.step(np.zeros((2, 2)))[3].tolist() for _ in range(3)]
    assert ends == [[False, False], [False, True], [True, False]]


def test_options_of_single_rows_are_refused_on_the_sb3_face(dynamics):
    env = mosim_gym.make_sb3_vec_env(ENV_ID, 3, **dynamics)
    env.set_options([{}, {"qpos": np.zeros(2)}, {"qpos": np.zeros(2)}])
    with pytest.raises(MosimError, match=r"qpos to envs \[1, 2\] of 3; expected it for all"):
        env.reset()


# --- replay ----------------------------------------------------------------------------------


def test_replay_is_a_live_view(dynamics):
    shelf, env = Shelf(1), make(dynamics)
    env.reset(seed=0)
    env.unwrapped.set_reset_source(ReplayResets(shelf))
    assert {start_of(env)["qpos"][0] for _ in range(5)} == {0.0}
    shelf.size = 4
    seen = [start_of(env) for _ in range(40)]
    assert {state["qpos"][0] for state in seen} == {0.0, 1.0, 2.0, 3.0}
    np.testing.assert_allclose(seen[0]["qvel"], 0.5)
    np.testing.assert_allclose(seen[0]["context"], 0.125)


def test_given_options_win_over_the_source(dynamics):
    env = make(dynamics)
    env.unwrapped.set_reset_source(ReplayResets(Shelf(1)))
    state = start_of(env, options={"context": STATE["context"]})
    np.testing.assert_allclose(state["context"], STATE["context"], atol=1e-7)
    assert state["qpos"].tolist() == [0.0, 0.25]


def test_the_source_holds_across_auto_resets(dynamics):
    vector = make_vec(dynamics, 3, horizon=2)
    vector.unwrapped.set_reset_source(ReplayResets(Shelf(1)))
    sb3 = mosim_gym.make_sb3_vec_env(ENV_ID, 3, horizon=2, **dynamics)
    sb3.env_method("set_reset_source", ReplayResets(Shelf(1)))
    vector.reset(seed=0)
    sb3.reset()
    for t in range(1, 9):
        shown, replayed = vector.step(np.zeros((3, 2)))[0], sb3.step(np.zeros((3, 2)))[0]
        if t % 2 == 0:
            np.testing.assert_allclose(shown[:, :2], [[0, 0.25]] * 3)
            np.testing.assert_allclose(replayed[:, :2], [[0, 0.25]] * 3)


def test_indices_choose_rows_on_the_sb3_face(dynamics):
    env = mosim_gym.make_sb3_vec_env(ENV_ID, 4, horizon=1, **dynamics)
    env.env_method("set_reset_source", ReplayResets(Shelf(1)), indices=[1, 3])
    env.reset()
    for _ in range(3):
        shown, *_ = env.step(np.zeros((4, 2)))
        assert (shown[:, 1] == 0.25).tolist() == [False, True, False, True]
    env.env_method("set_reset_source", TaskResets(), indices=3)
    assert (env.step(np.zeros((4, 2)))[0][:, 1] == 0.25).tolist() == [False, True, False, False]
    env.env_method("set_reset_source", TaskResets())
    assert not (env.step(np.zeros((4, 2)))[0][:, 1] == 0.25).any()
    # Sources that no row uses are let go.
    assert len(env.unwrapped.world._sources) == 1


def test_noise_is_added_to_positions_and_speeds_only(checkpoint):
    env = make_vec({"checkpoint": checkpoint}, 400)
    env.unwrapped.set_reset_source(ReplayResets(Shelf(1), noise=0.1))
    state = start_of(env, seed=0)
    for name, centre in (("qpos", [0.0, 0.25]), ("qvel", [0.5, 0.5])):
        np.testing.assert_allclose(state[name].mean(0), centre, atol=0.03)
        np.testing.assert_allclose(state[name].std(0), 0.1, rtol=0.2)
    np.testing.assert_allclose(state["context"], 0.125)


def test_draws_follow_the_seed(dynamics):
    env = make_vec(dynamics, 8)
    env.unwrapped.set_reset_source(ReplayResets(Shelf(1000), noise=0.1))
    one, other, again = (start_of(env, seed=seed)["qpos"] for seed in (1, 2, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


# --- mixtures --------------------------------------------------------------------------------


def test_mixed_resets_draw_by_weight():
    mixed = MixedResets(
        {TaskResets(): 1, ReplayResets(Shelf(1)): 2, ReplayResets(Shelf(1), noise=0.1): 1}
    )
    counts = [0, 0, 0]
    rng, robot = np.random.default_rng(0), robot_of("reacher", "easy")
    for _ in range(50):
        for draw in mixed.draw(40, rng, robot):
            exact = bool(draw.fields) and bool((draw.fields["qvel"] == 0.5).all())
            counts[0 if not draw.fields else 1 if exact else 2] += len(draw.positions)
    np.testing.assert_allclose(np.array(counts) / 2000, [0.25, 0.5, 0.25], atol=0.04)


def test_every_part_of_a_mixture_is_used(dynamics):
    env = make_vec(dynamics, 12)
    env.unwrapped.set_reset_source(MixedResets({TaskResets(): 0.5, ReplayResets(Shelf(1)): 0.5}))
    replayed = (start_of(env, seed=0)["qvel"] == 0.5).all(1)
    assert 0 < replayed.sum() < 12


@given(st.integers(1, 30), st.integers(0, 2**31), st.lists(st.floats(0.1, 5), min_size=1))
def test_draws_of_a_mixture_partition_the_rows(n, seed, weights):
    robot = robot_of("reacher", "easy")
    inner = MixedResets({TaskResets(): 1.0, ReplayResets(Shelf(3)): 1.0})
    mixed = MixedResets({inner: 1.0, **{ReplayResets(Shelf(2)): w for w in weights}})
    draws = mixed.draw(n, np.random.default_rng(seed), robot)
    rows = np.concatenate([draw.positions for draw in draws])
    assert sorted(rows.tolist()) == list(range(n))
    for draw in draws:
        assert all(len(value) == len(draw.positions) for value in draw.fields.values())


class Backwards:
    """A source of one's own that names the rows in another order."""

    def draw(self, n, rng, robot):
        rows = np.arange(n)[::-1]
        qpos = np.stack([rows, np.zeros(n)], 1).astype(float)
        return [Draw(rows, {"qpos": qpos, "qvel": np.zeros((n, 2))})]

    def check(self, engine):
        pass


def test_positions_of_a_draw_may_come_in_any_order(dynamics):
    env = make_vec(dynamics, 4)
    env.unwrapped.set_reset_source(Backwards())
    assert start_of(env, seed=0)["qpos"][:, 0].tolist() == [0, 1, 2, 3]


# --- bad sources -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda: ReplayResets(Shelf(0)), "holds no state yet. Fill the buffer first"),
        (lambda: MixedResets({ReplayResets(Shelf(0)): 1.0}), "holds no state yet"),
        (lambda: ReplayResets(Shelf(2, width=3)), r"qpos has shape \(1, 3\), expected \(1, 2\)"),
        (lambda: ReplayResets(Shelf(1, robot_of("cheetah", "run"))), "another body: cheetah"),
        (lambda: Shelf(1), "set_reset_source was given Shelf; expected TaskResets"),
        (lambda: ReplayResets([1, 2]), "given list; expected a Dataset, a StateReplayBuffer"),
        (lambda: ReplayResets(Shelf(1), noise=-1), "noise is -1; expected .*0 or more"),
        (lambda: ReplayResets(Shelf(1), noise=np.nan), "noise is nan"),
        (lambda: MixedResets({}), r"weights \[\]; expected at least one"),
        (lambda: MixedResets({TaskResets(): 0.0}), r"weights \[0.0\]"),
        (lambda: MixedResets({"dataset": 1.0}), "MixedResets was given str; expected TaskResets"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_and_changes_nothing(dynamics, source, message):
    env, untouched = make(dynamics), make(dynamics)
    with pytest.raises(MosimError, match=message):
        env.unwrapped.set_reset_source(source())
    np.testing.assert_array_equal(env.reset(seed=0)[0], untouched.reset(seed=0)[0])


def test_a_source_that_runs_dry_or_goes_bad_later_is_told(dynamics):
    shelf, env = Shelf(1), make(dynamics)
    env.unwrapped.set_reset_source(ReplayResets(shelf))
    shelf.size = 0
    with pytest.raises(MosimError, match="holds no state yet"):
        env.reset()
    shelf.size, shelf.width = 1, 3
    with pytest.raises(MosimError, match=r"qpos has shape \(1, 3\), expected \(1, 2\)"):
        env.reset()


def test_states_of_another_task_of_the_body_may_be_replayed(model_of):
    """fish-swim records where its target was; fish-upright has none."""
    row = find_env("MoSim/fish-upright-v0")
    fields = {"qpos": np.tile(np.eye(14)[3], (1, 1)), "qvel": np.zeros((1, 13))}

    class Swum:
        def __len__(self):
            return 1

        def sample_states(self, n, rng):
            recorded = {**fields, "context": np.ones((1, 3))}
            return State.from_numpy({k: np.repeat(v, n, 0) for k, v in recorded.items()})

    for options in ({"checkpoint": model_of(row)}, {"dynamics": "mujoco"}):
        env = gym.make(row.env_id, **options)
        env.unwrapped.set_reset_source(ReplayResets(Swum()))
        _, info = env.reset(seed=0)
        np.testing.assert_array_equal(info["mosim/state"]["qpos"], fields["qpos"][0])
        assert "context" not in info["mosim/state"]
        with pytest.raises(MosimError, match="This task of fish has no context; leave it out"):
            env.reset(options={"context": np.ones(3)})
