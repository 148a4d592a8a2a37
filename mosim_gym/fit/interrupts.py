"""Ctrl-C during a fit: held back until a step is done, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class StoppedBetweenStepsError(KeyboardInterrupt):
    """Ctrl-C that was held back until a step was done: the state is whole and may be saved."""


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function it gives is called; a second one stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def stop_if_asked() -> None:
        if asked.is_set():
            raise StoppedBetweenStepsError

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGINT, before)
