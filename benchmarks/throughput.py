"""Steps a second of every face of the learned reacher, beside true physics, in one run.

``horizon=50``, so resets are included; random actions drawn beforehand. Each figure is the best of
several stretches, taken in rounds over all cases: a shared machine has slow minutes, and the best
says what the code can do when nothing else runs. dm_control's own step is the yardstick.

Run: python benchmarks/throughput.py [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from records import new_figure, save_figure, write_csv
from tqdm import trange

import mosim_gym

ENV_ID = "MoSim/reacher-easy-v0"
HORIZON = 50
STRETCH = 0.4  # seconds
SIZES = (1, 16, 64, 256, 1024, 4096)


def rate(step: Callable[[], Any], rows: int, seconds: float) -> float:
    """Steps a second of all rows over a stretch of `seconds`."""
    for _ in range(3):
        step()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        calls += 1
    return calls * rows / (time.perf_counter() - start)


def sb3_face(n: int, dynamics: str) -> Callable[[], Any]:
    """A step of the SB3 face, VecMonitor included."""
    env = mosim_gym.make_sb3_vec_env(
        ENV_ID, n_envs=n, horizon=HORIZON, dynamics=dynamics, state_info=False
    )
    env.reset()
    action = np.random.default_rng(0).uniform(-1, 1, (n, 2)).astype(np.float32)
    return lambda: env.step(action)


def vector_face(n: int, dynamics: str) -> Callable[[], Any]:
    """A step of the Gymnasium vector face."""
    env = gym.make_vec(ENV_ID, num_envs=n, horizon=HORIZON, dynamics=dynamics, state_info=False)
    env.reset(seed=0)
    action = np.random.default_rng(0).uniform(-1, 1, (n, 2)).astype(np.float32)
    return lambda: env.step(action)


def single_face(n: int, dynamics: str) -> Callable[[], Any]:
    """A step of the Gymnasium face, with its wrappers, resets included."""
    env = gym.make(ENV_ID, horizon=HORIZON, dynamics=dynamics, state_info=False)
    env.reset(seed=0)
    action = np.array([0.3, -0.4], dtype=np.float32)

    def step() -> None:
        if any(env.step(action)[2:4]):
            env.reset()

    return step


def bare_simulator(n: int, dynamics: str) -> Callable[[], Any]:
    """A step of the model alone: no observation, reward, reset or copy."""
    simulator = mosim_gym.load_simulator("reacher")
    state = mosim_gym.State.from_numpy(
        {"qpos": np.zeros((n, 2)), "qvel": np.zeros((n, 2))}, dtype=simulator.dtype
    )
    action = torch.rand(n, 2) * 2 - 1

    def step() -> None:
        with torch.inference_mode():
            simulator.step(state, action)

    return step


def suite_step(n: int, dynamics: str) -> Callable[[], Any]:
    """A step of dm_control's own environment."""
    from dm_control import suite

    env = suite.load("reacher", "easy", {"random": 0})
    env.reset()
    action = np.array([0.3, -0.4])
    return lambda: env.step(action)


def main() -> None:
    """Measure, write the table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 2 if parser.parse_args().quick else 8
    cases: list[tuple[str, Callable[[int, str], Callable[[], Any]], str, tuple[int, ...]]] = [
        ("SB3 face, learned", sb3_face, "learned", SIZES),
        ("vector face, learned", vector_face, "learned", SIZES),
        ("single face, learned", single_face, "learned", (1,)),
        ("bare simulator step", bare_simulator, "learned", SIZES),
        ("SB3 face, mujoco", sb3_face, "mujoco", (1, 16, 64)),
        ("single face, mujoco", single_face, "mujoco", (1,)),
        ("dm_control suite.load().step", suite_step, "mujoco", (1,)),
    ]
    steps = {(label, n): make(n, dynamics) for label, make, dynamics, sizes in cases for n in sizes}
    best = dict.fromkeys(steps, 0.0)
    for _ in trange(rounds, desc="rounds"):
        for (label, n), step in steps.items():
            best[label, n] = max(best[label, n], rate(step, n, STRETCH))
    rows = [
        {"what": label, "n_envs": n, "steps_per_second": round(speed)}
        for (label, n), speed in best.items()
    ]
    for row in rows:
        print(f"{row['what']:<30} {row['n_envs']:>5} envs {row['steps_per_second']:>12,} steps/s")
    threads = torch.get_num_threads()
    write_csv(
        "throughput", rows, horizon=HORIZON, env_id=ENV_ID, torch_threads=threads, rounds=rounds
    )
    figure = new_figure()
    axes = figure.subplots()
    for label, _, _, sizes in cases:
        speeds = [row["steps_per_second"] for row in rows if row["what"] == label]
        axes.loglog(sizes, speeds, marker="o", label=label)
    axes.set(xlabel="environments", ylabel="steps a second", title=f"{ENV_ID}, {threads} threads")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    save_figure(figure, "throughput")


if __name__ == "__main__":
    main()
