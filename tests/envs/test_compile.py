"""``compile=True``: the same steps by compiled code, or a clear refusal."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

import mosim_gym
from mosim_gym.dynamics.checkpoint import load_simulator, save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.errors import MosimError
from mosim_gym.registration import find_row
from mosim_gym.tasks import reacher
from tests.envs.faces import ENV_ID, FACES

#: The first compilation on a machine takes half a minute, later ones a few seconds.
compiles = pytest.mark.slow


def steps_of(face, actions):
    face.reset(seed=0)
    return [face.step(action) for action in actions]


def assert_same_steps(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.last, b.last, rtol=1e-4, atol=2e-6)
        np.testing.assert_allclose(a.reward, b.reward, rtol=1e-4, atol=2e-6)
        np.testing.assert_array_equal(a.terminated, b.terminated)
        np.testing.assert_array_equal(a.truncated, b.truncated)


@compiles
@pytest.mark.parametrize("name", FACES)
def test_compiled_steps_are_the_steps(checkpoint, name):
    n = 5 if name in ("vector", "sb3") else 1
    eager, compiled = (
        FACES[name](n, checkpoint=checkpoint, horizon=4, compile=flag) for flag in (False, True)
    )
    actions = np.random.default_rng(0).uniform(-1, 1, (12, n, 2)).astype(np.float32)
    assert_same_steps(steps_of(eager, actions), steps_of(compiled, actions))


@compiles
def test_compiled_models_do_not_mix(checkpoint):
    """Torch keeps compiled code by the function's code: every engine needs its own."""
    engines, results = [], []
    for scale in (1.0, 2.0):
        simulator = load_simulator(checkpoint)
        simulator.acceleration_scale.mul_(scale)
        engines.append(LearnedEngine(simulator, reacher.easy(), 3, compile=True))
    start = {"qpos": np.full((3, 2), 0.1), "qvel": np.zeros((3, 2)), "context": np.ones((3, 2))}
    for engine in engines:
        engine.begin(np.arange(3), start, np.random.default_rng(0))
        engine.step(np.zeros((3, 2)))
        results.append(engine.state()["qvel"])
    np.testing.assert_allclose(results[1], 2 * results[0], rtol=1e-5)
    assert np.abs(results[0]).min() > 1e-3


@compiles
def test_a_compiled_row_that_diverges_is_cut(checkpoint):
    simulator = load_simulator(checkpoint)
    engine = LearnedEngine(simulator, reacher.easy(), 2, compile=True)
    start = {"qpos": np.zeros((2, 2)), "qvel": np.array([[0.0, 0], [1e30, 0]])}
    engine.begin(np.arange(2), {**start, "context": np.ones((2, 2))}, np.random.default_rng(0))
    simulator.bound_speed(1e3)
    reading = engine.step(np.zeros((2, 2)))
    assert reading.diverged.tolist() == [False, True]
    assert reading.reward[1] == 0.0
    assert engine.state()["qvel"][1, 0] == pytest.approx(1e30)


def test_compile_survives_json(checkpoint):
    spec = gym.make(ENV_ID, checkpoint=checkpoint, compile=False).spec
    changed = dataclasses.replace(spec, kwargs={**spec.kwargs, "compile": True})
    assert gym.envs.registration.EnvSpec.from_json(changed.to_json()).kwargs["compile"] is True


def test_true_physics_has_nothing_to_compile():
    with pytest.raises(MosimError, match=r'compile=True needs dynamics="learned"'):
        gym.make(ENV_ID, dynamics="mujoco", compile=True)


def test_a_task_read_by_dm_control_is_not_compiled(model_of):
    row = find_row("manipulator", "bring_ball")
    with pytest.raises(MosimError, match=r"bring_ball-v0 is read by dm_control"):
        mosim_gym.make_sb3_vec_env(row.env_id, 2, checkpoint=model_of(row), compile=True)


def test_without_a_compiler_the_remedy_is_named(checkpoint, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(MosimError, match=r"'no-such-compiler' was not found. Install one"):
        gym.make(ENV_ID, checkpoint=checkpoint, compile=True)


def test_a_model_that_cannot_be_compiled_is_named(checkpoint, tmp_path):
    spec = load_simulator(checkpoint).spec
    simulator = Simulator(spec, ModelConfig(width=8, blocks=1, integrator="dopri5"))
    path = save_checkpoint(tmp_path / "dopri5", simulator, acceptance={}, provenance={}, card="")
    with pytest.raises(MosimError, match=r"torch could not compile this model.*adaptive"):
        gym.make(ENV_ID, checkpoint=str(path), compile=True)


@compiles
@pytest.mark.parametrize(
    "env_id", ["MoSim/hopper-hop-v0", "MoSim/humanoid-walk-v0", "MoSim/finger-spin-v0"]
)
def test_larger_bodies(model_of, env_id):
    """Touch heads, quaternions, activations of tasks with several measurements."""
    row = mosim_gym.registration.find_env(env_id)
    model = model_of(row)
    eager, compiled = (
        FACES["vector"](4, env_id, checkpoint=model, compile=flag) for flag in (False, True)
    )
    nu = eager.env.single_action_space.shape[0]
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 4, nu)).astype(np.float32)
    assert_same_steps(steps_of(eager, actions), steps_of(compiled, actions))
