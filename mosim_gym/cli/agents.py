"""Commands that act: train, plan, render, bench, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mosim_gym.cli.app import CheckpointOption, OptionalOut, Out, Quiet, Seed, app


@app.command()
def train(
    env_id: Annotated[str, typer.Argument(help="Such as MoSim/reacher-easy-v0.")],
    algo: Annotated[str, typer.Option(help="sac, tqc or td3.")] = "sac",
    out: OptionalOut = None,
    updates: Annotated[
        int | None, typer.Option(min=1, help="Gradient updates; the preset's by default.")
    ] = None,
    dynamics: Annotated[str, typer.Option(help="Train on: learned or mujoco.")] = "learned",
    checkpoint: CheckpointOption = None,
    resets: Annotated[
        Path | None, typer.Option(help="Start from a dataset's or saved replay buffer's states.")
    ] = None,
    uncertainty: Annotated[
        str | None, typer.Option(help="Of a calibrated model: truncate, penalty or member.")
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="zero_shot (the model as it is), few_shot or on_policy.")
    ] = "zero_shot",
    real_steps: Annotated[
        int | None, typer.Option(min=1, help="Real steps that few_shot and on_policy may take.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Preset of the model they learn, such as articulated.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the unfinished run in --out.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads torch computes with.")] = 1,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train an agent in a model, fixed or learned on the way, and judge it in true physics."""
    from mosim_gym.rl.report import plot_curve, result_table
    from mosim_gym.rl.train import train_agent

    given = {"resets": resets, "uncertainty": uncertainty}
    result = train_agent(
        env_id,
        algo,
        out=out,
        resume=resume,
        updates=updates,
        seed=seed,
        dynamics=dynamics,
        checkpoint=checkpoint,
        env_options={name: value for name, value in given.items() if value is not None},
        strategy=strategy,
        real_steps=real_steps,
        model=model,
        threads=threads,
        progress=not quiet,
    )
    how = f"dynamics={dynamics}" if strategy == "zero_shot" else strategy
    title = f"{algo.upper()} on {env_id}, {how}"
    if result.curve:
        plot_curve(result.curve, result.folder / "curve.png", title)
    print(f"\n{result_table(result, title)}\nWritten to {result.folder}")
    if result.interrupted:
        print(f"The same command with --resume --out {result.folder} goes on.")
        raise typer.Exit(130)


@app.command()
def plan(
    env_id: Annotated[str, typer.Argument(help="Such as MoSim/acrobot-swingup-v0.")],
    checkpoint: CheckpointOption = None,
    dynamics: Annotated[str, typer.Option(help="Plan with: learned or mujoco.")] = "learned",
    planner: Annotated[str, typer.Option(help="mppi or cem.")] = "mppi",
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Control steps ahead; the preset's by default.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Futures tried an iteration; the preset's by default.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes, side by side.")] = 10,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Control steps of an episode; all by default.")
    ] = None,
    out: OptionalOut = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Plan in a model, anew at every step, and act in true physics."""
    from mosim_gym.planning.run import plan_task

    result = plan_task(
        env_id,
        dynamics=dynamics,
        checkpoint=checkpoint,
        planner=planner,
        horizon=horizon,
        samples=samples,
        episodes=episodes,
        steps=steps,
        seed=seed,
        out=out,
        progress=not quiet,
    )
    returns, search = result.returns, result.settings
    print(
        f"{planner.upper()} on {env_id}, planning with dynamics={dynamics}: {search.horizon} steps "
        f"ahead, {search.samples} samples, {search.iterations} iterations a step"
    )
    for episode, value in enumerate(returns.tolist()):
        print(f"  episode {episode} (seed {seed + episode}): return {value:.1f}")
    print(
        f"mean return of {len(returns)} episodes of {result.steps} steps: {returns.mean():.1f} "
        f"+- {returns.std():.1f}; {result.seconds:.0f} s"
    )
    if result.folder is not None:
        print(f"Written to {result.folder}")


@app.command()
def render(
    env_id: Annotated[str, typer.Argument(help="Such as MoSim/reacher-easy-v0.")],
    out: Out = Path("comparison.gif"),
    agent: Annotated[
        Path | None, typer.Option(help="An SB3 agent (.zip); random actions by default.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Control steps.")] = 250,
    every: Annotated[int, typer.Option(min=1, help="Draw every so many steps.")] = 2,
    checkpoint: CheckpointOption = None,
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
def bench(
    env_id: Annotated[
        str, typer.Argument(help="Such as MoSim/cheetah-run-v0.")
    ] = "MoSim/reacher-easy-v0",
    checkpoint: CheckpointOption = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Time the compiled model too.")
    ] = False,
    rivals: Annotated[bool, typer.Option(help="Time suite, Shimmy and EnvPool too.")] = True,
    envs: Annotated[int, typer.Option(min=1, help="Most environments at once.")] = 4096,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of everything; the best counts.")] = 8,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table (CSV).")] = None,
    quiet: Quiet = False,
) -> None:
    """Time the faces of a task beside true physics on this machine: minutes."""
    from mosim_gym.bench.cases import SIZES
    from mosim_gym.bench.report import write_csv
    from mosim_gym.bench.run import bench_task
    from mosim_gym.versions import environment_record

    sizes = [*(size for size in SIZES if size < envs), envs]
    result = bench_task(
        env_id,
        checkpoint=checkpoint,
        compile=compile,
        rivals=rivals,
        sizes=sizes,
        rounds=rounds,
        progress=not quiet,
    )
    print(result.text(sizes))
    if out is not None:
        facts = {"env_id": result.env_id, "checkpoint": checkpoint, **environment_record()}
        write_csv(out, [timing.row() for timing in result.timings], facts)
        print(f"Written to {out}")


@app.command()
def demo(
    out: OptionalOut = None,
    quick: Annotated[bool, typer.Option("--quick", help="A minute; unfinished agent.")] = False,
    seed: Seed = 0,
) -> None:
    """SAC learns reacher on the shipped model, then acts in dm_control's: 2 to 5 minutes."""
    from mosim_gym.rl.demo import run_demo

    run_demo(out, quick=quick, seed=seed)
