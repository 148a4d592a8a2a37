"""Where episodes start: the task's own distribution, recorded states, or a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mosim_gym.data.sources import StateSource, open_state_source
from mosim_gym.data.states import add_noise
from mosim_gym.envs.engine import Engine, Fields
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Array

#: mjMAXVAL: MuJoCo takes a state with larger entries for a diverged one.
_LARGEST = 1e10


@dataclass(frozen=True, slots=True)
class Draw:
    """Start states for some of the rows that begin.

    Attributes:
        positions: which of the rows, ints.
        fields: what is given of their states; empty leaves all to the task.
    """

    positions: Array
    fields: Fields


class ResetSource(Protocol):
    """Where episodes start."""

    def draw(self, n: int, rng: np.random.Generator, robot: RobotSpec) -> list[Draw]:
        """Start states for `n` rows; the positions of the draws partition ``range(n)``."""
        ...

    def check(self, engine: Engine) -> None:
        """Raise unless these states fit the engine's body and task."""
        ...


class TaskResets:
    """The task's own start distribution."""

    def draw(self, n: int, rng: np.random.Generator, robot: RobotSpec) -> list[Draw]:
        """Leave everything to the task."""
        return [Draw(np.arange(n), {})]

    def check(self, engine: Engine) -> None:
        """Any body will do."""


class ReplayResets:
    """States of a real system, drawn anew at every reset.

    The source is looked at live: states added to it later are drawn later.

    Args:
        source: a `Dataset`, a `StateReplayBuffer`, or anything like them.
        noise: standard deviation of normal noise added to qpos and qvel (their units).
    """

    def __init__(self, source: StateSource, noise: float = 0.0) -> None:
        """See the class."""
        if not hasattr(source, "sample_states"):
            raise MosimError(
                f"ReplayResets was given {type(source).__name__}; expected a Dataset, a "
                "StateReplayBuffer, or an object with sample_states(n, rng) and __len__()."
            )
        if not (np.isfinite(noise) and noise >= 0):
            raise MosimError(f"noise is {noise}; expected a finite number, 0 or more.")
        self.source = source
        self.noise = noise

    def draw(self, n: int, rng: np.random.Generator, robot: RobotSpec) -> list[Draw]:
        """States for `n` rows.

        Raises:
            MosimError: if the source holds no state.
        """
        _require_states(self.source)
        fields = self.source.sample_states(n, rng).numpy()
        if self.noise:
            fields["qpos"], fields["qvel"] = add_noise(
                fields["qpos"], fields["qvel"], self.noise, robot, rng
            )
        return [Draw(np.arange(n), fields)]

    def check(self, engine: Engine) -> None:
        """Raise unless the states are of the engine's body; an empty source raises at once."""
        spec = getattr(self.source, "spec", None)
        if isinstance(spec, RobotSpec):
            engine.robot.require_same_body(spec, "The reset source")
        _require_states(self.source)
        sample = self.source.sample_states(1, np.random.default_rng(0)).numpy()
        check_fields(without_other_goals(sample, engine), engine, rows=1)


class MixedResets:
    """Several sources, each drawn from with its weight.

    Args:
        weights: source to its positive weight; they are normalised.
    """

    def __init__(self, weights: Mapping[ResetSource, float]) -> None:
        """See the class."""
        values = np.array(list(weights.values()), dtype=np.float64)
        if not len(values) or not np.isfinite(values).all() or (values <= 0).any():
            raise MosimError(
                f"MixedResets was given weights {values.tolist()}; expected at least one source, "
                "each with a finite weight above 0: MixedResets({TaskResets(): 0.5, ...})."
            )
        for source in weights:
            require_source(source, "MixedResets")
        self.sources = tuple(weights)
        self.shares = values / values.sum()

    def draw(self, n: int, rng: np.random.Generator, robot: RobotSpec) -> list[Draw]:
        """Choose a source for each row, then draw from it."""
        choice = rng.choice(len(self.sources), size=n, p=self.shares)
        draws = []
        for k, source in enumerate(self.sources):
            positions = np.flatnonzero(choice == k)
            if len(positions):
                parts = source.draw(len(positions), rng, robot)
                draws += [Draw(positions[part.positions], part.fields) for part in parts]
        return draws

    def check(self, engine: Engine) -> None:
        """Check every source."""
        for source in self.sources:
            source.check(engine)


def require_source(source: object, whose: str) -> None:
    """Raise unless `source` is a reset source; `whose` names who was given it."""
    if not (hasattr(source, "draw") and hasattr(source, "check")):
        raise MosimError(
            f"{whose} was given {type(source).__name__}; expected TaskResets(), "
            "UniformResets(...), ReplayResets(dataset_or_buffer) or MixedResets({...})."
        )


def open_resets(path: str | Path) -> ReplayResets:
    """The reset source of ``resets=path``: a dataset folder or a saved `StateReplayBuffer`."""
    return ReplayResets(open_state_source(path))


def without_other_goals(fields: Fields, engine: Engine) -> Fields:
    """Recorded state fields without the context of another task, for a task that has none."""
    return fields if engine.context_size else {k: v for k, v in fields.items() if k != "context"}


def check_fields(fields: Fields, engine: Engine, rows: int) -> None:
    """Raise unless given state fields have the right sizes and are finite.

    Args:
        fields: any of qpos, qvel, act, context, ``(rows, n)``.
        engine: whose body and task they are for.
        rows: number of rows expected.
    """
    sizes = {
        "qpos": engine.robot.nq,
        "qvel": engine.robot.nv,
        "act": engine.robot.na,
        "context": engine.context_size,
    }
    if "context" in fields and not engine.context_size:
        raise MosimError(f"This task of {engine.robot.name} has no context; leave it out.")
    for name, value in fields.items():
        if value.shape != (rows, sizes[name]):
            raise MosimError(
                f"Reset state: {name} has shape {value.shape}, expected ({rows}, {sizes[name]}) "
                f"for {engine.robot.name}."
            )
        if not (np.abs(value) <= _LARGEST).all():
            bad = int(np.flatnonzero(~(np.abs(value) <= _LARGEST).all(1))[0])
            raise MosimError(
                f"Reset state: {name} holds NaN, infinity or a number beyond {_LARGEST:g} "
                f"(MuJoCo's largest) in row {bad}: {value[bad]}. Give a state the body can be in."
            )


def _require_states(source: StateSource) -> None:
    if len(source) == 0:
        raise MosimError(
            "The reset source holds no state yet. Fill the buffer first (take some real steps), "
            "then set_reset_source(ReplayResets(buffer))."
        )
