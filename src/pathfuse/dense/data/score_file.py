"""One model's numbers of one image, a number per class and pixel: ``.npy``, or ``.npz`` as nnU-Net
writes it.

Whether they are logits or probabilities is decided by the numbers (``number_kind``): what sums to 1
over classes in every pixel, or to 1 but for rounding, or to 100 per cent, is probabilities, whose
logarithm serves as logits.
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

from pathfuse.dense.data.image_headers import refuse_px
from pathfuse.dense.data.number_kind import FLOOR, Evidence, NumberKind
from pathfuse.errors import InputError
from pathfuse.files.npy import NpyError, npy_header
from pathfuse.files.special import refuse_special

PROBABILITIES = ("probabilities", "softmax")
"""Keys of nnU-Net's ``.npz``: of version 2 and of version 1."""
KEYS = (*PROBABILITIES, "logits")
CHECK_CELLS = 2**20
"""Numbers that are looked at together."""
DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    RuntimeError,  # of an archive with a password
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
        refuse_special(path, "the logits")
        with self._reading():
            self._member = _member(path) if path.suffix == ".npz" else None
            shape, dtype = self._header()
        if len(shape) == 4 and shape[1] == 1:
            shape = (shape[0], *shape[2:])
        if len(shape) != 3 or dtype.kind not in "fui" or 0 in shape:
            raise InputError(
                f"the logits {path} are not an array of numbers of the shape (classes, height, width), but of "
                f"{dtype} and of the shape {shape}"
            )
        if self._member is not None:  # which is unpacked as a whole
            n_bytes = shape[0] * dtype.itemsize
            refuse_px(
                shape[2],
                shape[1],
                n_bytes,
                f"the logits {path}",
                ", or write .npy, which is read in rows",
            )
        self._is_whole = dtype.kind != "f"
        if shape[0] != n_classes:
            raise InputError(
                f"the logits {path} have {shape[0]} classes, but there are {n_classes}"
            )
        self.shape = (shape[0], shape[1], shape[2])
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
        """Rows of the image; of probabilities their logarithm. A class that is ruled out (minus infinity)
        counts as one of probability 1e-7.

        Raises:
            InputError: They hold NaN or infinity, or are neither logits nor probabilities.
        """
        values = self.as_they_are(top, bottom)
        if self.kind.is_share_of_each:
            raise InputError(
                f"the numbers of {self.path} lie between 0 and 1 and are no probabilities of one class per pixel: "
                f"their sums over classes are {self.kind.lowest_sum:.3g} to {self.kind.highest_sum:.3g}. If each class "
                "has a sigmoid of its own, write what goes into it (logits), or scale every pixel's numbers so that "
                "they sum to 1"
            )
        return self.kind.log(values) if self.is_probability else _finite(values)

    def as_they_are(self, top: int, bottom: int) -> Float32[np.ndarray, "row column outcome"]:
        """Rows of the image, whatever the numbers are: the order of the classes is in them.

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
        return values

    @property
    def is_probability(self) -> bool:
        """Whether the numbers are probabilities of the classes in every pixel."""
        return self.kind.is_probability

    @cached_property
    def kind(self) -> NumberKind:
        """What the numbers are.

        Raises:
            InputError: The key says that they are probabilities, and they are not.
        """
        _, height, width = self.shape
        step, seen = max(1, CHECK_CELLS // (width * self.shape[0])), Evidence(self.shape[0])
        with self.unpacked():
            for top in range(0, height, step):
                seen.add(self._rows(top, min(height, top + step)))
                if seen.is_logit:
                    break
        found = seen.kind()
        if self._is_whole and not found.is_probability:
            raise InputError(
                f"the logits {self.path} are whole numbers, and they do not sum to 1, 100 or 255 over classes in every "
                "pixel, as probabilities would: write logits or probabilities as floating point numbers"
            )
        if self._member in PROBABILITIES and not found.is_probability:
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
        except NpyError as error:
            raise InputError(f"the logits {self.path} cannot be read: {error}") from error
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
            header = npy_header(file, self._n_bytes())
        return header.shape, header.dtype

    def _n_bytes(self) -> int:
        """Of the ``.npy`` file, wherever it lies."""
        if self._member is None:
            return self.path.stat().st_size
        with zipfile.ZipFile(self.path) as packed:
            return packed.getinfo(f"{self._member}.npy").file_size


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


def _finite(
    logits: Float32[np.ndarray, "row column outcome"],
) -> Float32[np.ndarray, "row column outcome"]:
    """A class of probability 0 (minus infinity) as one of ``FLOOR``, as where probabilities are given.

    One model's certainty would otherwise outvote all others.
    """
    never = np.isneginf(logits)
    if not never.any():
        return logits
    least = logits.max(axis=2, keepdims=True) + np.float32(np.log(FLOOR))
    return np.where(never, least, logits)
