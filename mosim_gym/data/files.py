"""Reading and writing files so that a crash, a full disk or a foreign file does no harm."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mosim_gym.errors import DatasetError
from mosim_gym.types import Array

#: Everything NumPy and zipfile raise on truncated, foreign or pickled content.
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile,
               zlib.error, struct.error)  # fmt: skip


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file whole or not at all.

    It is written under another name in the same folder, then renamed; a crash leaves at most a
    ``.tmp`` file, which no reader looks at and the next writer replaces.

    Args:
        path: the file to make.
        write: writes the content to the open binary file it is given.

    Raises:
        DatasetError: if the folder cannot be written or the disk is full.
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
        raise cannot_write(path, error) from error
    except BaseException:
        _remove(temporary)
        raise


def cannot_write(path: Path, error: OSError) -> DatasetError:
    """The error for a file or folder that the system refuses to write."""
    return DatasetError(
        f"Cannot write {path}: {error.strerror or error}. Files already there are untouched; "
        "free some space or choose a folder you may write to, then run the same again."
    )


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays as an uncompressed npz, atomically; equal arrays give equal bytes."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects; only plain arrays are stored.")

    def write(file: BinaryIO) -> None:
        # Member by member, as np.savez does, which has names of its own for some keywords.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in arrays.items():
                # A fixed date: NumPy's too, so that bytes depend on the content alone.
                member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                with archive.open(member, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)

    write_atomically(path, write)


def read_npz(path: Path, what: str, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Read an npz without unpickling anything.

    Args:
        path: the file.
        what: what it is expected to be, for the message ("an episode").
        names: the arrays to read; all by default. Those that are absent are left out.

    Raises:
        DatasetError: if it is missing, truncated, pickled or no npz at all.
    """
    try:
        # Opened here: np.load leaves the file open when the archive turns out to be damaged.
        with open(path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array, not an npz archive")
            with content as archive:
                present = set(archive.files)
                wanted = archive.files if names is None else [n for n in names if n in present]
                return {name: archive[name] for name in wanted}
    except FileNotFoundError as error:
        raise DatasetError(f"No file {path}; expected {what} written by mosim_gym.") from error
    except _UNREADABLE as error:
        raise not_whole(path, what, str(error)) from error


def not_whole(path: Path, what: str, why: str) -> DatasetError:
    """The error for a file that is truncated, foreign or holds pickled objects."""
    return DatasetError(
        f"Cannot read {path}: {why}. Expected {what} written by mosim_gym (npz of plain arrays, "
        "nothing pickled); the file is truncated or foreign. Remove it or make it again."
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The error that brought us here says more than this one would.
        pass
