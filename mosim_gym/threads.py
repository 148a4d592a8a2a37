"""How many threads torch computes with, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mosim_gym.errors import MosimError


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use `count` threads inside; ``None`` leaves things as they are.

    Raises:
        MosimError: if the count is below 1.
    """
    before = torch.get_num_threads()
    if count is not None:
        if count < 1:
            raise MosimError(f"threads is {count}; expected 1 or more, or None.")
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
