"""Engines whose readings tell doubt, and what builds them for ``uncertainty=``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mosim_gym.dynamics.checkpoint import Checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.caution import Caution, Use, Wish
from mosim_gym.envs.engine import Fields, Reading, Seed
from mosim_gym.envs.learned import LearnedEngine, Moved
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.tasks.base import Task
from mosim_gym.types import Array, Float64Array, State
from mosim_gym.uncertainty.calibration import Score
from mosim_gym.uncertainty.disagreement import Disagreement
from mosim_gym.uncertainty.files import load_uncertainty
from mosim_gym.uncertainty.spread import Spread

#: Keeps the draws of members apart from those of initial states, by the same seed.
_STREAM = 0x6D656D62
#: With members. A penalty is to depend on state and action alone, as an agent's value does.
_BEST = {
    Use.TRUNCATE: Score.SPREAD,
    Use.PENALTY: Score.DISAGREEMENT,
    Use.MEMBER: Score.DISAGREEMENT,
}


class Scorer(Protocol):
    """Tells doubt of a batch of states and actions, ``(n,)``: a density or a disagreement."""

    def __call__(self, state: State, action: Tensor) -> Tensor:
        """Scores, the larger the less the step is to be trusted."""
        ...


class ScoredEngine(LearnedEngine):
    """A `LearnedEngine` whose readings tell doubt; its steps are those of the model.

    Args:
        scorer: what tells it, of the state before a step and the action.
        simulator: see `LearnedEngine`, as the rest.
        task: likewise.
        num_envs: likewise.
        compile: the step of the model; the score is not compiled.
    """

    def __init__(
        self,
        scorer: Scorer,
        simulator: Simulator,
        task: Task[Any],
        num_envs: int,
        *,
        compile: bool = False,
    ) -> None:
        """See the class."""
        super().__init__(simulator, task, num_envs, compile=compile)
        self._scorer = scorer

    @torch.inference_mode()
    def step(self, action: Float64Array) -> Reading:
        """One control step of every row, and its doubt; see `Engine`."""
        control = torch.from_numpy(action).to(self.simulator.device, self.simulator.dtype)
        with self.threads():
            doubt = self._scorer(self._state, control)
        return dataclasses.replace(super().step(action), doubt=doubt.double().cpu().numpy())


class SpreadEngine(LearnedEngine):
    """A `LearnedEngine` that tells how far the members have parted since the start; see `Spread`.

    Every row has a member of each kind beside it, under the same actions.

    Args:
        spread: of the members.
        simulator: see `LearnedEngine`, as the rest.
        task: likewise.
        num_envs: likewise.
        compile: the step of the model; the members' are not compiled.
    """

    def __init__(
        self,
        spread: Spread,
        simulator: Simulator,
        task: Task[Any],
        num_envs: int,
        *,
        compile: bool = False,
    ) -> None:
        """See the class."""
        super().__init__(simulator, task, num_envs, compile=compile)
        self._spread = spread
        self._futures = spread.start(self._state)

    def begin(self, rows: Array, given: Fields, rng: np.random.Generator) -> None:
        """Start a new episode in `rows`, all members where the model is; see `Engine`."""
        super().begin(rows, given, rng)
        chosen = torch.from_numpy(rows)
        self._futures = self._spread.restart(self._futures, chosen, self._state[chosen])

    @torch.inference_mode()
    def step(self, action: Float64Array) -> Reading:
        """One control step of every row, and its doubt; see `Engine`."""
        control = torch.from_numpy(action).to(self.simulator.device, self.simulator.dtype)
        with self.threads():
            self._futures = self._spread.ensemble.step(self._futures, control)
        reading = super().step(action)
        doubt = self._spread.of(self._futures, self._state).double().cpu().numpy()
        return dataclasses.replace(reading, doubt=doubt)


class MemberEngine(LearnedEngine):
    """A `LearnedEngine` that moves every row with a member drawn anew each step.

    Draws come from a generator of their own, seeded with the world, one for every row at every
    step: which member a row gets does not depend on when others start anew.

    Args:
        disagreement: of the members; tells doubt as well.
        simulator: what the members share: the body, dtype and device, the touch readings.
        task: see `LearnedEngine`.
        num_envs: likewise.
    """

    def __init__(
        self, disagreement: Disagreement, simulator: Simulator, task: Task[Any], num_envs: int
    ) -> None:
        """See the class."""
        super().__init__(simulator, task, num_envs)
        self._disagreement = disagreement
        self._rng = np.random.default_rng()
        self._doubt: Tensor = torch.zeros(num_envs)

    def seed(self, rows: Sequence[int], seeds: Sequence[Seed]) -> None:
        """Seed the draws of members."""
        numbers = [seed for seed in seeds if not isinstance(seed, np.random.RandomState)]
        self._rng = np.random.default_rng([_STREAM, *numbers] if numbers else None)

    def step(self, action: Float64Array) -> Reading:
        """One control step of every row with its member, and its doubt; see `Engine`."""
        reading = super().step(action)
        return dataclasses.replace(reading, doubt=self._doubt.double().cpu().numpy())

    def _moved(self, state: State, control: Tensor) -> Moved:
        members = self._disagreement.ensemble.step(state, control)
        self._doubt = self._disagreement.of(members)
        drawn = self._rng.integers(len(members), size=self.num_envs)
        chosen, rows = torch.from_numpy(drawn), torch.arange(self.num_envs)
        arrived = State(
            members.qpos[chosen, rows],
            members.qvel[chosen, rows],
            None if members.act is None else members.act[chosen, rows],
            state.context,
        )
        return self._arrived(arrived, control, self._touched(state, arrived, control))

    def _touched(self, state: State, arrived: State, control: Tensor) -> Tensor | None:
        if not self._touch_columns:
            return None
        if self.simulator.feels:
            # At the right moment of the model's own step: members differ less than moments do.
            return self.simulator.step_and_touch(state, control)[1]
        return self.simulator.touch(arrived, control)


def cautious_engine(
    wish: Wish,
    checkpoint: Checkpoint,
    name: object,
    task: Task[Any],
    num_envs: int,
    *,
    compile: bool,
) -> tuple[LearnedEngine, Caution]:
    """The engine of a calibrated checkpoint, and what is done about the doubt it tells.

    Args:
        wish: what is to be done.
        checkpoint: with its model.
        name: as the user gave it.
        task: what is observed and rewarded.
        num_envs: number of rows.
        compile: compile the steps of the model.

    Raises:
        CheckpointError: if the checkpoint was not calibrated, or has no members where they are
            needed.
        MosimError: if members are to be compiled.
    """
    use, asked = wish.use, wish.score
    known = load_uncertainty(checkpoint.path, checkpoint.simulator.device)
    if known is None:
        raise CheckpointError(
            f'uncertainty="{use}" needs a checkpoint that knows when not to be trusted; {name!r} '
            f"was not calibrated. Do it by: mosim-gym calibrate {name} --data DATASET (with "
            "--members MODEL-1 ... for an ensemble, --out COPY for a shipped checkpoint)."
        )
    members = known.disagreement
    if members is None and (use is Use.MEMBER or asked in (Score.DISAGREEMENT, Score.SPREAD)):
        raise _no_members(use, name)
    score = asked or (Score.DENSITY if members is None else _BEST[use])
    calibrated = Caution(use, known.calibrations[score], wish.quantile)
    simulator = checkpoint.simulator
    if use is Use.MEMBER:
        assert members is not None
        if compile:
            raise MosimError(
                'compile=True compiles one model; uncertainty="member" moves rows by several. '
                "Leave compile out."
            )
        return MemberEngine(members, simulator, task, num_envs), calibrated
    if score is Score.SPREAD:
        assert known.spread is not None
        engine = SpreadEngine(known.spread, simulator, task, num_envs, compile=compile)
        return engine, calibrated
    scorer = known.density if score is Score.DENSITY else members
    assert scorer is not None
    return ScoredEngine(scorer, simulator, task, num_envs, compile=compile), calibrated


def _no_members(use: Use, name: object) -> CheckpointError:
    return CheckpointError(
        f'uncertainty="{use}" by several members needs a checkpoint that has them; {name!r} has '
        "none. Make one by: mosim-gym fit DATASET --members 4 --out MODEL, then mosim-gym "
        "calibrate MODEL-0 --data DATASET --members MODEL-1 --members MODEL-2 --members MODEL-3."
    )
