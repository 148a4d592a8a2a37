"""What is asked wrongly is told in words: what was given, what was expected, what to do."""

import gymnasium as gym
import numpy as np
import pytest

import mosim_gym
from mosim_gym.dynamics.checkpoint import load_checkpoint, save_checkpoint
from mosim_gym.errors import CheckpointError, DatasetError, MosimError, UnknownNameError
from mosim_gym.registration import ROWS, find_env, find_row, register_envs
from tests.envs.conftest import untrained
from tests.envs.faces import ENV_ID

SHORT = ENV_ID.removeprefix("mosim_gym:")


def open_single(options):
    return gym.make(ENV_ID, **options)


def open_vector(options):
    return gym.make_vec(ENV_ID, num_envs=2, **options)


def open_sb3(options):
    return mosim_gym.make_sb3_vec_env(SHORT, 2, **options)


def open_dm(options):
    return mosim_gym.load("reacher", "easy", **options)


OPENERS = pytest.mark.parametrize("opened", [open_single, open_vector, open_sb3, open_dm])
WRONG_OPTIONS = [
    ({"dynamics": "learnt"}, UnknownNameError, "Unknown dynamics 'learnt'.*'learned'.*mujoco"),
    ({"horizn": 3}, UnknownNameError, "Unknown option 'horizn'. Did you mean 'horizon'"),
    ({"horizon": 0}, MosimError, "horizon is 0; expected a whole number of steps above 0"),
    ({"horizon": -4}, MosimError, "horizon is -4"),
    ({"horizon": 2.5}, MosimError, "horizon is 2.5"),
    ({"horizon": True}, MosimError, "horizon is True"),
    ({"horizon": "long"}, MosimError, "horizon='long'; expected a whole number, \"trusted\""),
    (
        {"uncertainty": "penalty"},
        MosimError,
        'uncertainty="penalty" needs (a checkpoint that knows|dynamics)',
    ),
    ({"resets": "/not/there"}, DatasetError, "Nothing at /not/there; expected a dataset folder"),
]


@OPENERS
@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG_OPTIONS)
def test_wrong_options_on_every_face(opened, wrong, kind, message, dynamics):
    with pytest.raises(kind, match=message):
        opened({**dynamics, **wrong})


@pytest.mark.parametrize("opened", [open_single, open_vector, open_sb3])
def test_wrong_observation_order_and_render_mode(opened, dynamics):
    with pytest.raises(UnknownNameError, match="Unknown obs_order 'sortd'. Did you mean 'sorted'"):
        opened({**dynamics, "obs_order": "sortd"})
    if opened is open_sb3:  # gym.make and make_vec look at the modes before we can
        with pytest.raises(UnknownNameError, match="Unknown render mode 'rgb'.*'rgb_array'"):
            opened({**dynamics, "render_mode": "rgb"})


@pytest.mark.parametrize("opened", [open_vector, open_sb3])
@pytest.mark.parametrize("limit", [0, -1, 1.5])
def test_wrong_time_limit(opened, limit, dynamics):
    with pytest.raises(MosimError, match=f"max_episode_steps is {limit}; expected"):
        opened({**dynamics, "max_episode_steps": limit})


@pytest.mark.parametrize("number", [0, -3, 2.0, True])
def test_wrong_number_of_envs(number, dynamics):
    with pytest.raises(MosimError, match=f"num_envs is {number}; expected a whole number, 1"):
        mosim_gym.make_sb3_vec_env(SHORT, number, **dynamics)


def test_options_that_need_the_other_dynamics(checkpoint):
    for options, message in (
        ({"substeps": True}, 'substeps=True needs dynamics="mujoco"'),
        ({"task_kwargs": {"x": 1}}, "task_kwargs={'x': 1} change dm_control's task"),
    ):
        with pytest.raises(MosimError, match=message):
            gym.make(ENV_ID, checkpoint=checkpoint, **options)
    with pytest.raises(MosimError, match='"trusted" needs dynamics="learned"'):
        gym.make(ENV_ID, dynamics="mujoco", horizon="trusted")


