"""Headers of NumPy's ``.npy``: what an array claims to be, against the bytes that are there."""

import math
import struct
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

MAGIC = b"\x93NUMPY"
MOST_HEADER = 10_000
"""Bytes of a header; numpy's own limit, since it parses what stands there."""
MOST_AXES = 8
NEEDS_PICKLE = "it needs pickle, which can run code, and is not opened: save a plain array"


class NpyError(ValueError):
    """What is wrong with an array, as half a sentence that begins with ``it`` or ``its``."""


@dataclass(frozen=True)
class NpyHeader:
    """What an array claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    """Whether numbers lie as Fortran has them."""

    @property
    def n_bytes(self) -> int:
        """Of all its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def npy_header(file: IO[bytes], n_bytes: int) -> NpyHeader:
    """The header of an ``.npy`` file, checked against the size of the file.

    Args:
        file: The file at its start; it is left where the numbers begin.
        n_bytes: Of the whole file.

    Raises:
        NpyError: It is no such file, needs pickle, or its shape is unlike what follows; half a
            sentence.
    """
    header = _claimed(file)
    if header.dtype.hasobject:
        raise NpyError(NEEDS_PICKLE)
    shape = header.shape
    if len(shape) > MOST_AXES or any(side < 0 for side in shape):
        raise NpyError(f"its header names the shape {_short(shape)}, which no array has")
    there = n_bytes - file.tell()
    if header.n_bytes != there:
        raise NpyError(
            f"its header names {_short(shape)} numbers of {header.dtype}, {header.n_bytes:,} bytes, "
            f"but {there:,} follow"
        )
    return header


def npz_headers(path: Path) -> dict[str, NpyHeader]:
    """The headers of all arrays of an ``.npz`` file.

    Raises:
        NpyError: An array is none, or of another size than the archive says.
        OSError: It cannot be read.
        BadZipFile: It is damaged; also NotImplementedError and zlib's error.
    """
    found = {}
    with zipfile.ZipFile(path) as archive:
        for one in archive.infolist():
            with archive.open(one) as file:
                found[one.filename.removesuffix(".npy")] = npy_header(file, one.file_size)
    return found


def _claimed(file: IO[bytes]) -> NpyHeader:
    start = file.read(8)
    if start[:1] == b"\x80":
        raise NpyError(NEEDS_PICKLE)
    if len(start) < 8 or not start.startswith(MAGIC) or start[6] not in (1, 2, 3):
        raise NpyError("it is not a NumPy file")
    width = 2 if start[6] == 1 else 4
    length = file.read(width)
    if len(length) < width:
        raise NpyError("it is cut off in its header")
    n = struct.unpack("<H" if width == 2 else "<I", length)[0]
    if n > MOST_HEADER:
        raise NpyError(f"its header has {n:,} bytes, and no array needs so many")
    file.seek(8)
    read = (
        np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    )
    try:
        with warnings.catch_warnings():  # of headers that Python 2 wrote
            warnings.simplefilter("ignore")
            shape, by_columns, dtype = read(file)
    except (
        SyntaxError,
        TypeError,
        RecursionError,
        MemoryError,
        OverflowError,
        TokenError,
    ) as error:
        raise NpyError("its header cannot be understood") from error
    if not all(type(side) is int for side in shape):
        raise NpyError("its header names a shape that is none")
    return NpyHeader(tuple(shape), dtype, by_columns)


def _short(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in shape[:MOST_AXES]) or "no"
