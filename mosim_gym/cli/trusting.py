"""The command that tells when not to trust a model: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mosim_gym.cli.app import OptionalOut, Quiet, Seed, app


@app.command("calibrate")
def calibrate_command(
    model: Annotated[str, typer.Argument(help="A folder; with --out, a shipped name too.")],
    data: Annotated[Path, typer.Option(help="The dataset it was trained on.")],
    members: Annotated[
        list[str] | None,
        typer.Option(
            help="Another member of its ensemble, such as MODEL-1; repeat it. "
            "By default those that MODEL has already."
        ),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="A fresh dataset to calibrate on; a tenth of --data by default."),
    ] = None,
    out: OptionalOut = None,
    rollout: Annotated[
        int, typer.Option(min=1, help="Steps of held-out rollouts that rank a spread.")
    ] = 20,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Let a model know when not to trust it: gym.make(..., uncertainty="truncate").

    Fits a density of its data and, with --members, scores how far an ensemble parts; all are
    calibrated on held-out motion and written into MODEL, or into a copy of it (--out).
    """
    from mosim_gym.uncertainty.calibrate import calibrate
    from mosim_gym.uncertainty.files import load_uncertainty

    path = calibrate(
        model,
        data,
        members=members or None,
        held_out=held_out,
        out=out,
        rollout=rollout,
        seed=seed,
        progress=not quiet,
    )
    made = load_uncertainty(path)
    assert made is not None
    for score, calibration in made.calibrations.items():
        levels = ", ".join(f"{q:.0%} {calibration.threshold(q):.3g}" for q in (0.5, 0.95, 0.99))
        print(f"{score}: held-out steps are at or below {levels}")
    if made.disagreement is not None:
        print(f"{len(made.disagreement.ensemble)} members, the model itself the first")
    print(f"Written to {path}")
