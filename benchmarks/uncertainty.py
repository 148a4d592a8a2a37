"""Do models know when not to be trusted? Rollouts that go wrong, and who saw it coming.

Cheetah: an ensemble of networks fitted on random motion, rolled out open loop from states and under
actions of a trained agent and of random motion, half and half, in true physics. A rollout has a
large error if its whitened error (that of valid horizons, see numbers in
`mosim_gym.evaluate.horizon`) passes a bound within its steps. Scores see what an environment sees:
the model's own states and the actions. A rollout's score is its largest one.

Caught: of the rollouts with a large error, those whose score is above what 5 % of the others
reach. Every member takes its turn as the model that is rolled out.

With ``--run``, a folder of `on_policy`, the ensemble is fitted on all real steps of that run and
judged under its agent: what a model knows of itself where it is used.

Run: python benchmarks/uncertainty.py [--preset contact] [--agent runs/some/agent.zip] [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from detection import Scorer, caught, ranks_above, scored, scorers
from records import new_figure, read_csv, save_figure, write_csv

import mosim_gym  # noqa: F401  (registers the ids)
from mosim_gym.data.batches import Windows
from mosim_gym.data.collect import collect
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.policies import AgentPolicy
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.evaluate.horizon import VALID_ERROR, horizon_errors
from mosim_gym.fit.ensemble import fit_ensemble
from mosim_gym.registration import find_env
from mosim_gym.rl.plan import recipe_for
from mosim_gym.types import State
from mosim_gym.uncertainty.calibrate import calibrate
from mosim_gym.uncertainty.calibration import Score
from mosim_gym.uncertainty.files import Uncertainty, load_uncertainty

ENV_ID = "MoSim/cheetah-run-v0"
FOLDER = Path("runs/uncertainty")
# Not those by which scores were chosen.
FRESH_SEED, TEST_SEED, AGENT_SEED = 2_718_281, 1_618_033, 1_414_213
STEPS = 20
#: With fewer rollouts of a kind, a share says nothing.
FEWEST = 20
#: Step quantiles at which the alarm of an environment is judged.
QUANTILES = (0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Settings:
    """How much of everything."""

    episodes: int
    members: int
    minutes: float
    fresh: int
    tests: int
    rollouts: int
    updates: int
    suffix: str


FULL = Settings(100, 5, 15.0, 20, 40, 2000, 20_000, "")
QUICK = Settings(10, 3, 0.3, 4, 4, 100, 300, "_quick")


def motion(
    settings: Settings, kind: str, agent: Path, run: Path | None
) -> tuple[Dataset, Dataset, Dataset, Dataset]:
    """What is learned from; fresh random motion, to calibrate and to test; the agent's."""

    def record(name: str, episodes: int, seed: int, policy: AgentPolicy | None = None) -> Dataset:
        env = gym.make(ENV_ID, dynamics="mujoco")
        return collect(env, FOLDER / name, episodes=episodes, seed=seed, policy=policy)

    suffix = settings.suffix
    if run is None:
        data = record(f"data{suffix}", settings.episodes, 0)
    else:
        data = Dataset.open(run / "real")
    fresh = record(f"fresh{suffix}", settings.fresh, FRESH_SEED)
    test = record(f"test{suffix}", settings.tests, TEST_SEED)
    name = f"agent-motion{kind}{suffix}"
    return data, fresh, test, record(name, settings.tests, AGENT_SEED, AgentPolicy(agent))


def trained_agent(settings: Settings, given: Path | None) -> Path:
    """The agent that was given, or one trained in true physics."""
    if given is not None:
        return given
    folder = FOLDER / f"agent{settings.suffix}"
    if not (folder / "agent.zip").exists():
        from mosim_gym import train_agent

        train_agent(ENV_ID, out=folder, dynamics="mujoco", updates=settings.updates)
    return folder / "agent.zip"


def some(data: Dataset, count: int) -> Windows:
    """`count` windows, evenly from all episodes."""
    found = data.windows(STEPS, stride=STEPS)
    rows = torch.linspace(0, len(found) - 1, min(count, len(found))).long()
    return Windows(found.start[rows], found.actions[rows], found.qpos[rows], found.qvel[rows], None)


def joined(one: Windows, two: Windows) -> Windows:
    """The windows of both."""
    fields = (torch.cat(pair) for pair in zip(
        (one.actions, one.qpos, one.qvel), (two.actions, two.qpos, two.qvel), strict=True
    ))  # fmt: skip
    return Windows(State.cat([one.start, two.start]), *fields, None)


