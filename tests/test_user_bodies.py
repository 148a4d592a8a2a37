"""Bodies of the user's: registered with an MJCF and tasks, then as good as the suite's."""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import torch

import mosim_gym
from mosim_gym import cli
from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.episode import Episode
from mosim_gym.data.logs import write_logs
from mosim_gym.errors import DatasetError, MosimError, UnknownNameError
from mosim_gym.fit import fit
from mosim_gym.registration import find_env, without_module
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.own import OWN_BODIES, SHIPPED

#: A block that is pushed along a rail and turned; its touch sensor feels the floor.
RAIL = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 .1"/>
    <body name="block" pos="0 0 .095">
      <joint name="x" type="slide" axis="1 0 0" damping=".5"/>
      <joint name="z" type="slide" axis="0 0 1"/>
      <geom name="block" type="sphere" size=".1"/>
      <site name="skin" type="sphere" size=".12"/>
    </body>
    {site}
  </worldbody>
  <actuator><motor joint="x" gear="100" ctrlrange="-1 1" ctrllimited="true"/></actuator>
  <sensor><touch name="skin" site="skin"/></sensor>
</mujoco>
"""


class Push:
    """Four numbers of context: more than one site holds. It ends beyond the second of them."""

    layout = ObservationLayout({"x": (), "context": (4,), "push": (), "felt": ()})
    context_size, touch = 4, ("skin",)

    def initial_states(self, n, rng):
        drawn = torch.from_numpy(rng.uniform(-1, 1, (n, 6)))
        pose = torch.stack([drawn[:, 0], torch.zeros(n)], 1)
        return mosim_gym.State(pose, torch.zeros_like(pose), context=drawn[:, 2:] + 3)

    def measure(self, state, action, touch=None):
        return torch.cat([state.qpos[:, :1], state.context, action, touch], 1)

    def observe(self, measured):
        return measured

    def reward(self, measured):
        return measured[:, 0] - measured[:, 1]

    def terminated(self, measured):
        return measured[:, 0] > measured[:, 2]


pytestmark = pytest.mark.usefixtures("passing_bodies")


@pytest.fixture
def mjcf(tmp_path) -> Path:
    path = tmp_path / "rail.xml"
    path.write_text(RAIL.format(site=""))
    return path


def test_it_is_an_environment_on_every_face(mjcf):
    (name,) = mosim_gym.register_body("rail", mjcf, {"push": Push}, n_substeps=4, time_limit=50)
    assert name == "MoSim/rail-push-v0"
    env = gym.make(name, dynamics="mujoco")
    seen, info = env.reset(seed=3)
    state = info["mosim/state"]
    np.testing.assert_allclose(seen[:5], [state["qpos"][0], *state["context"]], rtol=1e-6)
    after, reward, *_, info = env.step(np.array([0.5], np.float32))
    assert after[5] == 0.5 and after[6] == pytest.approx(info["mosim/touch"][0]) and after[6] > 0
    assert reward == pytest.approx(after[0] - after[1], abs=1e-6)
    vector = gym.make_vec(name, num_envs=3, dynamics="mujoco")
    shown = vector.reset(seed=3)[0]
    np.testing.assert_allclose(shown[0], seen, rtol=1e-6)
    assert not np.allclose(shown[0, 1:5], shown[1, 1:5])
    assert mosim_gym.make_sb3_vec_env(name, 2, dynamics="mujoco").reset().shape == (2, 7)
    assert mosim_gym.load("rail", "push", dynamics="mujoco").reset().observation["x"].shape == ()
    assert env.spec.max_episode_steps == 50


def test_true_physics_is_that_of_the_file(mjcf):
    (name,) = mosim_gym.register_body("rail", mjcf, {"push": Push}, n_substeps=4)
    model = mujoco.MjModel.from_xml_path(str(mjcf))
    data = mujoco.MjData(model)
    env = gym.make(name, dynamics="mujoco")
    state = env.reset(seed=0)[1]["mosim/state"]
    data.qpos[:], data.qvel[:] = state["qpos"], state["qvel"]
    for _ in range(20):
        state = env.step(np.array([-1.0], np.float32))[-1]["mosim/state"]
        data.ctrl[:] = -1
        mujoco.mj_step(model, data, 4)
        np.testing.assert_allclose(state["qpos"], data.qpos, atol=1e-9)


def test_it_ends_where_its_task_says(mjcf):
    (name,) = mosim_gym.register_body("rail", mjcf, {"push": Push}, n_substeps=4)
    env = gym.make(name, dynamics="mujoco")
    env.reset(seed=0, options={"qpos": [0.0, 0.0], "context": [0.0, 0.05, 0.0, 0.0]})
    for _ in range(100):
        *_, terminated, truncated, _ = env.step(np.array([1.0], np.float32))
        if terminated:
            return
    pytest.fail("never terminated")


def test_from_logs_to_an_environment(mjcf, tmp_path):
    """Motion as arrays, a model of it, and an environment of the model with the user's task."""
    spec = RobotSpec.from_mjcf(mjcf, name="rail", n_substeps=4)
    rng, episodes = np.random.default_rng(0), []
    for _ in range(6):
        push = rng.uniform(-1, 1, (30, 1))
        x = np.concatenate([[0.0], np.cumsum(push[:, 0])]) * 0.02
        qpos, qvel = (np.stack([v, 0 * v], 1) for v in (x, np.gradient(x, 0.02)))
        touch = np.ones((31, 1))
        parts = {"qpos": qpos, "qvel": qvel, "action": push, "touch": touch}
        episodes.append(Episode(**parts, reward=np.zeros(30), terminated=False, truncated=True))
    data = write_logs(tmp_path / "data", spec, episodes, source="bench 3")
    assert len(data) == 6 and data.metadata.source == "bench 3"
    model = fit(data, out=tmp_path / "model", steps=10, progress=False)
    task = {"push": Push}
    mosim_gym.register_body("rail", mjcf, task, n_substeps=4, checkpoint=model.path)
    env = gym.make("MoSim/rail-push-v0")
    assert env.reset(seed=0)[0].shape == (7,)
    assert np.isfinite(env.step(np.zeros(1, np.float32))[0]).all()
    with pytest.raises(DatasetError, match="not empty"):
        write_logs(tmp_path / "data", spec, episodes)
    with pytest.raises(DatasetError, match="log 0: action is"):
        write_logs(tmp_path / "other", RobotSpec.from_mjcf(other_body(tmp_path)), episodes)