def test_a_checkpoint_that_was_not_evaluated_has_no_trusted_horizon(tmp_path, checkpoint):
    simulator = load_checkpoint(checkpoint).simulator
    path = save_checkpoint(tmp_path / "raw", simulator, acceptance={}, provenance={}, card="")
    with pytest.raises(MosimError, match="a checkpoint that was evaluated"):
        gym.make(ENV_ID, checkpoint=str(path), horizon="trusted")


@pytest.mark.parametrize(
    ("kwargs", "instead"),
    [({"random": 3}, r"reset\(seed=\.\.\.\)"), ({"time_limit": 3.0}, "max_episode_steps")],
)
def test_task_kwargs_that_the_faces_own(kwargs, instead):
    with pytest.raises(MosimError, match=f"cannot hold '{next(iter(kwargs))}'.*{instead}"):
        gym.make(ENV_ID, dynamics="mujoco", task_kwargs=kwargs)


# --- names -----------------------------------------------------------------------------------


def test_unknown_ids_and_tasks_list_near_ones():
    with pytest.raises(gym.error.NameNotFound, match="Did you mean: `reacher-easy`"):
        gym.make("mosim_gym:MoSim/reacher-eazy-v0")
    with pytest.raises(
        UnknownNameError, match="Unknown environment.*Did you mean 'MoSim/reacher-e"
    ):
        mosim_gym.make_sb3_vec_env("MoSim/reacher-eazy-v0")
    with pytest.raises(UnknownNameError, match="Unknown task of reacher 'eazy'.*'easy'"):
        mosim_gym.load("reacher", "eazy")
    with pytest.raises(UnknownNameError, match="Unknown domain 'reachr'. Did you mean 'reacher'"):
        find_row("reachr", "easy")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.env_id)
def test_the_table_is_what_gymnasium_knows(row):
    assert find_env(row.env_id) is find_env(f"mosim_gym:{row.env_id}") is row
    assert find_row(row.domain, row.task) is row
    spec = gym.spec(row.env_id)
    assert spec.max_episode_steps == row.max_episode_steps
    register_envs()  # again: changes nothing and warns of nothing
    assert gym.spec(row.env_id) is spec


# --- checkpoints -----------------------------------------------------------------------------


@OPENERS
def test_checkpoints_that_are_not_there(opened, tmp_path):
    with pytest.raises(UnknownNameError, match="Unknown checkpoint 'reachr'.*mosim-gym fit"):
        opened({"checkpoint": "reachr"})
    with pytest.raises(CheckpointError, match="hub:org/name.*reserved"):
        opened({"checkpoint": "hub:org/name"})
    with pytest.raises(CheckpointError, match="Expected a folder with model.safetensors"):
        opened({"checkpoint": str(tmp_path)})


@OPENERS
def test_a_checkpoint_of_another_body_is_refused(opened, tmp_path):
    path = untrained(tmp_path / "cartpole", "cartpole", "swingup")
    with pytest.raises(CheckpointError, match="made for another body: cartpole with fingerprint .*"
                       "MoSim/reacher-easy-v0 has .*mosim-gym collect reacher"):  # fmt: skip
        opened({"checkpoint": path})


# --- actions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 2), (2, 1)])
def test_single_actions_of_wrong_shape(dynamics, shape):
    env = gym.make(ENV_ID, disable_env_checker=True, **dynamics)
    env.reset(seed=0)
    with pytest.raises(MosimError, match=r"The action has shape \(.*\); expected \(2,\)"):
        env.step(np.zeros(shape))


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 3), (1, 2), (2, 2, 1)])
def test_batched_actions_of_wrong_shape(dynamics, shape):
    for opened in (open_vector, open_sb3):
        env = opened(dynamics)
        env.reset()
        with pytest.raises(MosimError, match=r"has shape .*; expected \(2, 2\): one row an env"):
            env.step(np.zeros(shape))


