"""`plan_task`: one call from an environment id to returns in true physics."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mosim_gym.dynamics.checkpoint import load_simulator
from mosim_gym.envs.options import DynamicsKind
from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.files import cannot_write, write_json, write_text_atomically
from mosim_gym.planning.episodes import Episodes, play
from mosim_gym.planning.planner import Planner, PlannerSettings
from mosim_gym.planning.presets import PRESETS, PlanPreset, find_planner
from mosim_gym.planning.rollout import Dynamics
from mosim_gym.registration import TaskRow, find_env
from mosim_gym.robots.tree import Tree
from mosim_gym.types import Float64Array
from mosim_gym.versions import environment_record


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What a run led to.

    Attributes:
        returns: in true physics, undiscounted, ``(episodes,)``.
        seconds: wall time of planning and acting.
        steps: control steps of an episode.
        settings: how the planner searched.
        folder: where ``result.json`` and ``returns.csv`` were written; ``None`` if nowhere.
    """

    returns: Float64Array
    seconds: float
    steps: int
    settings: PlannerSettings
    folder: Path | None


def plan_task(
    env_id: str,
    *,
    dynamics: str = "learned",
    checkpoint: str | None = None,
    planner: str = "mppi",
    preset: PlanPreset | None = None,
    horizon: int | None = None,
    samples: int | None = None,
    episodes: int = 10,
    steps: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
) -> PlanResult:
    """Plan in a model and act in true physics.

    Args:
        env_id: such as "MoSim/acrobot-swingup-v0".
        dynamics: what to plan with, "learned" or "mujoco": the second is what the first is to be
            measured against.
        checkpoint: the model; the task's own by default.
        planner: "mppi" or "cem".
        preset: settings; those of the domain by default.
        horizon: control steps to look ahead; the preset's by default.
        samples: action sequences to try an iteration; the preset's by default.
        episodes: how many, run side by side.
        steps: control steps of an episode; the task's own time limit by default.
        seed: of the planner; episode i is the one of ``seed + i``.
        out: folder to write to; nothing is written by default.
        progress: show a progress bar.

    Raises:
        UnknownNameError: for an unknown environment, planner or dynamics.
        MosimError: if a number does not make sense, the task cannot be planned for, the model is of
            another body, or `out` cannot be written.
    """
    row, kind = find_env(env_id), find_planner(planner)
    task = row.native_task()
    if task is None:
        raise MosimError(
            f"{row.env_id} has no task in torch, and the rewards of thousands of states a step "
            "cannot be read one by one. `mosim-gym list` shows the tasks that have one."
        )
    for name, count in (("episodes", episodes), ("steps", steps)):
        if count is not None and count < 1:
            raise MosimError(f"{name} is {count}; expected 1 or more.")
    chosen = preset or PRESETS.get(row.domain, PlanPreset())
    settings, rule = chosen.search(kind)
    asked = {"horizon": horizon, "samples": samples}
    settings = replace(settings, **{k: v for k, v in asked.items() if v is not None})
    folder = None if out is None else _make_folder(Path(out))
    model = _model_of(row, dynamics, checkpoint)
    terminal = None if chosen.terminal is None else chosen.terminal(model, _tree_of(row))
    searcher = Planner(model, task, settings, rule, terminal=terminal, seed=seed)
    played = play(row, searcher, episodes=episodes, steps=steps, seed=seed, progress=progress)
    result = PlanResult(played.returns, played.seconds, len(played.rewards), settings, folder)
    if folder is not None:
        record = {
            "env_id": row.env_id,
            "dynamics": dynamics,
            "checkpoint": checkpoint,
            "planner": kind.value,
            "rule": repr(rule),
            "terminal_value": terminal is not None,
            "seed": seed,
        }
        _write(folder, result, played, record)
    return result


def _model_of(row: TaskRow, dynamics: str, checkpoint: str | None) -> Dynamics:
    try:
        kind = DynamicsKind(dynamics)
    except ValueError:
        raise unknown_name("dynamics", dynamics, [kind.value for kind in DynamicsKind]) from None
    if kind is DynamicsKind.LEARNED:
        row.require_learnable()
        name = row.require_checkpoint() if checkpoint is None else checkpoint
        return load_simulator(name).eval()
    if checkpoint is not None:
        raise MosimError(
            f'checkpoint={checkpoint!r} is a learned model; it needs dynamics="learned".'
        )
    from mosim_gym.tasks.true_simulator import TrueSimulator

    return TrueSimulator(row.domain, row.task)


def _tree_of(row: TaskRow) -> Tree:
    from mosim_gym.tasks.mujoco import tree_of

    return tree_of(row.domain, row.task)


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _write(folder: Path, result: PlanResult, played: Episodes, record: dict[str, Any]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["episode", "seed", "return"])
    returns = result.returns.tolist()
    for episode, value in enumerate(returns):
        writer.writerow([episode, record["seed"] + episode, value])
    write_text_atomically(folder / "returns.csv", text.getvalue())
    summary = {
        **record,
        "settings": asdict(result.settings),
        "episodes": len(returns),
        "steps": result.steps,
        "return_mean": float(result.returns.mean()),
        "returns": returns,
        "seconds": round(played.seconds, 1),
        "environment": environment_record(),
    }
    write_json(folder / "result.json", summary)
