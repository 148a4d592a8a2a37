"""Terminal values: MuJoCo's energy, and the regulator of a model about a goal."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.errors import MosimError
from mosim_gym.planning.terminal import (
    Catch,
    MechanicalEnergy,
    SwingUp,
    reach,
    swing_up_and_catch,
)
from mosim_gym.tasks.mujoco import load_dm_env, tree_of
from mosim_gym.tasks.true_simulator import TrueSimulator
from mosim_gym.types import State
from tests.planning.fakes import Puck

ACROBOT = ("acrobot", "swingup")


@pytest.fixture(scope="module")
def acrobot():
    return TrueSimulator(*ACROBOT, threads=1)


def chain(*rows) -> State:
    """States of an acrobot from (shoulder, elbow, and their speeds)."""
    both = torch.tensor(rows, dtype=torch.float64)
    return State(both[:, :2], both[:, 2:])


@pytest.mark.parametrize("name", [ACROBOT, ("pendulum", "swingup"), ("cartpole", "three_poles")])
def test_energy_is_mujocos(name):
    model = load_dm_env(*name).physics.model.ptr
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    fields = {"qpos": rng.normal(0, 1, (4, model.nq)), "qvel": rng.normal(0, 2, (4, model.nv))}
    expected = []
    for qpos, qvel in zip(fields["qpos"], fields["qvel"], strict=True):
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_forward(model, data)
        expected.append(data.energy.sum())
    energy = MechanicalEnergy(tree_of(*name))(State.from_numpy(fields))
    np.testing.assert_allclose(energy.numpy(), expected, rtol=1e-12)


def test_energy_counts_turning_about_any_axis():
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><option><flag energy="enable"/></option><worldbody><body><freejoint/>'
        '<geom type="box" size=".1 .2 .3" euler="20 30 40" pos=".1 0 .2"/></body></worldbody>'
        "</mujoco>"
    )
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    data.qpos[:], data.qvel[:] = rng.normal(size=7), rng.normal(size=6)
    mujoco.mj_normalizeQuat(model, data.qpos)
    mujoco.mj_forward(model, data)
    from mosim_gym.robots.tree import Tree

    state = State.from_numpy({"qpos": data.qpos, "qvel": data.qvel})
    energy = MechanicalEnergy(Tree.from_mujoco(model))(state)
    assert energy.item() == pytest.approx(data.energy.sum(), rel=1e-9)


def test_swing_up_is_best_with_the_energy_of_the_upright_body():
    value = SwingUp(tree_of(*ACROBOT), energy=8.0, bend=4.0, spin=2.0)
    upright, hanging = chain([0, 0, 0, 0]), chain([np.pi, 0, 0, 0])
    assert value(upright).item() == pytest.approx(0, abs=1e-9)
    assert value(hanging).item() == pytest.approx(-8)
    bent = value(chain([0, np.pi, 0, 0])).item()
    assert bent == pytest.approx(-8 / 4 - 4 * np.pi)
    # A whole turn is what spinning leads to.
    assert value(chain([0, 2 * np.pi, 0, 0])).item() == pytest.approx(-4 * 2 * np.pi)


def test_the_regulator_is_the_known_one_of_a_puck():
    # For a double integrator with free states the least effort from (q, v) over an endless time
    # is nearly 0: only the small price on states asks for any.
    catch = Catch(Puck(), effort=1.0)
    values = catch(State(torch.tensor([[0.0], [0.1]]), torch.zeros(2, 1)))
    assert values[0] == 1
    assert 0.9 < values[1] < 1


def test_catching_takes_effort_that_grows_away_from_upright(acrobot):
    catch = Catch(acrobot)
    values = catch(chain([0, 0, 0, 0], [2 * np.pi, 0, 0, 0], [0.01, 0, 0, 0], [3, 0, 0, 0]))
    assert values[:2].tolist() == pytest.approx([1, 1])
    assert 0 < values[2] < 0.9
    assert values[3] < 1e-9
    # Falling back to upright along the way it fell from is nearly free.
    away, speed = 0.02, torch.linspace(-0.2, 0.2, 201).tolist()
    best = catch(chain(*([away, 0, v, 0] for v in speed))).max()
    assert best > 5 * catch(chain([away, 0, 0, 0])).item()


def test_the_regulator_holds_the_body_it_was_made_from(acrobot):
    # The effort it promises is what following its gradient takes: checked by the Bellman equation.
    from mosim_gym.planning.terminal import _linearised, _regulator_cost

    a, b = _linearised(acrobot)
    p = _regulator_cost(a, b)
    gain = torch.linalg.solve(torch.eye(1, dtype=p.dtype) + b.T @ p @ b, b.T @ p @ a)
    closed = a - b @ gain
    assert torch.linalg.eigvals(closed).abs().max() < 1
    state = chain([0.001, -0.001, 0.002, 0.001])
    start = torch.cat([state.qpos, state.qvel], 1)
    promised, spent = (start @ p @ start.T).item(), 0.0
    for _ in range(1500):
        x = torch.cat([state.qpos, state.qvel], 1)
        control = -(x @ gain.T)
        spent += (control**2).sum().item() + 0.01 * (x**2).sum().item()
        state = acrobot.step(state, control)
    assert spent == pytest.approx(promised, rel=1e-3)
    assert state.qpos.abs().max() < 1e-4


def test_a_model_that_cannot_be_held_is_named():
    class Runaway(Puck):
        def step(self, state, action):
            return State(2 * state.qpos, 2 * state.qvel)

    with pytest.raises(MosimError, match="cannot be brought to rest upright"):
        Catch(Runaway())


def test_the_acrobots_value_tells_upright_from_falling(acrobot):
    value = swing_up_and_catch(acrobot, tree_of(*ACROBOT))
    upright, falling, hanging = value(
        chain([0, 0, 0, 0], [0.3, 0, 1, 0], [np.pi, 0, 0, 0])
    ).tolist()
    assert upright == pytest.approx(100)
    assert upright > falling > hanging


def test_reachers_value_is_the_distance_to_its_target():
    simulator = TrueSimulator("reacher", "easy", threads=1)
    value = reach(simulator, tree_of("reacher", "easy"))
    target = torch.tensor([[0.24, 0.0], [0.14, 0.0]], dtype=torch.float64)
    straight = torch.zeros(2, 2, dtype=torch.float64)
    assert value(State(straight, straight, None, target)).tolist() == pytest.approx([0, -1])
