"""Stored start states, for tasks whose own way to draw them needs a physics engine.

dm_control lets the cheetah fall onto its feet, and draws humanoid, finger and ball anew until
nothing touches. The banks hold states drawn by dm_control itself; ``make_banks.py`` made them.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from mosim_gym.errors import unknown_name
from mosim_gym.types import State

#: Where the banks are, one ``<domain>.npz`` each.
FOLDER = Path(__file__).parent / "start_states"


def draw_from_bank(name: str, n: int, rng: np.random.Generator) -> State:
    """Draw `n` start states of a domain with replacement.

    Args:
        name: the domain, such as "cheetah".
        n: how many.
        rng: draws them.

    Returns:
        Float64 states of their own (changing them changes no bank).

    Raises:
        UnknownNameError: listing the banks there are.
    """
    bank = _load(name)
    return bank[rng.integers(len(bank), size=n)]


@functools.cache
def _load(name: str) -> State:
    known = [path.stem for path in FOLDER.glob("*.npz")]
    if name not in known:
        raise unknown_name("bank of start states", name, known)
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as fields:
        return State.from_numpy(dict(fields))
