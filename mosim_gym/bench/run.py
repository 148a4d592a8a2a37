"""All there is to time about one task, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from mosim_gym.bench.cases import SIZES, bare_cases, face_cases
from mosim_gym.bench.memory import memory_above_import
from mosim_gym.bench.report import table, verdicts
from mosim_gym.bench.rivals import rival_cases
from mosim_gym.bench.timing import Timing, measure
from mosim_gym.envs.options import WorldOptions
from mosim_gym.registration import find_env

LEARNED, COMPILED, TRUE = "learned", "learned, compiled", "mujoco"


@dataclass(frozen=True, slots=True)
class Result:
    """What came out.

    Attributes:
        env_id: the task.
        timings: of every case.
        memory: most MiB above the import at the largest number of envs, by dynamics.
        missing: what was left out, and why.
    """

    env_id: str
    timings: list[Timing]
    memory: dict[str, int]
    missing: list[str]

    def text(self, sizes: Sequence[int]) -> str:
        """Table and verdicts."""
        held = [
            f"SB3 face, {what}: {mib:,} MiB above the import at {max(sizes)} envs."
            for what, mib in self.memory.items()
        ]
        return "\n".join([table(self.timings), *verdicts(self.timings), *held, *self.missing])


def bench_task(
    env_id: str,
    *,
    checkpoint: str | None = None,
    compile: bool = False,
    rivals: bool = True,
    sizes: Sequence[int] = SIZES,
    rounds: int = 8,
    stretch: float = 0.2,
    progress: bool = True,
) -> Result:
    """Time the faces of a task on a model and on true physics, the bare model, and their rivals.

    Args:
        env_id: such as "MoSim/reacher-easy-v0".
        checkpoint: the model; the task's own by default.
        compile: time the compiled model too.
        rivals: time what others offer too.
        sizes: numbers of envs.
        rounds: turns of every case.
        stretch: seconds of a turn.
        progress: show bars.

    Raises:
        MosimError: if there is no such task or no model of it.
    """
    row = find_env(env_id)
    model = cast(WorldOptions, {"checkpoint": checkpoint or row.require_checkpoint()})
    true = cast(WorldOptions, {"dynamics": "mujoco"})
    cases = face_cases(row, model, sizes, LEARNED) + bare_cases(row, model, sizes, LEARNED)
    if compile:
        fast = cast(WorldOptions, {**model, "compile": True})
        cases += face_cases(row, fast, sizes, COMPILED) + bare_cases(row, fast, sizes, COMPILED)
    cases += face_cases(row, true, sizes, TRUE)
    others, missing = rival_cases(row, sizes) if rivals else ([], [])
    memory = {
        label: round(memory_above_import(row.env_id, max(sizes), options))
        for label, options in ((LEARNED, model), (TRUE, true))
    }
    timings = measure([*cases, *others], rounds=rounds, stretch=stretch, progress=progress)
    return Result(row.env_id, timings, memory, missing)
