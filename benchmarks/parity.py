"""Every task of dm_control's suite on every face, step for step against dm_control itself.

Whole episodes of 1000 control steps of random actions from the same seed. Per task: the single
face (one row) and the vector face (three rows, seeds s, s+1, s+2; read by the torch-native twin
where there is one), with their largest differences in float64, before the cast to float32; and the
three observation orders against their models (dm_control's own order; Shimmy + FlattenObservation;
dm_control's dictionary), which must be equal to the last bit of float32.

Run: python benchmarks/parity.py [--steps 1000] [--tasks reacher-easy ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import shimmy
from dm_control import suite
from records import read_csv, write_csv
from tqdm import tqdm

from mosim_gym.registration import ROWS, TaskRow
from mosim_gym.tasks.mujoco import never_draw
from mosim_gym.tasks.own import OWN_BODIES
from mosim_gym.types import Array

SEED = 11
VECTOR_ROWS = 3
#: Bodies beyond the suite have nothing to be compared with.
SUITE_ROWS = [row for row in ROWS if row.domain not in OWN_BODIES]


def flat(observation: Mapping[str, Any]) -> Array:
    return np.concatenate([np.ravel(part) for part in observation.values()])


def reference(row: TaskRow, seed: int) -> Any:
    env = suite.load(row.domain, row.task, task_kwargs={"random": seed})
    never_draw(env)
    return env


def action_sequence(env: Any, steps: int, rows: int) -> Array:
    spec = env.action_spec()
    low, high = np.maximum(spec.minimum, -1), np.minimum(spec.maximum, 1)
    drawn = np.random.default_rng(SEED).uniform(low, high, (steps, rows, *spec.shape))
    # Faces take float32 actions; both sides get the same numbers.
    return drawn.astype(np.float32)


class Gaps:
    """The largest differences seen, and whether the ends agreed."""

    def __init__(self) -> None:
        self.observation, self.reward, self.ends_equal = 0.0, 0.0, True

    def see(self, observation: Array, reward: float, done: bool, timestep: Any) -> None:
        true = flat(timestep.observation)
        gap = np.abs(observation - true) / np.maximum(np.abs(true), 1.0)
        self.observation = max(self.observation, float(gap.max()))
        if timestep.reward is not None:
            self.reward = max(self.reward, abs(reward - timestep.reward))
            self.ends_equal &= done == timestep.last()


def single_face(row: TaskRow, steps: int) -> Gaps:
    env, true, gaps = gym.make(row.env_id, dynamics="mujoco"), reference(row, SEED), Gaps()
    env.reset(seed=SEED)
    engine = env.unwrapped.world.engine
    gaps.see(engine.observe()[0], 0.0, False, true.reset())
    for (action,) in action_sequence(true, steps, 1):
        _, reward, terminated, truncated, _ = env.step(action)
        timestep = true.step(action.astype(np.float64))
        gaps.see(engine.observe()[0], reward, terminated or truncated, timestep)
        if timestep.last():
            break
    return gaps


def vector_face(row: TaskRow, steps: int) -> Gaps:
    # Its time limit is one step later than compared, so that no row is reset within.
    env = gym.make_vec(
        row.env_id, num_envs=VECTOR_ROWS, dynamics="mujoco", max_episode_steps=steps + 1
    )
    trues, gaps = [reference(row, SEED + k) for k in range(VECTOR_ROWS)], Gaps()
    env.reset(seed=SEED)
    engine = env.unwrapped.world.engine
    for k, true in enumerate(trues):
        gaps.see(engine.observe()[k], 0.0, False, true.reset())
    for action in action_sequence(trues[0], steps - 1, VECTOR_ROWS):
        _, rewards, terminated, truncated, _ = env.step(action)
        for k, true in enumerate(trues):
            timestep = true.step(action[k].astype(np.float64))
            gaps.see(engine.observe()[k], rewards[k], terminated[k] or truncated[k], timestep)
    return gaps


def orders_equal(row: TaskRow, steps: int) -> bool:
    """Whether the three orders are, bit for bit, what their models give as float32."""
    true = reference(row, SEED)
    envs = {
        order: gym.make(row.env_id, dynamics="mujoco", obs_order=order)
        for order in ("native", "sorted", "dict")
    }
    shimmy = shimmy_flattened(row)
    shown = {order: env.reset(seed=SEED)[0] for order, env in envs.items()}
    # LQR's body is drawn when it is loaded, with the same generator.
    seed = None if row.domain == "lqr" else SEED
    models = [true.reset().observation, None if shimmy is None else shimmy.reset(seed=seed)[0]]
    equal = True
    for (action,) in action_sequence(true, steps, 1):
        parts, flattened = models
        equal &= np.array_equal(shown["native"], flat(parts).astype(np.float32))
        if flattened is not None:
            equal &= np.array_equal(shown["sorted"], flattened.astype(np.float32))
        in_order = flat({name: parts[name] for name in sorted(parts)}).astype(np.float32)
        equal &= np.array_equal(shown["sorted"], in_order)
        equal &= all(
            np.array_equal(
                shown["dict"][name], np.float32(value).reshape(shown["dict"][name].shape)
            )
            for name, value in parts.items()
        )
        shown = {order: env.step(action)[0] for order, env in envs.items()}
        wide = action.astype(np.float64)
        models = [true.step(wide).observation, None if shimmy is None else shimmy.step(wide)[0]]
    return bool(equal)


def shimmy_flattened(row: TaskRow) -> gym.Env[Any, Any] | None:
    """Shimmy + FlattenObservation; `None` where Shimmy cannot make it without OpenGL."""
    if row.name == "quadruped-escape":
        return None
    gym.register_envs(shimmy)
    kwargs = {"random": SEED} if row.domain == "lqr" else None
    env = gym.make(
        f"dm_control/{row.domain}-{row.task}-v0", task_kwargs=kwargs, disable_env_checker=True
    )
    return gym.wrappers.FlattenObservation(env)


def measure(row: TaskRow, steps: int) -> dict[str, Any]:
    single, vector = single_face(row, steps), vector_face(row, steps)
    return {
        "task": row.name,
        "steps": steps,
        "read_by": "torch" if row.body.native else "dm_control",
        "single_observation": f"{single.observation:.1e}",
        "single_reward": f"{single.reward:.1e}",
        "single_ends_equal": single.ends_equal,
        "vector_observation": f"{vector.observation:.1e}",
        "vector_reward": f"{vector.reward:.1e}",
        "vector_ends_equal": vector.ends_equal,
        "orders_equal": orders_equal(row, min(steps, 50)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--tasks", nargs="*", default=[row.name for row in SUITE_ROWS])
    args = parser.parse_args()
    # A run that was interrupted goes on; delete the CSV to measure anew.
    found = {row["task"]: row for row in read_csv("parity") if row["steps"] == str(args.steps)}
    chosen = [row for row in SUITE_ROWS if row.name in args.tasks]
    for row in tqdm([row for row in chosen if row.name not in found]):
        found[row.name] = measure(row, args.steps)
        write_csv(
            "parity", [found[other.name] for other in chosen if other.name in found], seed=SEED
        )
    for figures in found.values():
        print(" ".join(f"{value}" for value in figures.values()))


if __name__ == "__main__":
    main()
