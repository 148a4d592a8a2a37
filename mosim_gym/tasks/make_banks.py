"""``python -m mosim_gym.tasks.make_banks``: make the stored start states anew.

They are what dm_control's own resets give, one after the other from one seed, so the same versions
of dm_control and MuJoCo make the same files.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mosim_gym.files import write_atomically
from mosim_gym.tasks.banks import FOLDER
from mosim_gym.tasks.mujoco import load_dm_env, seed, state_of
from mosim_gym.types import Float64Array

#: Bank to a task whose starts it holds; the other tasks of the domain start alike.
BANKS: Mapping[str, str] = {
    "ball_in_cup": "catch",
    "cheetah": "run",
    "finger": "spin",
    "humanoid": "stand",
}
SIZE = 2048


def make_bank(domain: str, size: int = SIZE) -> dict[str, Float64Array]:
    """The first `size` start states of a domain from seed 0.

    Args:
        domain: one of `BANKS`.
        size: how many.

    Returns:
        ``qpos`` (size, nq) and ``qvel`` (size, nv).
    """
    env = load_dm_env(domain, BANKS[domain])
    seed(env, 0)
    states = []
    for _ in range(size):
        env.reset()
        states.append(state_of(env))
    return {name: np.stack([state[name] for state in states]) for name in ("qpos", "qvel")}


def main() -> None:
    """Write every bank into the package."""
    FOLDER.mkdir(exist_ok=True)
    for domain in BANKS:
        print(_write_bank(domain))


def _write_bank(domain: str) -> str:
    bank, path = make_bank(domain), FOLDER / f"{domain}.npz"
    write_atomically(
        path, lambda file: np.savez_compressed(file, qpos=bank["qpos"], qvel=bank["qvel"])
    )
    return f"{path.name}: {SIZE} states, {path.stat().st_size / 1024:.0f} KiB"


if __name__ == "__main__":
    main()
