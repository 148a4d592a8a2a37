"""``make demo``: the whole idea in five minutes, with honest figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mosim_gym.rl.presets import PRESETS, Algorithm
from mosim_gym.rl.report import plot_curve, result_table
from mosim_gym.rl.train import TrainResult, train_agent

ENV_ID = "MoSim/reacher-easy-v0"
QUICK_UPDATES = 5_000


def run_demo(out: Path, *, quick: bool = False, seed: int = 0) -> TrainResult:
    """SAC learns reacher on the shipped model, then acts in dm_control's.

    Args:
        out: folder for the agent, the curve (CSV and PNG) and the figures; must be new or empty.
        quick: about one minute instead of five; the agent is then only half trained.
        seed: of the agent and the model's episodes.
    """
    preset = PRESETS[Algorithm.SAC]
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
    print(f"Best possible is 1000 a step short of the way there. Curve, agent: {result.folder}")
    return result
