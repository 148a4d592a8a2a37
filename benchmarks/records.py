"""Benchmark results on disk: a CSV that says how it was made, and a picture beside it."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mosim_gym.files import write_text_atomically
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
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
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
