"""The ``mosim-gym`` command: parses, calls, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.files import write_json
from mosim_gym.registration import ROWS, TaskRow

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
    task: Annotated[str, typer.Argument(help="A domain (reacher), task or environment id.")],
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

    env = gym.make(_find_task(task).env_id, dynamics="mujoco", substeps=substeps)
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
    )


@app.command()
def fit(
    data: Annotated[Path, typer.Argument(help="A folder made by mosim-gym collect.")],
    out: Out,
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps; the preset's by default.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Instead of --steps; turned into steps once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads torch computes with.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an unfinished fit.")] = True,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model on recorded motion.

    Run it again to go on after an interruption; a finished fit is done anew and replaces --out.
    """
    from mosim_gym.fit.trainer import fit as train_model

    result = train_model(
        data,
        out=out,
        preset=preset,
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
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A shipped name or a folder.")],
    data: Annotated[Path, typer.Option(help="A dataset the model was not trained on.")],
    horizon: Annotated[int, typer.Option(min=1, help="Control steps of a rollout.")] = 100,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the figures (JSON).")
    ] = None,
) -> None:
    """Measure a model's open-loop error on recorded motion."""
    from mosim_gym.data.dataset import Dataset
    from mosim_gym.dynamics.checkpoint import load_simulator
    from mosim_gym.evaluate.horizon import horizon_errors

    simulator = load_simulator(checkpoint)
    dataset = Dataset.open(data)
    simulator.spec.require_same_body(dataset.spec, f"The dataset {data}")
    errors = horizon_errors(simulator, dataset.windows(horizon))
    marks = (*(h for h in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if h < horizon), horizon)
    n, lost = len(errors.squared), int(errors.diverged.sum())
    print(f"{checkpoint} on {data}: {n} rollouts of {horizon} control steps; diverged: {lost}")
    print(f"{'steps':>6} {'MSE mean':>10} {'MSE median':>10} {'still valid':>12}")
    for h in marks:
        mse, share = errors.mse(h), errors.share_valid[h - 1]
        print(f"{h:>6} {mse.mean():>10.2e} {mse.median():>10.2e} {share:>12.1%}")
    if out is not None:
        write_json(out, {"checkpoint": checkpoint, "data": str(data), **errors.summary(marks)})
        print(f"Written to {out}")


@app.command()
def render(
    env_id: Annotated[str, typer.Argument(help="Such as MoSim/reacher-easy-v0.")],
    out: Out = Path("comparison.gif"),
    agent: Annotated[
        Path | None, typer.Option(help="An SB3 agent (.zip); random actions by default.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Control steps.")] = 250,
    every: Annotated[int, typer.Option(min=1, help="Draw every so many steps.")] = 2,
    checkpoint: Annotated[
        str | None, typer.Option(help="The model; the task's own by default.")
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Film the model beside true physics, same start and actions (needs OpenGL)."""
    from mosim_gym.data.policies import AgentPolicy, HeldRandomPolicy
    from mosim_gym.dynamics.checkpoint import load_simulator
    from mosim_gym.registration import find_env
    from mosim_gym.rl.movie import render_comparison

    robot = load_simulator(checkpoint or find_env(env_id).require_checkpoint()).spec
    policy = (
        HeldRandomPolicy(robot.action_low, robot.action_high)
        if agent is None
        else AgentPolicy(agent)
    )
    worst = render_comparison(
        env_id,
        policy,
        out,
        steps=steps,
        seed=seed,
        checkpoint=checkpoint,
        every=every,
        progress=not quiet,
    )
    print(f"Left true physics, right the model; positions differ by {worst:.2g} at most.")
    print(f"Written to {out}")


@app.command()
def train(
    env_id: Annotated[str, typer.Argument(help="Such as MoSim/reacher-easy-v0.")],
    algo: Annotated[str, typer.Option(help="sac or tqc.")] = "sac",
    out: OptionalOut = None,
    updates: Annotated[
        int | None, typer.Option(min=1, help="Gradient updates; the preset's by default.")
    ] = None,
    dynamics: Annotated[str, typer.Option(help="Train on: learned or mujoco.")] = "learned",
    checkpoint: Annotated[
        str | None, typer.Option(help="The model; the task's own by default.")
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train an agent in a model and judge it in true physics."""
    from mosim_gym.rl.report import plot_curve, result_table
    from mosim_gym.rl.train import train_agent

    result = train_agent(
        env_id,
        algo,
        out=out,
        updates=updates,
        seed=seed,
        dynamics=dynamics,
        checkpoint=checkpoint,
        progress=not quiet,
    )
    title = f"{algo.upper()} on {env_id}, dynamics={dynamics}"
    if result.curve:
        plot_curve(result.curve, result.folder / "curve.png", title)
    print(f"\n{result_table(result, title)}\nWritten to {result.folder}")
    if result.interrupted:
        raise typer.Exit(130)


@app.command()
def demo(
    out: OptionalOut = None,
    quick: Annotated[bool, typer.Option("--quick", help="A minute; unfinished agent.")] = False,
    seed: Seed = 0,
) -> None:
    """SAC learns reacher on the shipped model, then acts in dm_control's: 2 to 5 minutes."""
    from mosim_gym.rl.demo import run_demo

    run_demo(out, quick=quick, seed=seed)


def _find_task(name: str) -> TaskRow:
    """The row of a domain (its first task), a ``domain-task`` or an environment id."""
    for row in ROWS:
        if name.removeprefix("mosim_gym:") in (row.domain, row.name, row.env_id):
            return row
    valid = {row.domain for row in ROWS} | {row.name for row in ROWS}
    raise unknown_name("domain or task", name, valid)


def main() -> None:
    """Run the command; what was asked wrongly is explained in one paragraph, not a traceback."""
    try:
        app()
    except MosimError as error:
        print(f"mosim-gym: {error}", file=sys.stderr)
        sys.exit(2)
