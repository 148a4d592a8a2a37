"""Every torch-native task against dm_control's own code, and what else holds for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.tasks.mujoco import context_of
from mosim_gym.types import State
from tests.tasks.parity import (
    TWINS,
    Samples,
    Truth,
    Twin,
    ask_dm_control,
    ask_twin,
    cast,
    edge_samples,
    greatest_error,
    random_samples,
    trajectory_samples,
)

BAR = 1e-9


class Case:
    """Samples of a twin with dm_control's word on them, worked out once for all tests here."""

    def __init__(self, twin: Twin) -> None:
        rng = np.random.default_rng(0)
        drawn = [
            random_samples(twin, 2000, rng),
            edge_samples(twin, 600, rng),
            trajectory_samples(twin, 300, rng),
        ]
        self.twin, self.task = twin, twin.make()
        self.samples = Samples(
            State.cat([some.state for some in drawn]), torch.cat([some.action for some in drawn])
        )
        self.truth = ask_dm_control(twin, self.samples)


@pytest.fixture(scope="module", params=TWINS, ids=str)
def case(request):
    return Case(request.param)


def test_it_equals_dm_controls(case):
    ours = ask_twin(case.task, case.samples, case.truth.touch)
    for name in ("observation", "reward"):
        assert greatest_error(getattr(ours, name), getattr(case.truth, name)) <= BAR, name
    np.testing.assert_array_equal(ours.terminated, case.truth.terminated)


def test_the_samples_tell_right_from_wrong(case):
    # Rewards low and high, and no part of the observation the same in all of them.
    assert np.ptp(case.truth.reward) > 0.5
    assert (np.ptp(case.truth.observation, axis=0) > 0).all()


def test_it_has_dm_controls_layout_context_and_touch_sensors(case):
    env, task = case.twin.load_env(), case.task
    observation = env.task.get_observation(env.physics)
    assert task.layout == ObservationLayout.of(observation)
    assert list(task.layout.shapes) == list(observation)
    context = context_of(env)
    assert task.context_size == (0 if context is None else len(context))
    seen = any("touch" in part for part in observation)
    assert task.touch == (case.twin.robot.touch if seen else ())


def test_float32_is_as_good_as_float32_can_be(case):
    some = slice(0, None, 7)
    samples = Samples(case.samples.state[some], case.samples.action[some])
    touch = None if case.truth.touch is None else case.truth.touch[some].float()
    single = ask_twin(case.task, cast(samples, torch.float32), touch)
    assert single.observation.dtype == single.reward.dtype == np.float32
    assert greatest_error(single.observation, case.truth.observation[some]) < 1e-4
    # At an edge rounding may decide; away from it float32 must give the same reward.
    apart = np.abs(single.reward - case.truth.reward[some]) > 1e-3
    assert apart.mean() < 0.15


def test_rows_do_not_know_of_each_other(case):
    touch = case.truth.touch
    few = Samples(case.samples.state[5:8], case.samples.action[5:8])
    alone = ask_twin(case.task, few, None if touch is None else touch[5:8])
    together = ask_twin(case.task, case.samples, touch)
    for name in ("observation", "reward", "terminated"):
        np.testing.assert_allclose(
            getattr(alone, name), getattr(together, name)[5:8], rtol=0, atol=1e-12
        )


def test_gradients_are_finite_everywhere(case):
    state = case.samples.state
    leaves = [state.qpos, state.qvel, case.samples.action]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    entered = State(leaves[0], leaves[1], state.act, state.context)
    measured = case.task.measure(entered, leaves[2], case.truth.touch)
    reward = case.task.reward(measured)
    total = case.task.observe(measured).sum() + (reward.sum() if reward.requires_grad else 0)
    for gradient in torch.autograd.grad(total, leaves, allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


def test_it_runs_where_its_state_is(case):
    # The meta device has no data: a constant made on the CPU or a look at a value raises.
    samples = cast(Samples(case.samples.state[:4], case.samples.action[:4]), "meta")
    touch = None if case.truth.touch is None else case.truth.touch[:4].to("meta")
    measured = case.task.measure(samples.state, samples.action, touch)
    assert case.task.observe(measured).shape == (4, case.task.layout.size)
    assert case.task.reward(measured).shape == (4,)
    assert case.task.observe(measured).device.type == "meta"


def test_it_compiles_whole(case):
    touch = None if case.truth.touch is None else case.truth.touch[:4]
    samples = Samples(case.samples.state[:4], case.samples.action[:4])

    def judge(samples, touch):
        measured = case.task.measure(samples.state, samples.action, touch)
        return case.task.observe(measured), case.task.reward(measured)

    torch.compiler.reset()
    # The backend that only traces: what breaks a graph does so in every other one, too.
    compiled = torch.compile(judge, fullgraph=True, backend="eager")
    for ours, plain in zip(compiled(samples, touch), judge(samples, touch), strict=True):
        assert torch.equal(ours, plain)


def test_the_harness_sees_a_wrong_constant(monkeypatch):
    from mosim_gym.tasks import pendulum

    twin = next(twin for twin in TWINS if twin.domain == "pendulum")
    samples = edge_samples(twin, 200, np.random.default_rng(0))
    truth: Truth = ask_dm_control(twin, samples)
    assert greatest_error(ask_twin(twin.make(), samples, None).reward, truth.reward) == 0
    monkeypatch.setattr(pendulum, "_UPRIGHT_COSINE", math.cos(math.radians(8.0001)))
    assert greatest_error(ask_twin(twin.make(), samples, None).reward, truth.reward) == 1
