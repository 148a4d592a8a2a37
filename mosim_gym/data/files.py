"""Reading and writing npz files: whole or not at all, and nothing unpickled."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mosim_gym.errors import DatasetError
from mosim_gym.files import write_atomically
from mosim_gym.types import Array

#: Everything NumPy and zipfile raise on truncated, foreign or pickled content.
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile,
               zlib.error, struct.error)  # fmt: skip
#: Of an archive with members, and of an empty one.
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE_START = b"\x80"


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays as an uncompressed npz, atomically; equal arrays give equal bytes.

    Raises:
        DatasetError: if the folder cannot be written or the disk is full.
    """
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

    write_atomically(path, write, DatasetError)


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
            start = file.read(4)
            # Of all other files np.load thinks that they are pickles.
            if start not in _ZIP_STARTS or not zipfile.is_zipfile(file):
                pickled = start[:1] == _PICKLE_START
                raise ValueError(
                    "it is a pickle, and pickles are not read"
                    if pickled
                    else "it is not a whole npz archive"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                present = set(archive.files)
                wanted = archive.files if names is None else [n for n in names if n in present]
                arrays = {name: archive[name] for name in wanted}
    except FileNotFoundError as error:
        raise DatasetError(f"No file {path}; expected {what} written by mosim_gym.") from error
    except _UNREADABLE as error:
        raise not_whole(path, what, str(error)) from error
    # NumPy gives members that are no arrays as bytes.
    foreign = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
    if foreign:
        raise not_whole(path, what, f"{foreign[0]} is no array")
    return arrays


def is_pickle(path: Path) -> bool:
    """Whether a file begins as Python's pickles do (protocol 2 and later)."""
    try:
        with open(path, "rb") as file:
            return file.read(1) == _PICKLE_START
    except OSError:
        return False


def not_whole(path: Path, what: str, why: str) -> DatasetError:
    """The error for a file that is truncated, foreign or holds pickled objects."""
    return DatasetError(
        f"Cannot read {path}: {why}. Expected {what} written by mosim_gym (npz of plain arrays, "
        "nothing pickled); the file is truncated or foreign. Remove it or make it again."
    )
