"""Options of a wrong kind or out of range, named with what was expected."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import mosim_gym
from mosim_gym.errors import MosimError
from tests.envs.faces import ENV_ID

SHORT = ENV_ID.removeprefix("mosim_gym:")


def test_a_device_that_is_not_there_is_named(checkpoint):
    with pytest.raises(MosimError, match=r"device='nonsense' is no torch device; expected \"cpu\""):
        gym.make("MoSim/reacher-easy-v0", checkpoint=checkpoint, device="nonsense")
    if not torch.cuda.is_available():
        with pytest.raises(MosimError, match=r"device='cuda', but torch finds no GPU here"):
            gym.make("MoSim/reacher-easy-v0", checkpoint=checkpoint, device="cuda")


def test_load_refuses_an_observation_order(checkpoint):
    with pytest.raises(MosimError, match=r"does not take obs_order: it gives dm_control"):
        mosim_gym.load("reacher", "easy", checkpoint=checkpoint, obs_order="sorted")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": 5}, r"checkpoint=5 is a int; expected str or Path or None"),
        ({"checkpoint": ""}, r"is not the config of a mosim_gym checkpoint"),
        ({"resets": 5}, r"resets=5 is a int; expected str"),
        ({"state_info": "no"}, r"state_info='no' is a str; expected bool or None"),
        ({"substeps": "no"}, r"substeps='no' is a str; expected bool"),
        ({"device": None}, r"device=None is a NoneType; expected str"),
        ({"device": "meta"}, r"device='meta', but torch finds no GPU here"),
        ({"task_kwargs": "x"}, r"task_kwargs='x' is a str; expected dict or None"),
        (
            {"uncertainty_quantile": 0.9},
            r"uncertainty_quantile=0.9 needs uncertainty= beside it",
        ),
        ({"dynamics": "mujoco", "task_kwargs": {"foo": 1}}, r"does not take task_kwargs=.*'foo'"),
    ],
)
def test_options_of_the_wrong_kind(checkpoint, options, message):
    with pytest.raises(MosimError, match=message):
        gym.make_vec(ENV_ID, **{"checkpoint": checkpoint, **options})


@pytest.mark.parametrize("seed", [-1, 2**32, 2**40])
def test_seeds_out_of_range(dynamics, seed):
    env = mosim_gym.make_sb3_vec_env(SHORT, 2, seed=None, **dynamics)
    env.venv.seed(seed)
    with pytest.raises(
        MosimError, match=r"The seed -?\d+ is out of range; expected 0 to 4294967295"
    ):
        env.reset()


def test_reset_sources_for_rows_that_are_not_there(checkpoint):
    env = mosim_gym.make_sb3_vec_env(SHORT, 3, checkpoint=checkpoint)
    with pytest.raises(MosimError, match=r"indices are \[7\]; expected numbers from 0 to 2"):
        env.env_method("set_reset_source", mosim_gym.TaskResets(), indices=[7])
    with pytest.raises(TypeError, match="source"):
        env.env_method("set_reset_source")
    env.reset()


def test_horizons_may_be_numpy_integers(checkpoint):
    env = gym.make(ENV_ID, checkpoint=checkpoint, horizon=np.int64(2))
    env.reset(seed=0)
    env.step(np.zeros(2))
    assert env.step(np.zeros(2))[3]


@pytest.mark.parametrize("name", ["environment_kwargs", "visualize_reward"])
def test_load_names_what_it_cannot_take_of_suite_load(checkpoint, name):
    with pytest.raises(MosimError, match=rf"load\(\) does not take {name}: "):
        mosim_gym.load("reacher", "easy", checkpoint=checkpoint, **{name: True})


def test_load_knows_its_control_step_and_has_no_physics(checkpoint):
    env = mosim_gym.load("reacher", "easy", checkpoint=checkpoint)
    assert env.control_timestep() == pytest.approx(0.02)
    with pytest.raises(AttributeError, match="no physics of dm_control's"):
        _ = env.physics
