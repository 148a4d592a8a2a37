"""What a score means: its rank among the scores of motion that no fit has seen.

A score is a number a step, the larger, the less the model should be trusted there.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import numpy as np

from mosim_gym.errors import MosimError
from mosim_gym.types import Float64Array

#: More held-out scores are thinned to so many, evenly by rank.
MOST_SCORES = 10_000
#: The penalty of the median held-out step is a hundredth: log((1 - .01) / .01) widths below tau.
_MEDIAN_PENALTY = 0.01
_WIDTHS = math.log((1 - _MEDIAN_PENALTY) / _MEDIAN_PENALTY)


class Score(StrEnum):
    """What tells doubt.

    SPREAD: how far the futures of an ensemble's members have parted since the episode started.
    DISAGREEMENT: how far the members part in a single step.
    DENSITY: how unusual a state and action are among those of the data.
    """

    SPREAD = "spread"
    DISAGREEMENT = "disagreement"
    DENSITY = "density"


#: Why held-out scores may not be finite, and what to do.
_NOT_FINITE = {
    Score.SPREAD: "Members that diverge within a held-out rollout cannot be calibrated "
    "by their spread: ask for fewer steps (--rollout), or fit them again.",
    Score.DISAGREEMENT: "Members that diverge within a step of recorded motion cannot be "
    "calibrated: fit them again.",
    Score.DENSITY: "The model has no part in it: this held-out motion is too far from the data for "
    "a density. Give held-out motion of the kind that the model was fitted on, and look for "
    "recorded values that cannot be.",
}


class Calibration:
    """Held-out scores, by which others are judged.

    Attributes:
        scores: ascending, ``(n,)``.
    """

    def __init__(self, scores: Any, score: Score | None = None) -> None:
        """Sort and, where there are many, thin the scores.

        Args:
            scores: of held-out steps, in any order and shape.
            score: what they are of, for the message of an error.

        Raises:
            MosimError: if there are none, or some are not finite.
        """
        found = np.sort(np.asarray(scores, dtype=np.float64).ravel())
        if not len(found) or not np.isfinite(found).all():
            lost = int((~np.isfinite(found)).sum())
            why = f" {_NOT_FINITE[score]}" if score and lost else ""
            raise MosimError(
                f"{score or 'Calibration'}: {len(found)} held-out scores were given, {lost} of "
                f"them not finite; expected one or more, all finite.{why}"
            )
        if len(found) > MOST_SCORES:
            found = found[np.linspace(0, len(found) - 1, MOST_SCORES).round().astype(np.int64)]
        self.scores: Float64Array = found

    def threshold(self, quantile: float) -> float:
        """The smallest held-out score that a share `quantile` of them does not exceed.

        Raises:
            MosimError: if it is not above 0 and at most 1.
        """
        if not 0 < quantile <= 1:
            raise MosimError(f"A quantile is {quantile!r}; expected a number above 0, at most 1.")
        # Rounded, so that 0.07 of 100 scores is the seventh and not the eighth.
        rank = math.ceil(round(quantile * len(self.scores), 9))
        return float(self.scores[max(rank, 1) - 1])

    def quantile_of(self, scores: Float64Array) -> Float64Array:
        """The share of held-out scores that each of `scores` is not below, ``(n,)``; 1 for NaN."""
        # NaN is sorted after all numbers.
        ranks = np.searchsorted(self.scores, scores, side="right")
        return np.asarray(ranks / len(self.scores), dtype=np.float64)

    def exceeds(self, scores: Float64Array, quantile: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which `scores` are above the threshold or no numbers, ``(n,)`` bool."""
        return ~(scores <= self.threshold(quantile))

    def penalty_scale(self, quantile: float) -> tuple[float, float]:
        """Tau and alpha of the penalty, both of the score -log p.

        Tau is the threshold, where half the penalty is due; alpha is such that the median held-out
        step pays a hundredth.
        """
        tau = self.threshold(quantile)
        alpha = (tau - self.threshold(0.5)) / _WIDTHS
        # Members that agree everywhere, and quantiles up to the median: a step.
        return tau, max(alpha, float(np.spacing(abs(tau) + 1)))

    def penalty(self, scores: Float64Array, quantile: float) -> Float64Array:
        """MoSim's ``sigma((log p - tau) / alpha) - 1`` (arXiv 2504.07095), ``(n,)`` in [-1, 0].

        With -score in the place of log p. It is added to a reward and nothing is clipped, so that
        a reward may become negative.
        """
        tau, alpha = self.penalty_scale(quantile)
        worst = np.where(np.isnan(scores), np.inf, scores)
        # sigma(x) = (1 + tanh(x / 2)) / 2, which does not overflow.
        return np.asarray((np.tanh((tau - worst) / alpha / 2) - 1) / 2, dtype=np.float64)
