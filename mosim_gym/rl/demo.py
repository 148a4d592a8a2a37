"""``make demo``: the whole idea in a few minutes, with honest figures."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import PRESETS
from mosim_gym.rl.report import plot_curve, result_table
from mosim_gym.rl.result import TrainResult
from mosim_gym.rl.train import train_agent

ENV_ID = "MoSim/reacher-easy-v0"
QUICK_UPDATES = 4_000


def run_demo(out: Path | None = None, *, quick: bool = False, seed: int = 0) -> TrainResult:
    """SAC learns reacher on the shipped model, then acts in dm_control's.

    Args:
        out: folder for the agent, the curve (CSV and PNG) and the figures; by default the first
            of ``runs/demo-1``, ``runs/demo-2``, ... that is free.
        quick: about a minute; the agent is then unfinished.
        seed: of the agent and the model's episodes.
    """
    preset = PRESETS[Algorithm.SAC]
    if out is None:
        out = next(p for k in itertools.count(1) if not (p := Path(f"runs/demo-{k}")).exists())
    print(f"SAC on the learned model of {ENV_ID}: no real step is taken in training.")
    if quick:
        print("--quick: a minute of training; expect an unfinished agent.")
        preset = dataclasses.replace(preset, updates=QUICK_UPDATES)
    result = train_agent(
        ENV_ID, Algorithm.SAC, out=out, seed=seed, preset=preset, judgements=4 if quick else 8
    )
    title = "SAC trained on the learned model, acting in dm_control's reacher-easy"
    plot_curve(result.curve, result.folder / "curve.png", title)
    print(f"\n{result_table(result, title)}\n")
    print(f"Curve, agent and figures are in {result.folder}")
    return result
