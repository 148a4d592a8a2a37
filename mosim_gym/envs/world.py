"""The batched core of every face: episodes of a body under a task.

An engine moves the bodies; the world keeps the episodes: where they start, how long they last, why
they are cut. Faces translate and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mosim_gym.data.states import STATE, STATE_BEFORE, SUBSTEPS, TOUCH
from mosim_gym.envs.caution import Caution
from mosim_gym.envs.delay import ActionDelay
from mosim_gym.envs.engine import Engine, Reading
from mosim_gym.envs.resets import (
    ResetSource,
    TaskResets,
    check_fields,
    require_source,
    without_other_goals,
)
from mosim_gym.envs.truncation import Truncation
from mosim_gym.errors import MosimError
from mosim_gym.types import FIELDS, Array, Float64Array

#: dm_control seeds with NumPy's RandomState, which takes so many seeds.
_SEEDS = 2**32

#: Info key: the share of held-out steps that are no more doubtful than this one.
UNCERTAINTY = "mosim/uncertainty"

#: Info key to arrays of all rows, or to fields of such arrays.
Report = dict[str, Array | dict[str, Float64Array]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step of all rows led to, before any reset.

    Attributes:
        observation: ``(n, d)`` in native order, the last one of the episode where it is done.
        reward: ``(n,)``.
        terminated: ``(n,)`` bool.
        truncated: ``(n,)`` bool.
        reasons: row to why it was truncated.
        report: what the infos tell besides, by key; see `World.report`.
    """

    observation: Array
    reward: Array
    terminated: Array
    truncated: Array
    reasons: dict[int, Truncation]
    report: Report

    @property
    def done(self) -> Array:
        """Which rows have ended, either way, ``(n,)`` bool."""
        done: Array = self.terminated | self.truncated
        return done


