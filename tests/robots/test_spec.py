"""RobotSpec: read from any MJCF, stored as JSON."""

import json

import numpy as np
import pytest

from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import Integrator, Joint, JointType, RobotSpec
from mosim_gym.tasks.mujoco import load_dm_env, robot_of, spec_of
from tests.robots.bodies import BODY, compiled, suite_tasks


@pytest.fixture(scope="module")
def body() -> RobotSpec:
    return RobotSpec.from_mujoco(compiled(BODY), name="thing", n_substeps=4)


@pytest.mark.parametrize("domain,task", suite_tasks(one_per_domain=True))
def test_every_suite_body_is_read_and_stored(domain, task):
    env = load_dm_env(domain, task)
    env.reset()
    spec, model = spec_of(env), env.physics.model
    assert (spec.nq, spec.nv, spec.nu, spec.na) == (model.nq, model.nv, model.nu, model.na)
    assert spec.name == domain
    assert spec.control_dt == pytest.approx(env.control_timestep())
    assert spec.physics_dt == env.physics.timestep()
    action = env.action_spec()
    np.testing.assert_array_equal(spec.action_low, action.minimum)
    np.testing.assert_array_equal(spec.action_high, action.maximum)
    assert len(spec.qpos_names) == len(set(spec.qpos_names)) == spec.nq
    assert RobotSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    for joint in spec.joints:
        assert joint.qpos_index == model.joint(joint.name).qposadr[0]
        assert joint.dof_index == model.joint(joint.name).dofadr[0]


def test_all_kinds_of_joints_and_actuators(body):
    assert body.joints == (
        Joint("root", JointType.FREE, 0, 0, None, True),
        Joint("neck", JointType.BALL, 7, 6, None, False),
        Joint("lift", JointType.SLIDE, 11, 9, (-0.1, 0.3), False),
        Joint("joint3", JointType.HINGE, 12, 10, pytest.approx((-np.pi / 2, np.pi / 4)), False),
        Joint("wheel", JointType.HINGE, 13, 11, None, True),
    )
    assert (body.nq, body.nv, body.nu, body.na) == (14, 12, 3, 2)
    assert body.qpos_names[6:9] == ("root[6]", "neck[0]", "neck[1]")
    assert [a.name for a in body.actuators] == ["motor", "actuator1", "piston"]
    assert body.action_low.tolist() == [-1.0, -1e10, 0.0]
    assert body.action_high.tolist() == [2.0, 1e10, 1.0]


def test_times_and_integrator(body):
    assert body.integrator is Integrator.RK4
    assert (body.physics_dt, body.n_substeps, body.control_dt) == (0.005, 4, 0.02)


@pytest.mark.parametrize("name", [member.value for member in Integrator])
def test_every_integrator_is_known(name):
    kind = {"euler": "Euler", "rk4": "RK4"}.get(name, name)
    spec = RobotSpec.from_mujoco(compiled(BODY.replace('"RK4"', f'"{kind}"')), name="x")
    assert spec.integrator == name


def test_a_file_is_read_and_named_after_itself(tmp_path, body):
    path = tmp_path / "robot.xml"
    path.write_text(BODY)
    spec = RobotSpec.from_mjcf(path, n_substeps=4)
    assert spec.name == "robot"
    assert RobotSpec.from_mjcf(path, name="thing", n_substeps=4) == body


def test_json_of_something_else_is_refused(body):
    fields = body.to_json()
    for broken in (
        {},
        {**fields, "integrator": "magic"},
        {**fields, "joints": [{}]},
        {**fields, "surprise": 1},
    ):
        with pytest.raises(MosimError, match="Not a robot spec"):
            RobotSpec.from_json(broken)


def test_bodies_are_compared_by_their_physics(body):
    twin = RobotSpec.from_mujoco(compiled(BODY), name="other name", n_substeps=4)
    body.require_same_body(twin, "The data")
    slower = RobotSpec.from_mujoco(compiled(BODY), name="thing", n_substeps=8)
    reacher = robot_of("reacher", "easy")
    for other, words in ((slower, r"8 x 0\.005 s"), (reacher, "reacher .nq 2")):
        with pytest.raises(MosimError, match=f"The data belongs to another body: .*{words}"):
            body.require_same_body(other, "The data")