def rows_of(k: int, model: Simulator, known: Uncertainty, parts: Mapping[str, Any],
            by: Mapping[str, Scorer], usual: Windows) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of one model: each motion, each bound, each score."""
    whole = horizon_errors(model, parts["mixed"]).whitened.amax(1)
    half = len(parts["random"])
    errors = {"random": whole[:half], "agent": whole[half:], "mixed": whole}
    assert known.spread is not None
    scores = scored(model, parts["mixed"], by, known.spread)
    # As whitened as the others, by the spread of the mixed motion.
    held_out = horizon_errors(model, joined(usual, parts["agent"])).whitened[: len(usual)]
    bounds = {
        f"{VALID_ERROR:g}": VALID_ERROR,
        "95 % of held-out random": float(held_out.amax(1).quantile(0.95)),
    }
    rows = []
    for kind, error in errors.items():
        chosen = {"random": slice(None, half), "agent": slice(half, None), "mixed": slice(None)}
        for bound, value in bounds.items():
            bad = error > value
            if min(int(bad.sum()), int((~bad).sum())) < FEWEST:
                continue
            for name, values in scores.items():
                score = values[chosen[kind]].amax(1)
                row = {
                    "motion": kind,
                    "large_error": bound,
                    "bound": round(value, 4),
                    "model": k,
                    "score": name,
                    "rollouts": len(bad),
                    "share_large": round(float(bad.double().mean()), 4),
                    "caught": round(caught(score, bad), 4),
                    "roc_area": round(ranks_above(score, bad), 4),
                }
                for q in QUANTILES:
                    kept: Any = (None, None)
                    if name in list(Score):
                        alarm = score > known.calibrations[Score(name)].threshold(q)
                        kept = [round(float(alarm[w].double().mean()), 4) for w in (bad, ~bad)]
                    row |= {f"caught_at_q{q:g}": kept[0], f"false_at_q{q:g}": kept[1]}
                rows.append(row)
    return rows


def plot(name: str, rows: list[dict[str, Any]]) -> None:
    """Share caught by score, for each motion and bound."""
    figure = new_figure(9, 4)
    bounds = sorted({row["large_error"] for row in rows})
    names = list(dict.fromkeys(row["score"] for row in rows))
    panels = figure.subplots(1, len(bounds), sharey=True, squeeze=False)[0]
    for axes, bound in zip(panels, bounds, strict=True):
        for i, score in enumerate(names):
            for j, kind in enumerate(("mixed", "agent", "random")):
                which = (score, kind, bound)
                mine = [
                    float(row["caught"])
                    for row in rows
                    if (row["score"], row["motion"], row["large_error"]) == which
                ]
                if mine:
                    at = j + 0.12 * (i - 3)
                    axes.bar(
                        at, np.mean(mine), 0.11, color=f"C{i}", label=score if j == 0 else None
                    )
                    axes.plot([at] * len(mine), mine, "k.", markersize=3)
        axes.axhline(0.7, color="grey", linewidth=0.8, linestyle="--")
        axes.set_xticks(range(3), ["mixed", "agent's motion", "random motion"])
        axes.set_title(f"large error: above {bound}", fontsize=9)
    figure.axes[0].set_ylabel("caught at 5 % false alarms")
    figure.axes[0].legend(fontsize=7)
    save_figure(figure, name)


def main() -> None:
    """Make what is missing, score, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", type=Path, help="An SB3 agent; trained here by default.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--preset", choices=("default", "contact"), default="default")
    parser.add_argument("--run", type=Path, help="Folder of a run of on_policy.")
    parser.add_argument("--members", type=int, help="Of the ensemble.")
    parser.add_argument("--minutes", type=float, help="To fit all of them.")
    arguments = parser.parse_args()
    settings = QUICK if arguments.quick else FULL
    wanted = {name: getattr(arguments, name) for name in ("members", "minutes")}
    settings = dataclasses.replace(settings, **{n: v for n, v in wanted.items() if v is not None})
    torch.set_num_threads(1)
    run = arguments.run
    kind = "" if arguments.preset == "default" else f"_{arguments.preset}"
    kind += "_run" if run is not None else ""
    given = arguments.agent if run is None else run / "agent.zip"
    name = f"uncertainty{kind}{settings.suffix}"
    data, usual, other, acting = motion(settings, kind, trained_agent(settings, given), run)
    fitted = fit_ensemble(
        data, out=FOLDER / f"model{kind}{settings.suffix}", members=settings.members,
        preset=recipe_for(arguments.preset, find_env(ENV_ID)), minutes=settings.minutes, threads=1,
    )  # fmt: skip
    paths = [member.path for member in fitted]
    target = FOLDER / f"calibrated{kind}{settings.suffix}"
    known = load_uncertainty(target)
    if known is None:
        calibrate(paths[0], data, members=paths[1:], held_out=usual, out=target)
        known = load_uncertainty(target)
    assert known is not None
    parts = {"random": some(other, settings.rollouts), "agent": some(acting, settings.rollouts)}
    parts["mixed"] = joined(parts["random"], parts["agent"])
    by = scorers(known, data)
    done = {row["model"] for row in read_csv(name)}
    rows: list[dict[str, Any]] = list(read_csv(name))
    reward = float(np.mean([episode.reward.sum() for episode in acting.episodes]))
    for k, path in enumerate(paths):
        if str(k) not in done:
            model = load_checkpoint(path).simulator
            rows += rows_of(k, model, known, parts, by, some(usual, settings.rollouts))
            write_csv(name, rows, steps=STEPS, members=len(paths), optimiser_steps=fitted[0].steps,
                      episodes=len(data.episodes), agent_return=round(reward, 1))  # fmt: skip
    plot(name, rows)


if __name__ == "__main__":
    main()