def test_a_nan_action_is_refused_and_steps_nothing(dynamics):
    env = open_vector({**dynamics, "state_info": True})
    _, before = env.reset(seed=0)
    with pytest.raises(MosimError, match=r"action of env 1 holds NaN: \[ ?0. nan\].*policy"):
        env.step(np.array([[0.0, 0.0], [0.0, np.nan]]))
    *_, infos = env.step(np.zeros((2, 2)))
    for name, value in before["mosim/state"].items():
        np.testing.assert_array_equal(infos["mosim/state_before"][name], value)


# --- reset states and seeds ------------------------------------------------------------------

WRONG_STATES = [
    ({"qpos": [1.0]}, r"qpos has shape \(1, 1\), expected \(1, 2\) for reacher"),
    ({"qvel": [1.0, 2.0, 3.0]}, r"qvel has shape \(1, 3\)"),
    ({"context": [1.0]}, r"context has shape \(1, 1\)"),
    ({"act": [1.0]}, r"act has shape \(1, 1\), expected \(1, 0\)"),
    ({"qpos": [np.nan, 0.0]}, "qpos holds NaN"),
    ({"qvel": [np.inf, 0.0]}, "qvel holds NaN, infinity"),
    ({"context": [0.0, -np.inf]}, "context holds NaN, infinity"),
    # Finite here, infinite in the float32 of a model.
    ({"qpos": [1e300, 0.0]}, r"a number beyond 1e\+10"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_STATES)
def test_wrong_reset_states(dynamics, wrong, message):
    env = gym.make(ENV_ID, **dynamics)
    env.reset(seed=0)
    with pytest.raises(MosimError, match=f"Reset state: .*{message}"):
        env.reset(options=wrong)
    assert np.isfinite(env.step(np.zeros(2))[0]).all()


def test_wrong_reset_states_on_the_vector_face(dynamics):
    env = open_vector(dynamics)
    for options, message in (
        ({"qpos": np.zeros(2)}, r"options\['qpos'\] has shape \(2,\); expected \(2, n\)"),
        ({"qpos": np.zeros((3, 2))}, r"shape \(3, 2\); expected \(2, n\), one row an env"),
        ({"qpos": np.zeros((2, 3))}, r"shape \(2, 3\), expected \(2, 2\)"),
        ({"qpos": np.array([[0, 0], [0, np.nan]])}, r"in row 1: \[ ?0. nan\]"),
        ({"reset_mask": np.array([True])}, r"reset_mask has shape \(1,\)"),
        ({"reset_mask": np.array([1, 0])}, "reset_mask has shape .2,. and dtype int64"),
        ({"reset_mask": np.array([False, False])}, "at least one True"),
    ):
        with pytest.raises(MosimError, match=message):
            env.reset(options=options)


@pytest.mark.parametrize("seeds", [[1], [1, 2, 3], []])
def test_as_many_seeds_as_envs(dynamics, seeds):
    with pytest.raises(MosimError, match=f"{len(seeds)} seeds were given for 2 envs"):
        open_vector(dynamics).reset(seed=seeds)


def test_unknown_methods_and_attributes_of_the_sb3_face(dynamics):
    env = open_sb3(dynamics)
    with pytest.raises(AttributeError, match="Unknown env method 'set_resets'.*set_reset_source"):
        env.env_method("set_resets")
    with pytest.raises(AttributeError, match="nothing"):
        env.get_attr("nothing")
    with pytest.raises(AttributeError, match="'x' is shared by all rows; set it without indices"):
        env.set_attr("x", 1, indices=[0])
    env.set_attr("x", 1)
    assert env.get_attr("x") == [1, 1] and env.get_attr("x", 0) == [1]


def test_stepping_on_needs_a_reset_where_nothing_was_started():
    env = gym.make(ENV_ID, dynamics="mujoco")
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        env.step(np.zeros(2))
