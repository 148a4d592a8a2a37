"""The command that judges models: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mosim_gym.cli.app import OptionalOut, Quiet, app
from mosim_gym.cli.models import collect
from mosim_gym.errors import MosimError
from mosim_gym.registration import ROWS


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A shipped name or a folder.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A dataset it was not trained on; repeat it. Collected by default."),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Another checkpoint, for the same table; repeat it.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Control steps of a rollout; whole episodes.")
    ] = None,
    out: OptionalOut = None,
    quiet: Quiet = False,
) -> None:
    """Measure models on motion they were not trained on: figures, pictures, JSON.

    Without --data, 200 episodes of the body's own task under held random actions are collected
    first, with a seed of their own, and kept in --out (about a minute).
    """
    from mosim_gym.dynamics.checkpoint import load_checkpoint
    from mosim_gym.evaluate.compare import Truth
    from mosim_gym.evaluate.report import FRESH_EPISODES, FRESH_SEED, report
    from mosim_gym.tasks.energy import EnergyReader
    from mosim_gym.tasks.true_simulator import TrueSimulator

    checkpoints = {name: load_checkpoint(name) for name in (checkpoint, *(baseline or ()))}
    robot = checkpoints[checkpoint].spec
    body = (robot.fingerprint, robot.n_substeps)
    row = next((r for r in ROWS if (r.body.fingerprint, r.body.n_substeps) == body), None)
    out = out or Path("runs") / f"evaluate-{Path(checkpoint).name}"
    if not data:
        if row is None:
            raise MosimError(
                f"{checkpoint} models a body ({robot.name}) without a task here to collect fresh "
                "motion of. Give --data DATASET."
            )
        data = [out / "fresh"]
        collect(row.name, data[0], FRESH_EPISODES, seed=FRESH_SEED, quiet=quiet)
    truth = None
    if row is not None:
        true = TrueSimulator(row.domain, row.task, threads=1)
        truth = Truth(true.step, EnergyReader(row.domain, row.task))
    report(checkpoints, data, out, longest=horizon, truth=truth)
