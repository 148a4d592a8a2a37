"""Errors in users' words: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

E = TypeVar("E", bound=StrEnum)


class MosimError(ValueError):
    """Base of the errors this package raises about what it was given."""


class CheckpointError(MosimError):
    """A checkpoint that cannot be found, read or used for the body at hand."""


class DatasetError(MosimError):
    """A dataset or replay file that cannot be found, read or used for the body at hand."""


class UnknownNameError(MosimError):
    """A name that is not in a registry; the message lists near matches."""


def unknown_name(
    kind: str, given: object, valid: Iterable[str], hint: str = ""
) -> UnknownNameError:
    """An error for a name that is not known.

    Args:
        kind: what was looked up, in the singular ("task", "preset", "checkpoint").
        given: the name that was given.
        valid: all the names there are.
        hint: a sentence on what to do, added at the end.
    """
    names = sorted(valid)
    near = difflib.get_close_matches(str(given), names, n=5, cutoff=0.5)
    close = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    listed = ", ".join(names) if names else "none"
    message = f"Unknown {kind} {given!r}.{close} Available: {listed}. {hint}"
    return UnknownNameError(message.rstrip())


def enum_member(kind: type[E], what: str, given: object) -> E:
    """The member of `kind` of that value.

    Args:
        kind: the modes there are.
        what: the option in which one was given, for the message.
        given: what the user gave.

    Raises:
        UnknownNameError: listing the values there are.
    """
    try:
        return kind(str(given))
    except ValueError:
        raise unknown_name(what, given, [member.value for member in kind]) from None
