"""What a few thousand transitions teach a model that is told a body's geometry, and no more.

For each body: episodes of true physics under the held random policy, a fit of the ``articulated``
preset from "unknown" (one density, one damping, one friction), and open-loop rollouts on episodes
of other seeds. With ``--altered k`` the body's masses, inertias, friction, damping, springs and
motors are each changed by up to half, by k different draws, which the fit knows nothing of; what it
found is then compared with the truth. What is finished in ``runs/articulated`` is not done again.

Run: python benchmarks/articulated.py [--body cheetah ...] [--episodes 5] [--altered 3]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
from records import read_csv, write_csv

from mosim_gym.articulated.description import Description, describe
from mosim_gym.articulated.physics import Physics, physics_of
from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.data.policies import HeldRandomPolicy
from mosim_gym.dynamics.articulated import Articulated
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.fit import fit
from mosim_gym.fit.presets import ARTICULATED
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.mujoco import load_dm_env, robot_of

FOLDER = Path("runs/articulated")
TASKS = {
    "acrobot": "swingup",
    "cartpole": "swingup",
    "cheetah": "run",
    "hopper": "hop",
    "humanoid": "run",
    "pendulum": "swingup",
    "reacher": "easy",
    "walker": "walk",
}
FRESH_SEED, FRESH_EPISODES, STEPS = 3_141_592, 25, 1000
HORIZONS = {"mse_100": 100, "mse_500": 500}


def alter(model: mujoco.MjModel, seed: int) -> None:
    """Change every learned kind of number by up to half, each link, joint and motor on its own."""
    rng = np.random.default_rng(seed)

    def factors(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        return rng.uniform(0.5, 1.5, n)

    mass = factors(model.nbody)
    model.body_mass[:] *= mass
    model.body_inertia[:] *= (mass * factors(model.nbody))[:, None]
    model.dof_damping[:] *= factors(model.nv)
    model.dof_armature[:] *= factors(model.nv)
    model.jnt_stiffness[:] *= factors(model.njnt)
    model.geom_friction[:] *= factors(model.ngeom)[:, None]
    model.actuator_gear[:] *= factors(model.nu)[:, None]
    mujoco.mj_setConst(model, mujoco.MjData(model))


def record(domain: str, altered: int, folder: Path, episodes: int, seed: int) -> Dataset:
    """Episodes of true physics, perhaps of an altered body."""
    if (folder / "metadata.json").exists():
        return Dataset.open(folder)
    env = load_dm_env(domain, TASKS[domain], {"random": seed})
    env.reset()
    model = env.physics.model.ptr
    if altered:
        alter(model, altered)
    spec = RobotSpec.from_mujoco(
        model, name=domain, n_substeps=robot_of(domain, TASKS[domain]).n_substeps
    )
    policy = HeldRandomPolicy(spec.action_low, spec.action_high)
    (folder / "episodes").mkdir(parents=True, exist_ok=True)
    for index in range(episodes):
        policy.reset(np.random.default_rng([seed, index]))
        save_episode(episode_path(folder, index), _episode(env, spec, policy))
    source = f"{domain}-{TASKS[domain]}, altered by seed {altered}"
    write_metadata(folder, Metadata(spec, source, "held-random", seed=seed, substeps=True))
    return Dataset.open(folder)


def _episode(env: Any, spec: RobotSpec, policy: HeldRandomPolicy) -> Episode:
    env.reset()
    physics = env.physics
    states = [(physics.data.qpos.copy(), physics.data.qvel.copy())]
    actions, inner = [], []
    for _ in range(STEPS):
        actions.append(policy(None))
        physics.set_control(actions[-1])
        for _ in range(spec.n_substeps):
            mujoco.mj_step(physics.model.ptr, physics.data.ptr)
            inner.append((physics.data.qpos.copy(), physics.data.qvel.copy()))
        states.append(inner[-1])
    qpos, qvel = (np.stack(values) for values in zip(*states, strict=True))
    sub_qpos, sub_qvel = (
        np.stack(values).reshape(STEPS, spec.n_substeps, -1) for values in zip(*inner, strict=True)
    )
    return Episode(
        qpos=qpos,
        qvel=qvel,
        action=np.stack(actions),
        reward=np.zeros(STEPS),
        terminated=False,
        truncated=True,
        substep_qpos=sub_qpos,
        substep_qvel=sub_qvel,
    )


def run(domain: str, altered: int, episodes: int) -> dict[str, Any]:
    """One body: data, fit, figures."""
    folder = FOLDER / f"{domain}-{altered}-{episodes}"
    train = record(domain, altered, folder / "train", episodes, seed=altered)
    fresh = record(domain, altered, folder / "fresh", FRESH_EPISODES, seed=FRESH_SEED + altered)
    env = load_dm_env(domain, TASKS[domain])
    env.reset()
    model = env.physics.model.ptr
    description = describe(model)
    if not (folder / "model").exists():
        start = time.perf_counter()
        recipe = ARTICULATED.told(description.to_json())
        fit(train, out=folder / "model", preset=recipe, threads=1)
        (folder / "seconds").write_text(f"{time.perf_counter() - start:.0f}")
    checkpoint = load_checkpoint(folder / "model")
    if altered:
        alter(model, altered)
    truth = physics_of(model, description)
    return {
        "body": domain,
        "altered_by": altered,
        "told": "geometry",
        "transitions": train.n_steps,
        "fit_seconds": int((folder / "seconds").read_text()),
        "fit_steps": checkpoint.provenance["steps"],
        "held_out_nmse": f"{checkpoint.acceptance['held_out_error']:.2e}",
        **rollout_figures(checkpoint.simulator, fresh),
        **identified(checkpoint.simulator, description, truth),
    }


def rollout_figures(simulator: Simulator, fresh: Dataset) -> dict[str, Any]:
    """Open-loop errors on fresh episodes."""
    figures: dict[str, Any] = {}
    for name, steps in HORIZONS.items():
        errors = horizon_errors(simulator, fresh.windows(steps))
        mse = errors.mse(steps)
        figures[f"{name}_rollouts"] = len(mse)
        figures[f"{name}_mean"] = f"{mse.mean():.2e}"
        figures[f"{name}_median"] = f"{mse.median():.2e}"
        figures["valid_horizon_median"] = int(errors.valid_horizon.median())
        figures["diverged"] = int(errors.diverged.sum())
    return figures


@torch.no_grad()
def identified(simulator: Simulator, told: Description, truth: Physics) -> dict[str, Any]:
    """Largest relative errors of what motion can tell; the overall scale is taken from motors."""
    predictor = simulator.predictor
    assert isinstance(predictor, Articulated)
    found = predictor.physics()
    scale = float((truth.gear[:, 0] / found.gear[:, 0]).median())
    figures = {}
    for name in ("gear", "damping", "stiffness"):
        ours, theirs = getattr(found, name), getattr(truth, name)
        known = theirs > 0
        if known.any():
            off = (scale * ours[known] / theirs[known] - 1).abs().max()
            figures[f"{name}_off"] = f"{off:.1e}"
    if len(told.pairs):
        off = (found.pair_friction[:, 0] / truth.pair_friction[:, 0] - 1).abs()
        figures["friction_off_median"] = f"{off.median():.1e}"
    columns = ("gear_off", "damping_off", "stiffness_off", "friction_off_median")
    return {name: figures.get(name, "") for name in columns}


def main() -> None:
    """Run the cases that are asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", nargs="+", choices=TASKS, default=["pendulum", "cheetah"])
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--altered", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {json.dumps([r["body"], r["altered_by"], r["transitions"]]): r for r in
            read_csv("articulated")}  # fmt: skip
    for domain in options.body:
        for altered in range(options.altered + 1):
            row = run(domain, altered, options.episodes)
            key = [row["body"], str(row["altered_by"]), str(row["transitions"])]
            rows[json.dumps(key)] = row
            print(row)
    write_csv("articulated", list(rows.values()), threads=1, fresh_seed=FRESH_SEED)


if __name__ == "__main__":
    main()
