"""Pictures where there is OpenGL; where there is none a clear error, and everything else works."""

import gymnasium as gym
import numpy as np
import pytest

import mosim_gym
from mosim_gym.tasks.mujoco import load_dm_env, state_of
from mosim_gym.tasks.render import RenderingUnavailableError, SceneRenderer
from tests.envs.faces import ENV_ID

IMAGES = """
import gymnasium as gym, numpy as np, mosim_gym
from gymnasium.utils.env_checker import check_env
from dm_control import suite
import warnings
options = {options}
env = gym.make("{env_id}", render_mode="rgb_array", **options)
env.reset(seed=0)
image = env.render()
assert image.shape == (240, 320, 3) and image.dtype == np.uint8 and image.std() > 10
for _ in range(20):
    env.step(np.ones(2))
assert (env.render() != image).any()
state = {{"qpos": [0.5, 1.0], "qvel": [0.0, 0.0], "context": [0.1, 0.1]}}
env.reset(options=state)
truth = suite.load("reacher", "easy"); truth.reset()
with truth.physics.reset_context():
    truth.physics.data.qpos[:] = state["qpos"]
    truth.physics.named.model.geom_pos["target", :2] = state["context"]
expected = truth.physics.render(240, 320, camera_id=0).astype(float)
assert abs(env.render() - expected).mean() < 0.5
vector = gym.make_vec("{env_id}", num_envs=2, render_mode="rgb_array", **options)
vector.reset(seed=0)
images = vector.render()
assert len(images) == 2 and (images[0] != images[1]).any()
vector.close()
sb3 = mosim_gym.make_sb3_vec_env("{env_id}", 2, render_mode="rgb_array", **options)
sb3.reset()
assert sb3.get_images()[1].shape == (240, 320, 3) and sb3.render().ndim == 3
sb3.close()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    check_env(env.unwrapped)
env.close(); env.close()
print("drawn")
"""


@pytest.fixture
def no_gl(monkeypatch):
    """As on a machine without OpenGL, whatever this one has."""
    from dm_control.mujoco import Physics

    def fail(self, *args, **kwargs):
        raise RuntimeError("No OpenGL rendering backend is available.")

    monkeypatch.setattr(Physics, "render", fail)


@pytest.mark.usefixtures("no_gl")
def test_without_opengl_drawing_is_refused_with_a_hint_and_nothing_else_breaks(dynamics):
    env = gym.make(ENV_ID, render_mode="rgb_array", **dynamics)
    plain = gym.make(ENV_ID, **dynamics)
    np.testing.assert_array_equal(env.reset(seed=0)[0], plain.reset(seed=0)[0])
    for _ in range(5):
        with pytest.raises(
            RenderingUnavailableError, match=r"backend is available\. .*MUJOCO_GL=egl"
        ):
            env.render()
        np.testing.assert_array_equal(env.step(np.ones(2))[0], plain.step(np.ones(2))[0])
    env.close()
    env.close()
    batch = mosim_gym.make_sb3_vec_env(ENV_ID, 2, render_mode="rgb_array", **dynamics)
    batch.reset()
    with pytest.raises(RenderingUnavailableError, match="MUJOCO_GL=osmesa"):
        batch.get_images()
    batch.step(np.zeros((2, 2)))
    vector = gym.make_vec(ENV_ID, num_envs=2, render_mode="rgb_array", **dynamics)
    vector.reset(seed=0)
    with pytest.raises(RenderingUnavailableError, match="Rendering needs OpenGL"):
        vector.render()
    vector.step(np.zeros((2, 2)))
    vector.close()


def test_with_rendering_switched_off(run_python):
    """The real thing, in a Python of its own: MUJOCO_GL=disabled."""
    code = (
        "import mosim_gym\n"
        "from mosim_gym.tasks.render import SceneRenderer\n"
        "SceneRenderer('reacher', 'easy').draw({'qpos': [0, 0], 'qvel': [0, 0]})\n"
    )
    done = run_python("-c", code, MUJOCO_GL="disabled")
    assert "RenderingUnavailableError: MuJoCo could not draw" in done.stderr
    assert "MUJOCO_GL=egl" in done.stderr


def test_nothing_is_drawn_unless_asked_for(dynamics):
    for env in (gym.make(ENV_ID, **dynamics), gym.make_vec(ENV_ID, num_envs=2, **dynamics)):
        env.reset(seed=0)
        assert env.unwrapped.render() is None
        assert env.unwrapped.render_mode is None


def test_real_pictures_on_every_face(run_python, gl_backend, dynamics):
    code = IMAGES.format(env_id=ENV_ID, options=dynamics)
    done = run_python("-c", code, MUJOCO_GL=gl_backend)
    assert done.stdout.strip().endswith("drawn"), done.stderr


@pytest.mark.gl
def test_a_state_is_drawn_in_this_process():
    env = load_dm_env("reacher", "easy")
    env.reset()
    renderer = SceneRenderer("reacher", "easy", width=64, height=48)
    image = renderer.draw(state_of(env))
    assert image.shape == (48, 64, 3)
    renderer.close()
    np.testing.assert_array_equal(renderer.draw(state_of(env)), image)
    renderer.close()