class World:
    """Episodes of `engine.num_envs` bodies.

    Args:
        engine: what moves them.
        horizon: truncate after that many steps; ``None`` for never.
        time_limit: the same as a time limit (`max_episode_steps` of a batched face).
        resets: where episodes start.
        state_info: read the states before and after every step.
        substeps: also read the physics-step states.
        caution: what is done about the doubt that the engine tells; ``None`` if it tells none.
        delay: holds actions back; by default none is.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        horizon: int | None = None,
        time_limit: int | None = None,
        resets: ResetSource | None = None,
        state_info: bool = False,
        substeps: bool = False,
        caution: Caution | None = None,
        delay: ActionDelay | None = None,
    ) -> None:
        """See the class."""
        self.engine = engine
        self.num_envs = engine.num_envs
        self.set_horizon(horizon)
        self.time_limit = _positive("max_episode_steps", time_limit)
        self.state_info = state_info
        self.record_substeps = substeps
        self.caution = caution
        self.rng = np.random.default_rng()
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        self._sources: list[ResetSource] = []
        self._source_of = np.zeros(self.num_envs, dtype=np.int64)
        self._low = engine.robot.action_low
        self._high = engine.robot.action_high
        self._late = delay or ActionDelay(0, self.num_envs, engine.robot.action_at_rest)
        self.layout = self._late.layout(engine.layout)
        self.set_reset_source(resets or TaskResets())

    def set_horizon(self, steps: int | None) -> None:
        """Truncate after so many steps, 1 or more, from now on; rows under way too."""
        self.horizon = _positive("horizon", steps)

    def set_reset_source(self, source: ResetSource, rows: Sequence[int] | None = None) -> None:
        """Let episodes of `rows` (all by default) start from `source` from now on.

        Raises:
            MosimError: if the source is empty or its states do not fit this body.
        """
        require_source(source, "set_reset_source")
        source.check(self.engine)
        chosen = np.arange(self.num_envs) if rows is None else np.asarray(rows, dtype=np.int64)
        if ((chosen < 0) | (chosen >= self.num_envs)).any():
            raise MosimError(
                f"indices are {chosen.tolist()}; expected numbers from 0 to {self.num_envs - 1}."
            )
        self._sources.append(source)
        self._source_of[chosen] = len(self._sources) - 1
        # Forget sources no row uses any more.
        used, self._source_of = np.unique(self._source_of, return_inverse=True)
        self._sources = [self._sources[k] for k in used]

    def seed(self, seed: int | Sequence[int | None], rows: Array | None = None) -> None:
        """Seed all random numbers: row i of true physics with ``seed + i``, or ``seed[i]``.

        Args:
            seed: one number, or one (or None) a row of the world.
            rows: true physics is seeded in these rows only (ints); in all by default.

        Raises:
            MosimError: if there are more or fewer seeds than rows, or one is out of range.
        """
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise MosimError(
                f"{len(seed)} seeds were given for {self.num_envs} envs; expected one number, or "
                "one (or None) an env."
            )
        chosen = range(self.num_envs) if rows is None else rows.tolist()
        given = {row: int(value) for row in chosen if (value := seed[row]) is not None}
        wrong = [value for value in given.values() if not 0 <= value < _SEEDS]
        if wrong:
            raise MosimError(f"The seed {wrong[0]} is out of range; expected 0 to {_SEEDS - 1}.")
        if given:
            values = list(given.values())
            first = values[0]
            # [s, s + 1, ...] is what s stands for, on whichever face it was given.
            counted = values == list(range(first, first + len(values)))
            self.rng = np.random.default_rng(first if counted else values)
            self.engine.seed(list(given), values)

    def reset(self, rows: Array | None = None, options: Mapping[str, Any] | None = None) -> Array:
        """Start new episodes.

        Args:
            rows: ints; all by default.
            options: any of qpos, qvel, act, context, ``(len(rows), n)``, instead of what the reset
                source would give; ``None`` values and other keys are ignored.

        Returns:
            Observations of all rows, ``(n, d)`` in native order.

        Raises:
            MosimError: if a given state is of wrong size or not finite.
        """
        rows = np.arange(self.num_envs) if rows is None else rows
        given = {
            name: np.atleast_2d(np.asarray(options[name], dtype=np.float64))
            for name in FIELDS
            if options and options.get(name) is not None
        }
        check_fields(given, self.engine, len(rows))
        if {"qpos", "qvel"} <= given.keys():
            # The start is given; nothing of a reset source may be mixed into it.
            self._begin(rows, given)
        else:
            for k, source in enumerate(self._sources):
                mine = np.flatnonzero(self._source_of[rows] == k)
                for draw in (
                    source.draw(len(mine), self.rng, self.engine.robot) if len(mine) else ()
                ):
                    at = mine[draw.positions]
                    drawn = without_other_goals(draw.fields, self.engine)
                    check_fields(drawn, self.engine, len(at))
                    over = {name: value[at] for name, value in given.items()}
                    self._begin(rows[at], {**drawn, **over})
        self._steps[rows] = 0
        self._late.begin(rows)
        return self._late.observation(self.engine.observe())

    def step(self, action: Array) -> Outcome:
        """One control step of every row; rows that are done wait for `reset`.

        Args:
            action: ``(n, nu)``; clipped to the action space.

        Raises:
            MosimError: if the actions have the wrong shape or are NaN.
        """
        control = self._late(self._checked(action))
        before = {STATE_BEFORE: self.engine.state()} if self.state_info else {}
        reading = self.engine.step(control)
        self._steps += 1
        truncated, reasons = self._truncations(reading)
        reward, doubted = self._judged(reading)
        return Outcome(
            observation=self._late.observation(reading.observation),
            reward=reward,
            terminated=reading.terminated,
            truncated=truncated,
            reasons=reasons,
            report={**self.report(), **before, **self._substeps(), **doubted},
        )

    def report(self) -> Report:
        """What infos tell of the current states, nothing unless state_info is on.

        Returns:
            ``mosim/state``: fields ``(n, .)``; ``mosim/touch``: readings in newtons ``(n, ns)``,
            for bodies with touch sensors where they are known.
        """
        if not self.state_info:
            return {}
        touch = self.engine.touch() if self.engine.robot.touch else None
        return {STATE: self.engine.state(), **({} if touch is None else {TOUCH: touch})}

    def _substeps(self) -> Report:
        return {SUBSTEPS: self.engine.substeps()} if self.record_substeps else {}

    def _judged(self, reading: Reading) -> tuple[Array, Report]:
        """The rewards after a penalty, and what infos tell of doubt."""
        if self.caution is None or reading.doubt is None:
            return reading.reward, {}
        rank = self.caution.calibration.quantile_of(reading.doubt)
        return self.caution.reward(reading.reward, reading.doubt), {UNCERTAINTY: rank}

    def _truncations(self, reading: Reading) -> tuple[Array, dict[int, Truncation]]:
        """Which rows are cut now, and why; of several reasons the first that is listed here."""
        truncated = reading.diverged.copy()
        reasons: dict[int, Truncation] = {}
        if truncated.any():
            reasons = dict.fromkeys(np.flatnonzero(truncated).tolist(), Truncation.DIVERGED)
        if self.caution is not None and reading.doubt is not None:
            cut = self.caution.cut(reading.doubt)
            if cut is not None:
                cut &= ~truncated
                reasons.update(dict.fromkeys(np.flatnonzero(cut).tolist(), Truncation.UNCERTAINTY))
                truncated |= cut
        oldest = self._steps.max()
        for limit, why in (
            (self.horizon, Truncation.HORIZON),
            (self.time_limit, Truncation.TIME_LIMIT),
        ):
            if limit is not None and oldest >= limit:
                reached = (self._steps >= limit) & ~truncated
                reasons.update(dict.fromkeys(np.flatnonzero(reached).tolist(), why))
                truncated |= reached
        return truncated, reasons

    def _begin(self, rows: Array, fields: Mapping[str, Float64Array]) -> None:
        if self.engine.robot.na and "qpos" in fields:
            fields = {"act": np.zeros((len(rows), self.engine.robot.na)), **fields}
        self.engine.begin(rows, fields, self.rng)

    def _checked(self, action: Array) -> Float64Array:
        control = np.asarray(action, dtype=np.float64)
        expected = (self.num_envs, self.engine.robot.nu)
        if control.shape != expected:
            raise MosimError(
                f"The action has shape {control.shape}; expected {expected}: one row an env, one "
                f"entry an actuator of {self.engine.robot.name}."
            )
        if np.isnan(control).any():
            row = int(np.flatnonzero(np.isnan(control).any(1))[0])
            raise MosimError(
                f"The action of env {row} holds NaN: {control[row]}. Nothing was stepped; look at "
                "the policy (exploding networks and unnormalised inputs are usual causes)."
            )
        # What np.clip does, at a third of its price for few rows.
        return np.minimum(np.maximum(control, self._low), self._high)


def _positive(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise MosimError(f"{name} is {value!r}; expected a whole number of steps above 0, or None.")
