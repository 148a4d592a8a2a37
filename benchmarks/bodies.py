"""Bodies of the suite, as they are or with other physics, and their motion: used by benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.data.policies import HeldRandomPolicy
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks.mujoco import load_dm_env, robot_of

TASKS = {
    "acrobot": "swingup",
    "ball_in_cup": "catch",
    "cartpole": "swingup",
    "cheetah": "run",
    "go2": "stand",
    "hopper": "hop",
    "humanoid": "run",
    "panda": "reach",
    "pendulum": "swingup",
    "quadruped": "walk",
    "reacher": "easy",
    "swimmer": "swimmer6",
    "walker": "walk",
}
STEPS = 1000


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


def record(
    domain: str,
    folder: Path,
    *,
    episodes: int,
    seed: int,
    altered: int = 0,
    substeps: bool = False,
    noise: float = 0.0,
) -> Dataset:
    """Episodes of true physics under the held random policy, unless they are there.

    Args:
        domain: the body.
        folder: where to put them.
        episodes: of 1000 control steps.
        seed: of starts and actions.
        altered: seed of `alter`; 0 leaves the body as it is.
        substeps: record physics steps too.
        noise: standard deviation of what is added once to every recorded qpos and qvel.
    """
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
        rng = np.random.default_rng([seed, index])
        policy.reset(rng)
        save_episode(episode_path(folder, index), _episode(env, spec, policy, substeps, noise, rng))
    source = f"{domain}-{TASKS[domain]}, altered by seed {altered}"
    write_metadata(
        folder,
        Metadata(spec, source, "held-random", seed=seed, substeps=substeps, noise=noise),
    )
    return Dataset.open(folder)


def _episode(
    env: Any,
    spec: RobotSpec,
    policy: HeldRandomPolicy,
    substeps: bool,
    noise: float,
    rng: np.random.Generator,
) -> Episode:
    env.reset()
    model, data = env.physics.model.ptr, env.physics.data.ptr
    inner = [(data.qpos.copy(), data.qvel.copy(), data.act.copy())]
    actions = []
    for _ in range(STEPS):
        actions.append(policy(None))
        env.physics.set_control(actions[-1])
        for _ in range(spec.n_substeps):
            mujoco.mj_step(model, data)
            inner.append((data.qpos.copy(), data.qvel.copy(), data.act.copy()))
    qpos, qvel, act = (np.stack(values) for values in zip(*inner, strict=True))
    qpos = qpos + noise * rng.standard_normal(qpos.shape)
    qvel = qvel + noise * rng.standard_normal(qvel.shape)
    every = {"qpos": qpos, "qvel": qvel} | ({"act": act} if spec.na else {})
    within: dict[str, Any] = {}
    if substeps:
        shape = (STEPS, spec.n_substeps, -1)
        within = {f"substep_{name}": value[1:].reshape(shape) for name, value in every.items()}
    return Episode(
        **{name: value[:: spec.n_substeps] for name, value in every.items()},
        action=np.stack(actions),
        reward=np.zeros(STEPS),
        terminated=False,
        truncated=True,
        **within,
    )
