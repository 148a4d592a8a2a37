"""The command's application, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Learned motion simulators as Gymnasium environments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path, typer.Option("--out", help="Where to write.")]
OptionalOut = Annotated[Path | None, typer.Option("--out", help="Where to write.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
CheckpointOption = Annotated[
    str | None, typer.Option("--checkpoint", help="The model; the task's own by default.")
]
