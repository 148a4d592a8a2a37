"""Commands that make models: list, card, collect, fit, learn."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mosim_gym.cli.app import Out, Quiet, Seed, app
from mosim_gym.cli.told import Told, with_description
from mosim_gym.errors import unknown_name
from mosim_gym.registration import ROWS, TaskRow, without_module

PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        "--predictor",
        # Named here, for the presets themselves take a second to import.
        help="default, contact, unrolled, articulated, articulated_robust, "
        "articulated_corrected, lagrangian, "
        "lagrangian_unrolled, lagrangian_network, mlp, paper.",
    ),
]
_TASK = "A domain (reacher), task (reacher-hard) or environment id; of a body of yours with the "
_TASK += "module that registers it (my_robot:arm-reach)."
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Optimiser steps; the preset's by default.")
]


@app.command("list")
def list_command() -> None:
    """Show the environments and the shipped checkpoints."""
    from mosim_gym.dynamics.catalogue import list_checkpoints

    shipped = {summary.name: summary for summary in list_checkpoints()}
    print("Environments (gym.make id, its learned model, what reads observation and reward):")
    for row in ROWS:
        model = shipped.get(row.body.checkpoint or "")
        made = "collect, then fit" if row.body.unlearnable is None else "true physics only"
        state = f"checkpoint {model.name}" if model else made
        reader = "torch" if row.body.native else "dm_control"
        print(f"  mosim_gym:{row.env_id:<34} {state:<20} {reader}")
    print("Checkpoints (mosim-gym card NAME shows one):")
    for summary in shipped.values():
        trusted = summary.trusted_horizon
        print(f"  {summary.name:<12} {summary.spec.name}, trusted for {trusted} control steps")


@app.command()
def card(checkpoint: Annotated[str, typer.Argument(help="A shipped name or a folder.")]) -> None:
    """Show what a checkpoint was made from and how far it can be trusted."""
    from mosim_gym.dynamics.catalogue import find_checkpoint
    from mosim_gym.dynamics.summary import read_summary

    print(read_summary(find_checkpoint(checkpoint)).card)


@app.command()
def collect(
    task: Annotated[str, typer.Argument(help=_TASK)],
    out: Out,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes the folder shall hold.")] = 300,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="An SB3 agent (.zip, partly pickled: only one you trust); random by default."
        ),
    ] = None,
    resample: Annotated[float, typer.Option(help="Chance a step of a new random action.")] = 0.2,
    zeros: Annotated[float, typer.Option(help="Share of new random actions that is zero.")] = 0.1,
    noise: Annotated[float, typer.Option(help="Noise on recorded qpos and qvel (std).")] = 0.0,
    substeps: Annotated[bool, typer.Option(help="Also store physics-step states.")] = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Record episodes of true physics; run it again to go on after an interruption."""
    import gymnasium as gym

    from mosim_gym.data.collect import collect as record
    from mosim_gym.data.policies import AgentPolicy, HeldRandomPolicy

    row = find_task(task)
    env = gym.make(row.env_id, dynamics="mujoco", substeps=substeps)
    space: Any = env.action_space
    acting = (
        HeldRandomPolicy(space.low, space.high, resample, zeros)
        if policy is None
        else AgentPolicy(policy)
    )
    record(
        env,
        out,
        episodes=episodes,
        policy=acting,
        seed=seed,
        noise=noise,
        substeps=substeps,
        progress=not quiet,
        # What never ends of itself is cut as everything else is.
        max_episode_steps=None if row.max_episode_steps else 1000,
    )


@app.command()
def fit(
    data: Annotated[Path, typer.Argument(help="A folder made by mosim-gym collect.")],
    out: Out,
    preset: PresetName = "default",
    steps: Steps = None,
    minutes: Annotated[
        float | None, typer.Option(help="Instead of --steps; turned into steps once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads torch computes with.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an unfinished fit.")] = True,
    seed: Seed = 0,
    mjcf: Annotated[
        Path | None,
        typer.Option(
            help="Of articulated and contact: the body's MJCF or URDF; by default its task's own."
        ),
    ] = None,
    told: Annotated[
        Told | None,
        typer.Option(
            help="Of articulated: its geometry (default), or its numbers too, as a place to start."
        ),
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help="Of articulated: how far a kind of number may be off, such as mass=0.2; 0 is "
            "told; repeat it."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Of articulated_corrected: leave to its network what of the body is not covered.",
        ),
    ] = False,
    members: Annotated[
        int | None,
        typer.Option(min=1, help="Fit an ensemble: OUT-0, OUT-1, ..., each with the next seed."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train a model on recorded motion.

    Run it again to go on after an interruption; a finished fit is done anew and replaces --out.
    Of an ensemble, finished members are kept (unless --no-resume), and --minutes is for all.
    """
    from mosim_gym.fit.ensemble import fit_ensemble
    from mosim_gym.fit.presets import get_preset
    from mosim_gym.fit.trainer import fit as train_model

    recipe = with_description(get_preset(preset), data, mjcf, told, prior or (), force)
    if members is not None:
        fitted = fit_ensemble(
            data,
            out=out,
            members=members,
            preset=recipe,
            steps=steps,
            minutes=minutes,
            seed=seed,
            threads=threads,
            resume=resume,
            progress=not quiet,
        )
        for member in fitted:
            trusted = member.acceptance["trusted_horizon"]
            print(f"{member.path}: {member.steps} steps, trusted for {trusted} control steps")
        return

    result = train_model(
        data,
        out=out,
        preset=recipe,
        steps=steps,
        minutes=minutes,
        seed=seed,
        threads=threads,
        resume=resume,
        progress=not quiet,
        command=" ".join(["mosim-gym", *sys.argv[1:]]),
    )
    print(f"{result.steps} steps in {result.seconds:.0f} s; checkpoint written to {result.path}")
    card(str(result.path))


@app.command()
def learn(
    task: Annotated[str, typer.Argument(help=_TASK)],
    out: Out,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of data.")] = 100,
    preset: PresetName = "default",
    steps: Steps = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """From a body to its model in one command: collect, then fit.

    The episodes are kept in OUT-data. Run it again to go on after an interruption.
    """
    from mosim_gym.fit.presets import get_preset

    data = out.with_name(f"{out.name}-data")
    # Physics steps are learned one by one where a model is that of a physics step.
    within = get_preset(preset).model.predictor == "articulated"
    substeps = within and find_task(task).body.n_substeps > 1
    collect(task, data, episodes, substeps=substeps, seed=seed, quiet=quiet)
    fit(data, out, preset, steps, seed=seed, quiet=quiet)


def find_task(name: str) -> TaskRow:
    """The row of a domain (its first task), a ``domain-task`` or an environment id.

    ``module:`` in front of it imports a module of the user's first, which registers its bodies.
    """
    asked = without_module(name)
    for row in ROWS:
        if asked in (row.domain, row.name, row.env_id):
            return row
    valid = {row.domain for row in ROWS} | {row.name for row in ROWS}
    raise unknown_name("domain or task", asked, valid)
