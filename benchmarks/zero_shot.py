"""Zero-shot agents: trained in the model, judged in dm_control, beside the same trained in reality.

Three seeds each (acrobot, cheetah: two) with ``dynamics="learned"`` and ``"mujoco"``, same settings
and updates; 20 whole episodes of true physics a run, by the agent after its last update. Goes
on where it stopped: finished runs are in the CSV and are not done again while the preset is the
same. Runs are spread over ``--jobs`` processes of one thread each.

Run: python benchmarks/zero_shot.py [--quick] [--jobs 2] [--task acrobot-swingup ...]
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from records import new_figure, run_missing, save_figure
from scipy.stats import t as student_t

from mosim_gym.registration import find_env
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import preset_for

#: Task, algorithm, seeds.
EXPERIMENTS = (
    ("MoSim/reacher-easy-v0", "sac", 3),
    ("MoSim/reacher-hard-v0", "tqc", 3),
    ("MoSim/cartpole-balance-v0", "sac", 3),
    ("MoSim/cartpole-swingup-v0", "sac", 3),
    ("MoSim/pendulum-swingup-v0", "sac", 3),
    ("MoSim/acrobot-swingup-v0", "tqc", 2),
    ("MoSim/cheetah-run-v0", "sac", 2),
)
DYNAMICS = ("learned", "mujoco")
QUICK_UPDATES = 1_000
COLUMNS = ("env_id", "algo", "dynamics", "seed", "preset")
#: Settings that came after the first rows: with these, agents are as they were without.
LATER = {"exploration": 0.2, "layer_norm": False}


@dataclass(frozen=True)
class Job:
    """One training run."""

    env_id: str
    algo: str
    dynamics: str
    seed: int
    updates: int | None

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies its row."""
        return (self.env_id, self.algo, self.dynamics, str(self.seed), self.preset)

    @property
    def preset(self) -> str:
        """Eight digits that change with any setting of the agent."""
        preset = asdict(preset_for(find_env(self.env_id).name, Algorithm(self.algo)))
        chosen = {name: value for name, value in preset.items() if LATER.get(name) != value}
        settings = json.dumps(chosen, sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:8]


def run(job: Job) -> dict[str, Any]:
    """Train, judge, and give the row of the table."""
    import torch

    from mosim_gym import train_agent

    torch.set_num_threads(1)
    folder = Path("runs") / "zero_shot" / "-".join(job.key).replace("/", "_")
    shutil.rmtree(folder, ignore_errors=True)
    result = train_agent(
        job.env_id,
        job.algo,
        out=folder,
        seed=job.seed,
        dynamics=job.dynamics,
        updates=job.updates,
        judgements=6,
        final_seed=1_000_000 + 1_000 * job.seed,
        progress=False,
    )
    real = result.returns_real
    return {
        "env_id": job.env_id,
        "algo": job.algo,
        "dynamics": job.dynamics,
        "seed": job.seed,
        "preset": job.preset,
        "updates": result.updates,
        "steps": result.steps,
        "real_steps": result.real_steps,
        "seconds": round(result.seconds, 1),
        "return_real_mean": round(float(real.mean()), 2),
        "return_real_std": round(float(real.std()), 2),
        "return_real_min": round(float(real.min()), 2),
        "return_model_mean": round(float(result.returns_model.mean()), 2),
        "curve": " ".join(f"{p.updates}:{p.return_real:.0f}" for p in result.curve),
    }


def interval(learned: Sequence[float], true: Sequence[float]) -> tuple[float, float]:
    """Welch's 95 % interval of the difference of means over seeds, in per cent of the true one."""
    a, b = np.asarray(learned), np.asarray(true)
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1) + 1e-300)
    half = student_t.ppf(0.975, max(freedom, 1.0)) * np.sqrt(va + vb)
    centre = a.mean() - b.mean()
    low, high = (100 * (centre + sign * half) / b.mean() for sign in (-1, 1))
    return float(low), float(high)


def report(rows: Sequence[dict[str, Any]], name: str) -> None:
    """Print the comparison and draw it."""
    figure = new_figure(width=10)
    axes = figure.subplots()
    labels = []
    run_ids = {row["env_id"] for row in rows}
    shown = [experiment for experiment in EXPERIMENTS if experiment[0] in run_ids]
    for k, (env_id, algo, _) in enumerate(shown):
        means = {}
        for j, dynamics in enumerate(DYNAMICS):
            mine = [
                float(row["return_real_mean"])
                for row in rows
                if (row["env_id"], row["algo"], row["dynamics"]) == (env_id, algo, dynamics)
            ]
            if not mine:
                continue
            means[dynamics] = mine
            at = k + 0.35 * (j - 0.5)
            label = {"learned": "trained in the model", "mujoco": "trained in true physics"}
            axes.bar(at, np.mean(mine), 0.3, color=f"C{j}", label=None if k else label[dynamics])
            axes.scatter([at] * len(mine), mine, color="black", s=12, zorder=3)
            print(f"{env_id} {algo} {dynamics}: mean {np.mean(mine):.1f} of seeds {mine}")
        name_of = find_env(env_id).name.replace("-", "\n", 1)
        labels.append(f"{name_of}\n{algo.upper()}")
        if len(means) == 2 and all(len(values) > 1 for values in means.values()):
            low, high = interval(means["learned"], means["mujoco"])
            print(f"  difference learned - mujoco, 95 % over seeds: {low:.1f} % to {high:.1f} %")
    axes.set(xticks=range(len(labels)), xticklabels=labels, ylabel="return in reality")
    axes.set_title("Agents in true dm_control (20 episodes a seed; dots: seeds)")
    axes.set_ylim(0, 1050)
    axes.legend(loc="upper right")
    save_figure(figure, name)


def _asked(env_id: str, tasks: Sequence[str] | None) -> bool:
    return tasks is None or env_id.removeprefix("MoSim/").removesuffix("-v0") in tasks


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, few updates")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--task", nargs="+", help="some of them, such as acrobot-swingup")
    arguments = parser.parse_args()
    name = "zero_shot_quick" if arguments.quick else "zero_shot"
    updates = QUICK_UPDATES if arguments.quick else None
    # Seeds outermost: every experiment has some result early.
    jobs = [
        Job(env_id, algo, dynamics, seed, updates)
        for seed in range(1 if arguments.quick else 3)
        for (env_id, algo, seeds), dynamics in itertools.product(EXPERIMENTS, DYNAMICS)
        if seed < seeds and _asked(env_id, arguments.task)
    ]
    facts = {"episodes": 20, "threads_a_run": 1}
    report(run_missing(name, COLUMNS, jobs, run, arguments.jobs, **facts), name)


if __name__ == "__main__":
    main()
