"""A stand-in for the rendering contexts of a physics that is never drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


class NoContexts:
    """Takes what a task sends to the renderer, and needs no OpenGL.

    quadruped-escape sends its new terrain at every reset, and would make a renderer for it.
    """

    ptr = None

    @property
    def gl(self) -> NoContexts:
        """In place of the OpenGL context."""
        return self

    @property
    def mujoco(self) -> NoContexts:
        """In place of MuJoCo's."""
        return self

    @contextlib.contextmanager
    def make_current(self) -> Iterator[NoContexts]:
        """As an OpenGL context's."""
        yield self

    def call(self, function: Any, *args: Any) -> None:
        """There is nothing to draw on."""

    def free(self) -> None:
        """There is nothing to free."""
