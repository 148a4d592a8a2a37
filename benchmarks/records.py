"""Benchmark results on disk: a CSV that says how it was made, and a picture beside it.

And what is done once only: long work whose time is kept, runs whose rows are there already.
"""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from matplotlib.figure import Figure

from mosim_gym.files import write_json, write_text_atomically
from mosim_gym.versions import environment_record

RESULTS = Path(__file__).parent / "results"


def write_csv(name: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> Path:
    """Write ``results/<name>.csv``; comment lines tell command, versions, machine and `facts`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    text = io.StringIO()
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    for key, value in {"command": command, **environment_record(), **facts}.items():
        text.write(f"# {key}: {json.dumps(value)}\n")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomically(path, text.getvalue())
    print(f"wrote {path}")
    return path


def read_csv(name: str) -> list[dict[str, str]]:
    """The rows of ``results/<name>.csv``; none if there is no such file."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def new_figure(width: float = 7, height: float = 4) -> Figure:
    """A figure that needs no screen."""
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def save_figure(figure: Figure, name: str) -> None:
    """Write ``results/<name>.png``."""
    path = RESULTS / f"{name}.png"
    figure.savefig(path)
    print(f"wrote {path}")


class Job(Protocol):
    """A run that gives one row."""

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row: the columns that `run_missing` is told, as text."""
        ...


J = TypeVar("J", bound=Job)


def run_missing(
    name: str,
    columns: Sequence[str],
    jobs: Sequence[J],
    run: Callable[[J], dict[str, Any]],
    processes: int,
    **facts: Any,
) -> list[dict[str, Any]]:
    """All rows of ``results/<name>.csv``, after the jobs that had none there were run.

    Args:
        name: of the table, which is written anew after each run.
        columns: those that `Job.key` gives.
        jobs: all of them, the most wanted first.
        run: gives the row of a job; in a process of its own.
        processes: side by side.
        **facts: as for `write_csv`.
    """
    rows: list[dict[str, Any]] = list(read_csv(name))
    done = {tuple(str(row.get(column)) for column in columns) for row in rows}
    missing = [job for job in jobs if job.key not in done]
    print(f"{len(done)} runs done, {len(missing)} to go", flush=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for row in pool.imap_unordered(run, missing):
            # What another process has written meanwhile stays.
            rows = [*read_csv(name), row]
            print(row, flush=True)
            write_csv(name, rows, **facts)
    return rows


def timed(file: Path, name: str, work: Callable[[], Any]) -> float:
    """Do `work` unless `file` says that it was done before; the seconds it took."""
    seconds = taken(file)
    if name not in seconds:
        start = time.perf_counter()
        work()
        seconds[name] = round(time.perf_counter() - start, 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, seconds)
    return seconds[name]


def taken(file: Path) -> dict[str, float]:
    """The seconds that `timed` wrote there, by name."""
    seconds: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    return seconds
