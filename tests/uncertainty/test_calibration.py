"""A threshold is a quantile of held-out scores; the penalty is MoSim's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.errors import MosimError
from mosim_gym.uncertainty.calibration import MOST_SCORES, Calibration, Score

#: Few values, so that many are equal.
SCORES = st.lists(
    st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60
)
QUANTILES = st.floats(0.001, 1.0)


@given(SCORES, QUANTILES)
def test_a_threshold_lets_its_share_pass_and_no_lower_one_does(scores, quantile):
    found = np.array(scores)
    calibration = Calibration(found)
    threshold = calibration.threshold(quantile)
    assert threshold in scores
    assert (found <= threshold).mean() >= quantile - 1e-9
    assert (found < threshold).mean() < quantile
    assert calibration.exceeds(found, quantile).mean() <= 1 - quantile + 1e-9


@given(SCORES, st.floats(-1e6, 1e6))
def test_a_quantile_is_the_share_of_scores_not_above(scores, score):
    found = Calibration(np.array(scores)).quantile_of(np.array([score]))
    assert found[0] == np.mean(np.array(scores) <= score)


@given(SCORES, QUANTILES)
def test_thresholds_and_quantiles_are_inverse(scores, quantile):
    calibration = Calibration(np.array(scores))
    threshold = np.array([calibration.threshold(quantile)])
    assert calibration.quantile_of(threshold)[0] >= quantile - 1e-9
    assert not calibration.exceeds(threshold, quantile)[0]


@given(SCORES, QUANTILES, st.floats(-1e6, 1e6))
def test_the_penalty_is_the_papers(scores, quantile, score):
    calibration = Calibration(np.array(scores))
    tau, alpha = calibration.penalty_scale(quantile)
    assert alpha > 0
    log_p = -score
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-(log_p - -tau) / alpha)) - 1
    found = calibration.penalty(np.array([score]), quantile)[0]
    assert found == pytest.approx(expected, abs=1e-12)
    assert -1 <= found <= 0


def test_what_the_penalty_costs():
    calibration = Calibration(np.arange(1001.0))
    scores = np.array([0.0, 500.0, calibration.threshold(0.95), 2000.0, np.inf, np.nan])
    found = calibration.penalty(scores, 0.95)
    np.testing.assert_allclose(found[[1, 2]], [-0.01, -0.5], atol=1e-9)
    assert -0.01 < found[0] < 0 and found[3] > -1
    assert found[4] == found[5] == -1


def test_where_all_held_out_scores_are_one_the_penalty_is_a_step():
    calibration = Calibration(np.zeros(10))
    assert calibration.penalty(np.array([0.0, 1e-3]), 0.99).tolist() == [-0.5, -1.0]
    assert calibration.exceeds(np.array([0.0, 1e-12]), 0.99).tolist() == [False, True]


def test_infinite_and_missing_scores_are_beyond_every_threshold():
    calibration = Calibration(np.arange(5.0))
    worst = np.array([np.inf, np.nan])
    assert calibration.exceeds(worst, 1.0).all()
    assert calibration.quantile_of(worst).tolist() == [1.0, 1.0]


def test_many_scores_are_thinned_by_rank():
    scores = np.random.default_rng(0).normal(size=7 * MOST_SCORES)
    calibration = Calibration(scores)
    assert len(calibration.scores) == MOST_SCORES
    assert calibration.threshold(1.0) == scores.max()
    for quantile in (0.01, 0.5, 0.99):
        assert np.mean(scores <= calibration.threshold(quantile)) == pytest.approx(
            quantile, abs=2 / MOST_SCORES
        )


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [np.inf]])
def test_scores_that_calibrate_nothing(scores):
    with pytest.raises(MosimError, match=r"held-out scores were given, \d of them not finite"):
        Calibration(np.array(scores))


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (Score.DENSITY, "density: 2 held-out scores .*too far from the data"),
        (Score.DISAGREEMENT, "disagreement: 2 held-out .* within a step of recorded motion"),
        (Score.SPREAD, "spread: 2 held-out .*--rollout"),
    ],
)
def test_scores_that_are_not_finite_are_named(score, message):
    with pytest.raises(MosimError, match=message) as raised:
        Calibration(np.array([1.0, np.inf]), score)
    assert ("diverge" in str(raised.value)) == (score is not Score.DENSITY)


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.1, float("nan")])
def test_quantiles_out_of_range(quantile):
    with pytest.raises(MosimError, match="expected a number above 0, at most 1"):
        Calibration(np.ones(3)).threshold(quantile)