def other_body(folder: Path) -> Path:
    path = folder / "other.xml"
    path.write_text(
        "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>"
    )
    return path


def test_without_a_model_it_says_how_to_make_one(mjcf):
    (name,) = mosim_gym.register_body("rail", mjcf, {"push": Push})
    with pytest.raises(MosimError, match="mosim-gym collect MODULE:rail-push --out DATA"):
        gym.make(name)


def test_registering_again_replaces(mjcf, tmp_path):
    mosim_gym.register_body("rail", mjcf, {"push": Push, "old": Push}, n_substeps=4)
    before = find_env("MoSim/rail-push-v0").body.fingerprint
    mjcf.write_text(RAIL.format(site="").replace('damping=".5"', 'damping=".6"'))
    mosim_gym.register_body("rail", mjcf, {"push": Push}, n_substeps=2)
    row = find_env("MoSim/rail-push-v0")
    assert row.body.n_substeps == 2 and row.body.fingerprint != before
    data = collect(
        gym.make(row.env_id, dynamics="mujoco"), tmp_path / "data", episodes=1, progress=False,
        max_episode_steps=5,
    )  # fmt: skip
    assert data.spec.fingerprint == row.body.fingerprint
    with pytest.raises(UnknownNameError, match="MoSim/rail-old-v0"):
        find_env("MoSim/rail-old-v0")


MODULE = """
import mosim_gym
from tests.test_user_bodies import Push
mosim_gym.register_body("rail", {path!r}, {{"push": Push}}, n_substeps=4, time_limit=20)
"""


def test_the_command_line_imports_the_module(mjcf, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_rail.py").write_text(MODULE.format(path=str(mjcf)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    told = ["collect", "my_rail:rail", "--episodes", "2", "--out", "data", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["mosim-gym", *told])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert len(Dataset.open("data")) == 2
    assert gym.make("my_rail:MoSim/rail-push-v0", dynamics="mujoco").spec.max_episode_steps == 20
    monkeypatch.setattr(sys, "argv", ["mosim-gym", "collect", "my_rial:rail", "--out", "data2"])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "asks for the module 'my_rial': No module named 'my_rial'" in capsys.readouterr().err


def test_ids_without_a_module_are_left_alone():
    assert without_module("mosim_gym:MoSim/reacher-easy-v0") == "MoSim/reacher-easy-v0"
    assert without_module("reacher") == "reacher"


def changed(**members):
    return type("Changed", (Push,), members)


def widths(n, rng):
    return mosim_gym.State(torch.zeros(n, 3), torch.zeros(n, 2), context=torch.zeros(n, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "reacher"}, "There is a body 'reacher' already"),
        ({"domain": "panda"}, "There is a body 'panda' already"),
        ({"domain": "my-rail"}, "'my-rail' is no identifier"),
        ({"tasks": {}}, "has no tasks; expected at least one"),
        ({"n_substeps": 0}, "n_substeps is 0; expected a whole number above 0"),
        ({"mjcf": "nowhere.xml"}, "nowhere.xml is no MJCF or URDF that MuJoCo can read"),
        ({"tasks": {"push": object}}, "The task rail-push has no 'layout'"),
        ({"tasks": {"push": changed(touch=("nose",))}}, r"\['nose'\]; rail has \['skin'\]"),
        ({"tasks": {"push": changed(initial_states=lambda self, n, rng: widths(n, rng))}},
         r"qpos of shape \(3, 3\); expected \(3, 2\)"),
        ({"tasks": {"push": changed(context_size=2)}}, r"context of shape \(3, 4\)"),
        ({"tasks": {"push": changed(reward=lambda self, measured: measured[:, :1])}},
         r"reward\(\) gave the shape \(3, 1\) for 3 rows; expected \(3,\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(mjcf, arguments, message):
    given = {"domain": "rail", "mjcf": mjcf, "tasks": {"push": Push}, **arguments}
    with pytest.raises(MosimError, match=message):
        mosim_gym.register_body(**given)
    assert set(OWN_BODIES) == SHIPPED


def test_a_target_that_moves_is_refused(mjcf):
    mjcf.write_text(
        RAIL.format(site="").replace('<site name="skin"', '<site name="target"/><site name="skin"')
    )
    with pytest.raises(MosimError, match="site 'target' .* belongs to the body 'block'"):
        mosim_gym.register_body("rail", mjcf, {"push": Push})
        gym.make("MoSim/rail-push-v0", dynamics="mujoco")
