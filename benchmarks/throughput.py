"""Steps a second of every face beside true physics, three bodies, all of a body in one run.

- reacher: the shipped checkpoint;
- acrobot: a model of the default size that steps as MuJoCo does (RK4), untrained;
- cheetah: a network of the size that worked best for it (256 units, 2 blocks), untrained.

Speed does not depend on what the weights are, as long as the states stay in sight: the untrained
models are scaled to hardly accelerate, so that no row diverges and is reset early. ``horizon=50``,
so resets are included. All cases of a body take turns; "best" is the fastest of the repetitions
(what the code can do when nothing else runs), "median" what it did on this machine.

Run: python benchmarks/throughput.py [--quick] [--no-compile] [--body reacher]
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import torch
from records import new_figure, save_figure, write_csv

from mosim_gym.bench.cases import BARE, SIZES
from mosim_gym.bench.rivals import BATCH, SUITE
from mosim_gym.bench.run import COMPILED, LEARNED, TRUE, Result, bench_task
from mosim_gym.bench.timing import HORIZON
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.presets import DEFAULT
from mosim_gym.registration import find_env
from mosim_gym.tasks.mujoco import robot_of

QUICK_SIZES = (1, 64, 256)
#: Largest acceleration of an untrained model, in rad/s^2 and m/s^2: next to nothing.
GENTLE = 1e-3
BODIES: dict[str, tuple[str, ModelConfig | None]] = {
    "reacher": ("MoSim/reacher-easy-v0", None),
    "acrobot": ("MoSim/acrobot-swingup-v0", DEFAULT.model),
    "cheetah": ("MoSim/cheetah-run-v0", ModelConfig(width=256, blocks=2)),
}
LINES = (
    (f"SB3 face, {LEARNED}", "C0", "-"),
    (f"SB3 face, {COMPILED}", "C1", "-"),
    (f"{BARE}, {LEARNED}", "C0", ":"),
    (f"SB3 face, {TRUE}", "C2", "-"),
    ("EnvPool", "C3", "-"),
    (BATCH, "C4", ":"),
    ("Shimmy in DummyVecEnv", "C5", "--"),
    (SUITE, "black", ""),
)


def untrained(env_id: str, model: ModelConfig, folder: Path) -> str:
    """The checkpoint of an untrained model that steps as MuJoCo steps this body."""
    row = find_env(env_id)
    robot = robot_of(row.domain, row.task)
    torch.manual_seed(0)
    preset = dataclasses.replace(DEFAULT, model=model)
    simulator = Simulator(robot, preset.model_config(robot, touch=bool(robot.touch)))
    simulator.acceleration_scale.fill_(GENTLE)
    card = "Untrained: for timing only."
    return str(save_checkpoint(folder, simulator, acceptance={}, provenance={}, card=card))


def draw(results: list[Result]) -> None:
    """Steps a second by number of envs, a panel a body."""
    figure = new_figure(width=4.5 * len(results), height=4.5)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, result in zip(panels, results, strict=True):
        for what, colour, style in LINES:
            mine = [t for t in result.timings if t.what == what]
            axes.loglog(
                [t.n_envs for t in mine],
                [t.best for t in mine],
                marker="o",
                markersize=4,
                color=colour,
                linestyle=style,
                label=what,
            )
        axes.set(title=result.env_id.split("/")[1], xlabel="environments")
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("steps a second, best")
    panels[-1].legend(fontsize=7)
    save_figure(figure, "throughput")


def main() -> None:
    """Measure body by body, write the table after each, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer envs and rounds")
    parser.add_argument("--no-compile", action="store_true", help="leave compiled models out")
    parser.add_argument("--body", choices=BODIES, action="append", help="one of them; repeat it")
    arguments = parser.parse_args()
    sizes = QUICK_SIZES if arguments.quick else SIZES
    rounds = 2 if arguments.quick else 8
    rows: list[dict[str, Any]] = []
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.body or BODIES:
            env_id, model = BODIES[name]
            checkpoint = model and untrained(env_id, model, Path(scratch) / name)
            result = bench_task(
                env_id,
                checkpoint=checkpoint,
                compile=not arguments.no_compile,
                sizes=sizes,
                rounds=rounds,
            )
            results.append(result)
            print(f"\n{env_id}\n{result.text(sizes)}\n", flush=True)
            rows += [{"env_id": env_id, **timing.row()} for timing in result.timings]
            write_csv(
                "throughput",
                rows,
                horizon=HORIZON,
                torch_threads=torch.get_num_threads(),
                rounds=rounds,
                models={k: "shipped" if m is None else "untrained" for k, (_, m) in BODIES.items()},
                memory_mib={r.env_id: {k: round(v) for k, v in r.memory.items()} for r in results},
                left_out=sorted({line for r in results for line in r.missing}),
            )
    draw(results)


if __name__ == "__main__":
    main()
