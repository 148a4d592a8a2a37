"""Timing in rounds: all cases take turns, so that a slow minute of the machine is shared by all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

#: Control steps of an episode while timing, and of what is timed at once: each timing holds one
#: reset of every row.
HORIZON = 50

#: One step of all rows.
Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """Something to time.

    Attributes:
        what: what it is, in the words of the table.
        n_envs: rows it steps at once.
        open: makes it and says how to step it; what has to be closed goes to the stack.
    """

    what: str
    n_envs: int
    open: Callable[[ExitStack], Step]


@dataclass(frozen=True, slots=True)
class Timing:
    """What one case took.

    Attributes:
        what: the case.
        n_envs: its rows.
        seconds: wall time of `HORIZON` steps of all rows, one entry a repetition.
        cpu_seconds: processor time of this process in them, all threads together.
    """

    what: str
    n_envs: int
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Steps of single rows a second at its fastest: what the code can do undisturbed."""
        return HORIZON * self.n_envs / min(self.seconds)

    @property
    def median(self) -> float:
        """Steps of single rows a second in half of the repetitions or more."""
        return HORIZON * self.n_envs / float(np.median(self.seconds))

    @property
    def cpu_microseconds(self) -> float:
        """Least processor time a step of one row, in microseconds; child processes left out."""
        return 1e6 * min(self.cpu_seconds) / (HORIZON * self.n_envs)

    def row(self) -> dict[str, str | int | float]:
        """The line of a table."""
        return {
            "what": self.what,
            "n_envs": self.n_envs,
            "steps_per_second": round(self.best),
            "median_steps_per_second": round(self.median),
            "cpu_microseconds_per_step": round(self.cpu_microseconds, 3),
            "repetitions": len(self.seconds),
        }


def measure(
    cases: Sequence[Case], *, rounds: int, stretch: float = 0.2, progress: bool = True
) -> list[Timing]:
    """Time all cases in turns.

    A case that needs longer than its share of the time for one repetition gets fewer, at least one.

    Args:
        cases: all of them are open at once.
        rounds: turns of each.
        stretch: seconds of a turn.
        progress: show a bar.
    """
    with ExitStack() as stack:
        steps = [case.open(stack) for case in tqdm(cases, desc="opening", disable=not progress)]
        timings = [Timing(case.what, case.n_envs) for case in cases]
        for _ in tqdm(range(rounds), desc="rounds", disable=not progress):
            for step, timing in zip(steps, timings, strict=True):
                if sum(timing.seconds) <= rounds * stretch:
                    _take_turn(step, timing, stretch)
    return timings


def _take_turn(step: Step, timing: Timing, stretch: float) -> None:
    if not timing.seconds:
        step()  # what is made or loaded at the first step
    start = time.perf_counter()
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(HORIZON):
            step()
        now = time.perf_counter()
        timing.seconds.append(now - wall)
        timing.cpu_seconds.append(time.process_time() - cpu)
        if now - start >= stretch:
            return
