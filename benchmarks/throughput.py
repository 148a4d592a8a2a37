"""Steps a second of every face beside true physics, all models of one body in one run.

- reacher: the shipped checkpoint, Lagrangian, float64;
- acrobot: the shipped checkpoint, Lagrangian, float64, RK4 as MuJoCo;
- acrobot_network: a network of the default size, RK4, untrained;
- cheetah: a network of 256 units and 2 blocks, untrained;
- cheetah_contact: a network of the preset ``contact``, shown where it touches the floor, untrained;
- cheetah_articulated: the shipped checkpoint, articulated, float64 (left out of compiled cases: it
  takes minutes and gains little).

A network's speed does not depend on its weights as long as the states stay in sight: the untrained
ones are scaled to hardly accelerate, so that no row diverges and is reset early. ``horizon=50``,
so resets are included. All cases of a body take turns; "best" is the fastest of the repetitions
(what the code can do when nothing else runs), "median" what it did on this machine.

Run: python benchmarks/throughput.py [--quick] [--no-compile] [--model reacher]
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from records import new_figure, read_csv, save_figure, write_csv

from mosim_gym.articulated.description import describe
from mosim_gym.bench.cases import BARE, SIZES
from mosim_gym.bench.rivals import BATCH, SUITE
from mosim_gym.bench.run import COMPILED, LEARNED, TRUE, Result, bench_task
from mosim_gym.bench.timing import HORIZON
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.presets import CONTACT, DEFAULT
from mosim_gym.registration import find_env
from mosim_gym.tasks.mujoco import model_of, robot_of

NAME = "throughput"
QUICK_SIZES = (1, 64, 256)
#: Largest acceleration of an untrained model, in rad/s^2 and m/s^2: next to nothing.
GENTLE = 1e-3
MODELS: dict[str, tuple[str, ModelConfig | None]] = {
    "reacher": ("MoSim/reacher-easy-v0", None),
    "acrobot": ("MoSim/acrobot-swingup-v0", None),
    "acrobot_network": ("MoSim/acrobot-swingup-v0", DEFAULT.model),
    "cheetah": ("MoSim/cheetah-run-v0", ModelConfig(width=256, blocks=2)),
    "cheetah_contact": ("MoSim/cheetah-run-v0", CONTACT.model),
    "cheetah_articulated": ("MoSim/cheetah-run-v0", None),
}
NOT_COMPILED = {"cheetah_articulated"}
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
    if preset.needs_geometry:
        preset = preset.told(
            describe(model_of(row.domain, row.task), ground=preset.needs_ground_only).to_json()
        )
    simulator = Simulator(robot, preset.model_config(robot, touch=bool(robot.touch)))
    simulator.acceleration_scale.fill_(GENTLE)
    card = "Untrained: for timing only."
    return str(save_checkpoint(folder, simulator, acceptance={}, provenance={}, card=card))


def measure(name: str, sizes: Sequence[int], rounds: int, compile: bool) -> Result:
    """Time one model in a process of its own, which gives back what its rivals took."""
    env_id, model = MODELS[name]
    own = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(1, own) as process:
        checkpoint = model and untrained(env_id, model, Path(scratch) / name)
        settings = {"checkpoint": checkpoint, "compile": compile, "sizes": sizes, "rounds": rounds}
        return process.submit(bench_task, env_id, **settings).result()


def rows_of(name: str, result: Result) -> list[dict[str, Any]]:
    """Rows of the CSV: timings, then memory in MiB in the column of the speed."""
    env_id = MODELS[name][0]
    rows = [{"model": name, "env_id": env_id, **timing.row()} for timing in result.timings]
    blank = dict.fromkeys(rows[0], "")
    return rows + [
        {**blank, "model": name, "env_id": env_id, "what": f"MiB above the import, {what}",
         "n_envs": SIZES[-1], "steps_per_second": mib}
        for what, mib in result.memory.items()
    ]  # fmt: skip


def draw(rows: list[dict[str, Any]]) -> None:
    """Steps a second by number of envs, a panel a model."""
    names = [name for name in MODELS if any(row["model"] == name for row in rows)]
    figure = new_figure(width=10, height=4 * ((len(names) + 1) // 2))
    panels = figure.subplots((len(names) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(panels.flat, names, strict=False):
        for what, colour, style in LINES:
            mine = [row for row in rows if (row["model"], row["what"]) == (name, what)]
            axes.loglog(
                [int(row["n_envs"]) for row in mine],
                [float(row["steps_per_second"]) for row in mine],
                marker="o",
                markersize=4,
                color=colour,
                linestyle=style,
                label=what,
            )
        axes.set(title=name, xlabel="environments", ylabel="steps a second, best")
        axes.grid(alpha=0.3, which="both")
    panels[0, 0].legend(fontsize=7)
    save_figure(figure, "throughput")


def main() -> None:
    """Measure model by model, write the table after each, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer envs and rounds")
    parser.add_argument("--no-compile", action="store_true", help="leave compiled models out")
    parser.add_argument(
        "--model", choices=MODELS, action="append", help="this one anew, the others stay; repeat it"
    )
    arguments = parser.parse_args()
    sizes = QUICK_SIZES if arguments.quick else SIZES
    rounds = 2 if arguments.quick else 8
    chosen = arguments.model or list(MODELS)
    rows: list[dict[str, Any]] = [row for row in read_csv(NAME) if row["model"] not in chosen]
    for name in chosen:
        compiled = not arguments.no_compile and name not in NOT_COMPILED
        result = measure(name, sizes, rounds, compiled)
        print(f"\n{name}\n{result.text(sizes)}\n", flush=True)
        rows += rows_of(name, result)
        write_csv(
            NAME,
            rows,
            horizon=HORIZON,
            torch_threads=torch.get_num_threads(),
            rounds=rounds,
            models={k: "shipped" if m is None else "untrained" for k, (_, m) in MODELS.items()},
            left_out=result.missing,
        )
    draw(rows)


if __name__ == "__main__":
    main()
