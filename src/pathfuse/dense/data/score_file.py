"""One model's numbers of one image, a number per class and pixel: ``.npy``, or ``.npz`` as nnU-Net
writes it.

Whether they are logits or probabilities is decided by the numbers: what lies between 0 and 1 and
sums to 1 over classes in every pixel is probabilities, whose logarithm serves as logits.
"""

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from jaxtyping import Float, Float32

from pathfuse.errors import InputError

PROBABILITIES = ("probabilities", "softmax")
"""Keys of nnU-Net's ``.npz``: of version 2 and of version 1."""
KEYS = (*PROBABILITIES, "logits")
FLOOR = 1e-7
"""A smaller probability counts as this one: its logarithm would be without end."""
TOLERANCE = 2e-3
"""Of the sum over classes: float16 keeps three digits of each."""
CHECK_CELLS = 2**20
"""Numbers that are looked at together."""
DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    NotImplementedError,
)


class ScoreFile:
    """Numbers (K, H, W) or (K, 1, H, W), read in rows.

    Args:
        path: ``.npy``, or ``.npz`` with one of ``KEYS``.
        n_classes: K.

    Raises:
        InputError: It cannot be read, or holds something else.
    """

    def __init__(self, path: Path, n_classes: int) -> None:
        self.path = path
        with self._reading():
            self._member = _member(path) if path.suffix == ".npz" else None
            shape, dtype = self._header()
        if len(shape) == 4 and shape[1] == 1:
            shape = (shape[0], *shape[2:])
        if len(shape) != 3 or dtype.kind != "f" or 0 in shape:
            raise InputError(
                f"the logits {path} are no floating point array of the shape (classes, height, width)"
            )
        if shape[0] != n_classes:
            raise InputError(
                f"the logits {path} have {shape[0]} classes, but there are {n_classes}"
            )
        self.shape = (shape[0], shape[1], shape[2])
        self.floored = 0
        """How many probabilities are below ``FLOOR``, known once ``is_probability`` is."""
        self._place: Path | None = None if self._member else path

    @contextmanager
    def unpacked(self) -> Iterator["ScoreFile"]:
        """While this is open, rows can be read; an ``.npz`` lies unpacked on the disk for as long."""
        if self._member is None or self._place is not None:
            yield self
            return
        with TemporaryDirectory(prefix="pathfuse-") as folder:
            place = Path(folder) / "scores.npy"
            with self._reading(), self._stream() as packed, place.open("wb") as file:
                shutil.copyfileobj(packed, file, 2**22)
            self._place = place
            try:
                yield self
            finally:
                self._place = None

    def logits(self, top: int, bottom: int) -> Float32[np.ndarray, "row column outcome"]:
        """Rows of the image; of probabilities their logarithm.

        Raises:
            InputError: They hold NaN or infinity.
        """
        values = self._rows(top, bottom).transpose(1, 2, 0)
        if (
            np.isnan(values).any()
            or np.isposinf(values).any()
            or np.isneginf(values).all(axis=2).any()
        ):
            raise InputError(f"the logits {self.path} hold NaN or infinity")
        if not self.is_probability:
            return values
        return np.log(np.maximum(values, np.float32(FLOOR)))

    @cached_property
    def is_probability(self) -> bool:
        """Whether the numbers lie between 0 and 1 and sum to 1 in every pixel.

        Raises:
            InputError: The key says that they are probabilities, and they are not.
        """
        n_classes, height, width = self.shape
        step, found, low = max(1, CHECK_CELLS // (width * n_classes)), True, 0
        with self.unpacked():
            for top in range(0, height, step):
                rows = self._rows(top, min(height, top + step))
                if not _sums_to_one(rows):
                    found = False
                    break
                low += int((rows < FLOOR).sum())
        self.floored = low if found else 0
        if self._member in PROBABILITIES and not found:
            raise InputError(
                f"the '{self._member}' of {self.path} do not sum to 1 over classes in every pixel, as regions that "
                "overlap do not: one class per pixel is fused and evaluated"
            )
        return found

    def _rows(self, top: int, bottom: int) -> Float[np.ndarray, "outcome row column"]:
        # The map is opened anew for every strip: pages that were read would otherwise pile up in
        # resident memory.
        assert self._place is not None  # noqa: S101 - within unpacked
        with self._reading():
            values = np.lib.format.open_memmap(self._place, mode="r").reshape(self.shape)
            return np.asarray(values[:, top:bottom], dtype=np.float32)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except InputError:  # our own sentence
            raise
        except DAMAGE as error:
            raise InputError(
                f"the logits {self.path} cannot be read: it is damaged or no {self.path.suffix} file"
            ) from error

    @contextmanager
    def _stream(self) -> Iterator[IO[bytes]]:
        """The bytes of an ``.npy`` file, wherever it lies."""
        if self._member is None:
            with self.path.open("rb") as file:
                yield file
        else:
            with zipfile.ZipFile(self.path) as packed, packed.open(f"{self._member}.npy") as file:
                yield file

    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._stream() as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(file)
        return tuple(shape), dtype


def _sums_to_one(values: Float[np.ndarray, "outcome row column"]) -> bool:
    """Whether every pixel holds probabilities."""
    return bool(
        (values >= 0).all()
        and (values <= 1 + TOLERANCE).all()
        and (np.abs(values.sum(axis=0, dtype=np.float64) - 1) <= TOLERANCE).all()
    )


def _member(path: Path) -> str:
    """The key of an ``.npz`` to read.

    Raises:
        InputError: It has none of those that are known.
    """
    with zipfile.ZipFile(path) as packed:
        keys = [name.removesuffix(".npy") for name in packed.namelist()]
    found = next((key for key in KEYS if key in keys), None)
    if found is None:
        raise InputError(
            f"{path} has the keys {', '.join(keys) or 'of nothing'}, and none of {', '.join(KEYS)}"
        )
    return found
