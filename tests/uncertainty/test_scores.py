"""Density tells the seen from the unseen; disagreement is what members differ by."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.ensemble import Ensemble, MemberStates
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec
from mosim_gym.types import State
from mosim_gym.uncertainty.density import Density, DensityConfig, fit_density
from mosim_gym.uncertainty.disagreement import Disagreement, increment_scale
from mosim_gym.uncertainty.spread import Spread, state_scale
from mosim_gym.uncertainty.view import View
from tests.fit.fakes import GAIN, pendulum_spec, write_dataset
from tests.uncertainty.fakes import TINY, Kicked

SMALL = DensityConfig(transforms=2, width=32, steps=300, batch_size=256)
KITE = RobotSpec(
    name="kite",
    joints=(
        Joint("root", JointType.FREE, 0, 0, None, True),
        Joint("tail", JointType.BALL, 7, 6, None, False),
        Joint("flap", JointType.HINGE, 11, 9, (-1.0, 1.0), False),
        Joint("wheel", JointType.HINGE, 12, 10, None, False),
    ),
    actuators=(Actuator("a", (-1.0, 1.0)),),
    na=1,
    physics_dt=0.01,
    n_substeps=1,
    integrator=Integrator.EULER,
    fingerprint="kite",
    context_inputs=2,
)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "pendulum"
    return write_dataset(folder, pendulum_spec(), episodes=40)


@pytest.fixture(scope="module")
def density(motion: Dataset) -> Density:
    train, held_out = (part.transitions() for part in motion.split((0.8, 0.2)))
    pairs = (train.state, train.action), (held_out.state, held_out.action)
    return fit_density(motion.spec, *pairs, config=SMALL)


def test_density_tells_the_unseen(motion, density):
    seen = motion.split((0.8, 0.2))[1].transitions()
    usual = density.scores(seen.state, seen.action)
    fast = State(seen.state.qpos, seen.state.qvel + 25.0)
    assert density.scores(fast, seen.action).min() > usual.quantile(0.99)
    # An action that was never taken, in a state that was.
    assert density.scores(seen.state, seen.action * 0 + 4).median() > usual.quantile(0.99)


def test_density_is_a_density(density):
    """It integrates to one over the whitened space."""
    axis = torch.linspace(-6, 6, 60)
    grid = torch.cartesian_prod(axis, axis, axis)
    with torch.no_grad():
        total = (-density.score_vectors(grid)).exp().sum() * (axis[1] - axis[0]) ** 3
    assert total == pytest.approx(1.0, abs=0.05)


def test_a_full_turn_changes_nothing(motion, density):
    data = motion.transitions()
    turned = State(data.state.qpos + 2 * math.pi, data.state.qvel)
    torch.testing.assert_close(
        density.scores(turned, data.action), density.scores(data.state, data.action),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip


def test_constant_and_discrete_columns_do_no_harm(motion):
    data = motion.transitions()
    state = State(data.state.qpos * 0 + 0.5, data.state.qvel)
    action = data.action.sign()
    found = fit_density(motion.spec, (state, action), (state, action), config=SMALL)
    scores = found.scores(state, action)
    assert scores.isfinite().all() and scores.abs().max() < 30
    # What was always the same and no longer is.
    moved = State(state.qpos + 2.0, state.qvel)
    assert found.scores(moved, action).min() > scores.quantile(0.99)


def test_the_same_seed_fits_the_same_density(motion):
    data = motion.transitions()
    pairs = (data.state, data.action)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two = (fit_density(motion.spec, pairs, pairs, config=TINY, seed=3) for _ in range(2))
    torch.testing.assert_close(one.scores(*pairs), two.scores(*pairs), rtol=0, atol=0)
    # And leaves the global random numbers as they were.
    assert torch.rand(1) == expected


def test_what_is_no_number_is_infinitely_unusual(density):
    state = State(torch.tensor([[math.nan], [0.0]]), torch.zeros(2, 1))
    found = density(state, torch.zeros(2, 1))
    assert found[0] == math.inf and found[1].isfinite()


def test_a_view_knows_nothing_of_place_heading_and_sign():
    view = View(KITE)
    torch.manual_seed(1)
    state = State(torch.randn(3, 13), torch.randn(3, 11), torch.randn(3, 1), torch.randn(3, 2))
    for at in (3, 7):
        state.qpos[:, at : at + 4] /= state.qpos[:, at : at + 4].norm(dim=1, keepdim=True)
    action = torch.randn(3, 1)
    shown = view(state, action)
    assert shown.shape == (3, view.size)
    qpos = state.qpos.clone()
    qpos[:, :2] += 7.0
    qpos[:, 3:11] *= -1
    qpos[:, 12] += 2 * math.pi
    torch.testing.assert_close(view(State(qpos, *_rest(state)), action), shown)
    # Turned about the vertical, with its velocity.
    half = math.sqrt(0.5)
    w, x, y, z = state.qpos[:, 3:7].T
    qpos = state.qpos.clone()
    qpos[:, 3:7] = half * torch.stack([w - z, x - y, y + x, z + w], 1)
    qvel = state.qvel.clone()
    qvel[:, 0], qvel[:, 1] = -state.qvel[:, 1], state.qvel[:, 0]
    torch.testing.assert_close(view(State(qpos, qvel, state.act, state.context), action), shown)


def _rest(state):
    return state.qvel, state.act, state.context


def test_members_that_are_the_same_agree_to_the_last_bit(motion):
    data = motion.transitions()
    found = Disagreement([Kicked(0.3)] * 3, torch.ones(1))(data.state, data.action)
    assert (found == 0).all()


def test_disagreement_is_the_whitened_spread_of_what_velocities_gain(motion):
    data = motion.transitions()
    scale = increment_scale(data.state, data.next_state)
    gained = (data.next_state.qvel - data.state.qvel).numpy()
    assert scale.numpy() == pytest.approx(gained.std(0, ddof=1))
    kicks = np.array([-0.2, 0.1, 0.4])
    found = Disagreement([Kicked(k) for k in kicks], scale)(data.state, data.action)
    expected = kicks.std() * GAIN * 0.02 / float(scale[0])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_a_member_that_is_lost_disagrees_infinitely(motion):
    data = motion.transitions()
    members = [Kicked(0.0), Kicked(math.nan)]
    assert (Disagreement(members, torch.ones(1))(data.state, data.action) == math.inf).all()


def test_spread_is_the_error_of_a_rollout_with_members_for_the_truth(motion):
    windows, data = motion.windows(20), motion.transitions()
    scale = state_scale(data.state, motion.spec)
    found = Spread(Ensemble([Kicked(0.2), Kicked(0.0)]), scale).along(windows)
    error = horizon_errors(Kicked(0.2), windows).whitened
    assert error.max() < 0.5
    # Whitened by nearly the same motion.
    torch.testing.assert_close(found, error, rtol=0.1, atol=1e-9)


def test_a_member_that_is_lost_counts_as_one_and_no_more(motion):
    """So that others still tell two rollouts apart where it is lost in both."""
    spread = Spread(Ensemble([Kicked(k) for k in range(3)]), torch.full((2,), 0.5))
    model = State(torch.zeros(4, 1), torch.zeros(4, 1))
    away = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.1, 0.1, 50.0, 1e9], [0.1, 50.0, 50.0, 0.1]]) / 2
    score = spread.of(MemberStates(away[..., None], away[..., None]), model)
    one = 0.5**0.5
    assert score.tolist() == pytest.approx([0.1, one, 1.0, one], rel=0.02)
    assert score[3] > one  # the other member still counts
    gone = MemberStates(away[..., None] * math.inf, away[..., None])
    assert (spread.of(gone, model) == math.inf).all()


def test_members_that_are_the_same_never_part(motion):
    same = Spread(Ensemble([Kicked(0.2)] * 3), torch.ones(2))
    assert (same.along(motion.windows(20)) == 0).all()
