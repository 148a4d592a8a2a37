"""How much memory a face takes, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from pathlib import Path

from mosim_gym.envs.options import WorldOptions


def memory_above_import(env_id: str, n_envs: int, options: WorldOptions) -> float:
    """Most MiB that the SB3 face takes above the import of the package, over one horizon of steps.

    Args:
        env_id: such as "MoSim/reacher-easy-v0".
        n_envs: number of rows.
        options: of the face.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (env_id, n_envs, options))


def _grown(env_id: str, n_envs: int, options: WorldOptions) -> float:
    from mosim_gym.bench.cases import random_actions
    from mosim_gym.bench.timing import HORIZON
    from mosim_gym.envs.sb3 import make_sb3_vec_env

    before = _peak()
    env = make_sb3_vec_env(env_id, n_envs=n_envs, horizon=HORIZON, **options)
    env.reset()
    actions = random_actions(env.action_space, n_envs)
    for _ in range(HORIZON + 2):
        env.step(actions)
    return _peak() - before


def _peak() -> float:
    """Most memory this process ever held, in MiB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        # In KiB, on macOS in bytes.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    # Not getrusage: on Linux a child begins with the peak of the process that started it.
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 2**10
