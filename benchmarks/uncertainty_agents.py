"""What agents learn in a model under each use of ``uncertainty=``, against none.

An agent learns in a calibrated ensemble of cheetah, zero-shot: its episodes start from the states
of the data, it takes no real step. Judged in true physics, and in the model as it is. The ensemble
is one of ``benchmarks/uncertainty.py``. Finished runs are in the CSV, an unfinished one goes on.

Run: python benchmarks/uncertainty_agents.py --checkpoint runs/uncertainty/calibrated_contact_run
     --data runs/sample_efficiency/cheetah-run-network-0-100000/real [--use truncate] [--seeds 2]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from records import new_figure, run_missing, save_figure

ENV_ID = "MoSim/cheetah-run-v0"
NAME = "uncertainty_agents"
COLUMNS = ("checkpoint", "use", "updates", "seed")
USES = ("none", "truncate", "penalty", "member")
EPISODES = 50


@dataclass(frozen=True)
class Job:
    """One run."""

    checkpoint: Path
    data: Path
    use: str
    updates: int
    seed: int

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return (self.checkpoint.name, self.use, str(self.updates), str(self.seed))


def run(job: Job) -> dict[str, Any]:
    """Train, judge, and give the row of the table."""
    from mosim_gym import train_agent

    options = {"resets": str(job.data)}
    if job.use != "none":
        options["uncertainty"] = job.use
    result = train_agent(
        ENV_ID,
        out=Path("runs") / NAME / "-".join(job.key),
        resume=True,
        updates=job.updates,
        seed=job.seed,
        checkpoint=str(job.checkpoint),
        env_options=options,
        judgements=6,
        curve_episodes=4,
        final_episodes=EPISODES,
        final_seed=5_000_000 + 1_000 * job.seed,
        progress=False,
    )
    if result.interrupted:
        raise KeyboardInterrupt
    real = result.returns_real
    return dict(zip(COLUMNS, job.key, strict=True)) | {
        "return_real_mean": round(float(real.mean()), 1),
        "return_real_min": round(float(real.min()), 1),
        "return_model_mean": round(float(result.returns_model.mean()), 1),
        "seconds": round(result.seconds),
        "curve": " ".join(f"{p.updates}:{p.return_real:.0f}" for p in result.curve),
    }


def report(rows: list[dict[str, Any]], checkpoint: str) -> None:
    """Draw return in reality against updates, a line a run."""
    figure = new_figure()
    axes = figure.subplots()
    for k, use in enumerate(USES):
        mine = [row for row in rows if (row["checkpoint"], row["use"]) == (checkpoint, use)]
        for i, row in enumerate(mine):
            points = [point.split(":") for point in row["curve"].split()]
            at, returns = zip(*((int(a), float(b)) for a, b in points), strict=True)
            axes.plot(at, returns, "o-", ms=3, color=f"C{k}", label=None if i else use)
    axes.set(xlabel="updates", ylabel="return in reality", ylim=(0, 1020), title=checkpoint)
    axes.grid(alpha=0.3)
    axes.legend(title="uncertainty=")
    save_figure(figure, NAME)


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="A calibrated ensemble.")
    parser.add_argument("--data", type=Path, required=True, help="What it was fitted on.")
    parser.add_argument("--use", nargs="+", choices=USES, default=list(USES))
    parser.add_argument("--updates", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    jobs = [
        Job(options.checkpoint, options.data, use, options.updates, seed)
        for seed in range(options.seeds)
        for use in options.use
    ]
    rows = run_missing(NAME, COLUMNS, jobs, run, options.jobs, episodes=EPISODES)
    report(rows, options.checkpoint.name)


if __name__ == "__main__":
    main()
