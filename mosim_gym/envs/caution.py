"""``uncertainty=``: what an environment does where its model is not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mosim_gym.errors import MosimError, enum_member
from mosim_gym.types import Array, Float64Array
from mosim_gym.uncertainty.calibration import Calibration, Score

#: Of held-out control steps.
DEFAULT_QUANTILE = 0.99


class Use(StrEnum):
    """What is done about doubt.

    TRUNCATE: an episode is cut where doubt passes a quantile of held-out steps.
    PENALTY: MoSim's penalty is added to the reward.
    MEMBER: every row moves with a member of the ensemble drawn anew each step.
    """

    TRUNCATE = "truncate"
    PENALTY = "penalty"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asked for.

    Attributes:
        use: what is to be done about doubt.
        score: what is to tell it; ``None``: what is best for the use.
        quantile: of held-out control steps.
    """

    use: Use
    score: Score | None = None
    quantile: float = DEFAULT_QUANTILE

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Wish | None:
        """What `options` of an environment say; ``None`` if nothing is to be done.

        Raises:
            MosimError: naming what is wrong or has no use.
        """
        asked = options.get("uncertainty")
        score, quantile = options.get("uncertainty_score"), options.get("uncertainty_quantile")
        if asked is None:
            for name, value in (("score", score), ("quantile", quantile)):
                if value is not None:
                    raise MosimError(
                        f"uncertainty_{name}={value!r} needs uncertainty= beside it: one of "
                        f"{', '.join(repr(use.value) for use in Use)}."
                    )
            return None
        use = enum_member(Use, "uncertainty", asked)
        if use is Use.MEMBER and (score is not None or quantile is not None):
            raise MosimError(
                'uncertainty="member" draws a member each step, whatever their doubt; leave out '
                "uncertainty_quantile and uncertainty_score."
            )
        chosen = None if score is None else enum_member(Score, "uncertainty_score", score)
        if quantile is None:
            return cls(use, chosen)
        if isinstance(quantile, bool) or not 0 < quantile <= 1:
            raise MosimError(
                f"uncertainty_quantile={quantile!r}; expected a number above 0 and at most 1, a "
                f"share of held-out control steps such as {DEFAULT_QUANTILE}."
            )
        return cls(use, chosen, float(quantile))


@dataclass(frozen=True, slots=True)
class Caution:
    """What is done about the scores of a step.

    Attributes:
        use: what.
        calibration: what the scores mean.
        quantile: of held-out steps: where to cut, where half the penalty is due.

    Raises:
        MosimError: if the median held-out step would pay half a penalty too.
    """

    use: Use
    calibration: Calibration
    quantile: float

    def __post_init__(self) -> None:
        """Refuse a penalty that tells nothing apart."""
        median, threshold = (self.calibration.threshold(q) for q in (0.5, self.quantile))
        if self.use is Use.PENALTY and threshold <= median:
            raise MosimError(
                f'uncertainty="penalty" with uncertainty_quantile={self.quantile}: the score there '
                f"({threshold:.3g}) is not above that of the median held-out step ({median:.3g}), "
                "which would pay half a reward too. Expected a quantile above 0.5, such as "
                f"{DEFAULT_QUANTILE}, and scores that differ there; where they do not, take "
                "another uncertainty_score or calibrate with other motion or members."
            )

    def cut(self, doubt: Float64Array) -> Array | None:
        """Which rows are to be truncated, ``(n,)`` bool; ``None`` for none ever."""
        if self.use is not Use.TRUNCATE:
            return None
        return self.calibration.exceeds(doubt, self.quantile)

    def reward(self, reward: Array, doubt: Float64Array) -> Array:
        """The reward with its penalty, ``(n,)``; not clipped."""
        if self.use is not Use.PENALTY:
            return reward
        return reward + self.calibration.penalty(doubt, self.quantile)
