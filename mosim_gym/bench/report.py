"""What was timed, as a table, a CSV file, and plain words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mosim_gym.bench.cases import BARE
from mosim_gym.bench.rivals import BATCH, SUITE
from mosim_gym.bench.timing import Timing
from mosim_gym.files import write_text_atomically

#: Rows at which a face is held against the bare model and the suite.
MANY = 256


def table(timings: Sequence[Timing]) -> str:
    """One line a case, best and median steps a second."""
    lines = [f"{'':<40} {'envs':>5} {'steps/s best':>13} {'median':>11} {'cpu us/step':>12}"]
    for t in timings:
        speeds = f"{t.best:>13,.0f} {t.median:>11,.0f} {t.cpu_microseconds:>12.2f}"
        lines.append(f"{t.what:<40} {t.n_envs:>5} {speeds}")
    return "\n".join(lines)


def verdicts(timings: Sequence[Timing]) -> list[str]:
    """Who is faster, at every number of rows; and what a face costs beyond the model."""
    said = [_winner(timings, n) for n in sorted({t.n_envs for t in timings})]
    said = [line for line in said if line]
    suite = _find(timings, SUITE, 1)
    for t in timings:
        if t.n_envs != MANY or not t.what.startswith(("SB3 face", "vector face")):
            continue
        words = []
        if suite is not None:
            words.append(f"{t.best / suite.best:.1f} times suite.load().step")
        bare = _find(timings, BARE + t.what[t.what.index(",") :], MANY)
        if bare is not None:
            words.append(f"{bare.best / t.best - 1:.0%} longer than the bare model's step")
        if words:
            said.append(f"{t.what}, {MANY} envs: {', '.join(words)}.")
    return said


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    """Write rows under comment lines with `facts`."""
    text = io.StringIO()
    for key, value in facts.items():
        text.write(f"# {key}: {json.dumps(value)}\n")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, text.getvalue())


def is_learned(what: str) -> bool:
    """Whether a case is a face of a model."""
    return "face, learned" in what


def is_true(what: str) -> bool:
    """Whether a case is an environment of true physics: with observation and reward."""
    return not is_learned(what) and not what.startswith((BARE, BATCH))


def _winner(timings: Sequence[Timing], n: int) -> str:
    rows = [t for t in timings if t.n_envs == n]
    learned = [t for t in rows if is_learned(t.what)]
    true = [t for t in rows if is_true(t.what)]
    if not learned or not true:
        return ""
    ours, theirs = (max(group, key=lambda t: t.best) for group in (learned, true))
    first = "the model" if ours.best > theirs.best else "TRUE PHYSICS"
    ratio = max(ours.best, theirs.best) / min(ours.best, theirs.best)
    against = f"{ours.what} {ours.best:,.0f}, {theirs.what} {theirs.best:,.0f} steps/s"
    return f"{n} env{'s' * (n > 1)}: {first} is {ratio:.1f} times as fast ({against})."


def _find(timings: Sequence[Timing], what: str, n: int) -> Timing | None:
    return next((t for t in timings if (t.what, t.n_envs) == (what, n)), None)
