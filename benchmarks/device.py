"""Shipped models on another device: the same numbers as on the processor, and how fast.

For each model: the largest difference in positions and speeds after three steps of 256 rows from
starts of the task, under actions of both devices alike; then steps a second of `Simulator.step`
alone, and of the SB3 face (whose observations and rewards come back to the processor).

Run: python benchmarks/device.py --device cuda [--model reacher ...] [--seconds 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from records import write_csv

from mosim_gym.dynamics.checkpoint import load_simulator
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.rl.evaluate import true_starts
from mosim_gym.types import State

TASKS = {
    "reacher": "reacher-easy",
    "acrobot": "acrobot-swingup",
    "cartpole": "cartpole-swingup",
    "cheetah": "cheetah-run",
    "hopper": "hopper-stand",
    "walker": "walker-walk",
}
ROWS, STEPS = 256, 3
BARE_SIZES, FACE_SIZES = (256, 4_096, 65_536), (256, 4_096)


def moved(state: State, device: torch.device) -> State:
    """The same on a device."""
    return State(**{name: value.to(device) for name, value in state.items()})


def speed(step: Callable[[], object], rows: int, seconds: float, device: torch.device) -> int:
    """Rows a second."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    step()
    wait()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        wait()
        count += 1
    return round(count * rows / (time.perf_counter() - start))


@torch.inference_mode()
def measure(model: str, device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """The rows of one model."""
    near, far = load_simulator(model), load_simulator(model, device)
    generator = torch.Generator().manual_seed(0)
    action = 2 * torch.rand(ROWS, near.spec.nu, generator=generator, dtype=torch.float64) - 1
    starts = true_starts(f"MoSim/{TASKS[model]}-v0", episodes=ROWS, seed=0)
    here = State.from_numpy({name: np.stack([s[name] for s in starts]) for name in starts[0]})
    there, far_action = moved(here, device), action.to(device)
    for _ in range(STEPS):
        here, there = near.step(here, action), far.step(there, far_action)
    off = max(
        float((a - b.cpu()).abs().max())
        for a, b in ((here.qpos, there.qpos), (here.qvel, there.qvel))
    )
    common = {"model": model, "device": device.type, "difference": f"{off:.1e}"}
    rows = []
    for n in BARE_SIZES:
        many = State(**{name: value.repeat(n // ROWS, 1) for name, value in there.items()})
        actions = far_action.repeat(n // ROWS, 1)

        def bare(many: State = many, actions: torch.Tensor = actions) -> object:
            return far.step(many, actions)

        rows.append(
            common | {"what": "step", "rows": n, "per_second": speed(bare, n, seconds, device)}
        )
    for n in FACE_SIZES:
        env = make_sb3_vec_env(
            f"MoSim/{TASKS[model]}-v0", n_envs=n, seed=0, horizon=50, device=str(device)
        )
        env.reset()
        generator = np.random.default_rng(0)
        random = generator.uniform(-1, 1, (n, *env.action_space.shape)).astype(np.float32)

        def face(env: Any = env, random: Any = random) -> object:
            return env.step(random)

        rows.append(
            common | {"what": "SB3 face", "rows": n, "per_second": speed(face, n, seconds, device)}
        )
        env.close()
    return rows


def main() -> None:
    """Measure model by model, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seconds", type=float, default=1.0, help="of each timing")
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    rows: list[dict[str, Any]] = []
    for model in options.model:
        rows += measure(model, device, options.seconds)
        for row in rows[-len(BARE_SIZES) - len(FACE_SIZES) :]:
            print(*row.values())
    write_csv(f"device_{device.type}", rows, accelerator=name)


if __name__ == "__main__":
    main()
