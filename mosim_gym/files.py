"""Writing files so that a crash, a full disk or Ctrl-C does no harm."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

from mosim_gym.errors import MosimError


def as_path(given: object, what: str, raises: type[MosimError] = MosimError) -> Path:
    """A path from what a user gave.

    Args:
        given: a str or a path.
        what: what is expected there, for the message ("a dataset folder").
        raises: the class of the error.

    Raises:
        MosimError: of the class `raises`, for anything else.
    """
    if isinstance(given, str | os.PathLike):
        return Path(given)
    raise raises(
        f"{given!r} is of type {type(given).__name__}; expected the path of {what}, as a str or a "
        "pathlib.Path."
    )


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], raises: type[MosimError] = MosimError
) -> None:
    """Write a file whole or not at all.

    It is written under another name in the same folder, then renamed; a crash leaves at most a
    ``.tmp`` file, which no reader looks at and the next writer replaces.

    Args:
        path: the file to make.
        write: writes the content to the open binary file it is given; its result is dropped.
        raises: the class of the error.

    Raises:
        MosimError: of the class `raises`, if the folder cannot be written or the disk is full;
            what was at `path` is untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            # Without it a power cut could leave the new name on an empty file.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        raise cannot_write(path, error, raises) from error
    except BaseException:
        # Ctrl-C included.
        _remove(temporary)
        raise


def write_text_atomically(path: Path, text: str, raises: type[MosimError] = MosimError) -> None:
    """`write_atomically` for text, as UTF-8 with line ends as they are."""
    write_atomically(path, lambda file: file.write(text.encode()), raises)


def write_rows(path: Path, rows: Sequence[DataclassInstance]) -> None:
    """Write dataclasses of one kind as a CSV, a row each, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(asdict(rows[0])))
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_text_atomically(path, text.getvalue())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`write_atomically` for JSON values, indented."""
    write_text_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def cannot_write(path: Path, error: OSError, raises: type[MosimError] = MosimError) -> MosimError:
    """The error, of the class `raises`, for what the system refuses to write."""
    return raises(
        f"Cannot write {path}: {error.strerror or error}. Files already there are untouched; "
        "free some space or choose a folder you may write to, then run the same again."
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The error that brought us here says more than this one would.
        pass
