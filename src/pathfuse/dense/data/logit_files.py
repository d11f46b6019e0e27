"""Logits of several models for the same images, read in strips of rows, so that no image need fit
into memory.

One folder per model, one file ``<image_id>.npy`` per image: float16 or float32, (K, H, W). A file
that is absent is a model that did not score the image.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from pathfuse.dense.data.records import IGNORE
from pathfuse.errors import InputError

CHUNK_CELLS = 2**22
"""Numbers (pixels x models x classes) of one strip; some ten arrays of this size are alive at once."""


@dataclass(frozen=True)
class Strip:
    """Rows ``start`` to ``stop`` of an image, with further rows above and below as context."""

    start: int
    stop: int
    above: int
    """Rows of context before ``start``."""
    logits: Float32[np.ndarray, "row column expert outcome"]
    """Context included; NaN where a model did not score the image."""

    @property
    def inside(self) -> slice:
        """The rows of ``logits`` that are not context."""
        return slice(self.above, self.above + self.stop - self.start)


@dataclass(frozen=True)
class LogitFiles:
    """Where the models' logits lie."""

    folders: Mapping[str, Path | None]
    """None: a model that scored no image."""
    n_classes: int

    def models(self, image_id: str) -> list[str]:
        """The models that scored an image."""
        return [
            name
            for name, folder in self.folders.items()
            if folder is not None and _file(folder, image_id).is_file()
        ]

    def shape(self, image_id: str) -> tuple[int, int]:
        """Height and width of an image's logits.

        Raises:
            InputError: A file cannot be read, has another number of classes, or the models differ
                in size.
        """
        sizes = {name: self._open(name, image_id).shape for name in self.models(image_id)}
        first = next(iter(sizes))
        for name, size in sizes.items():
            if size[1:] != sizes[first][1:]:
                raise InputError(
                    f"the logits of image '{image_id}' are {_size(sizes[first])} pixels by {first} but {_size(size)} "
                    f"by {name}; bring all models to the size of the image before fusing"
                )
        return sizes[first][1], sizes[first][2]

    def strips(
        self, image_id: str, *, context: int = 0, cells: int = CHUNK_CELLS
    ) -> Iterator[Strip]:
        """The image from top to bottom.

        Args:
            image_id: The image; some model scored it.
            context: Rows of context on either side.
            cells: Numbers of one strip, context not counted; at least one row.

        Raises:
            InputError: A file cannot be read, or holds NaN or infinity.
        """
        there = self.models(image_id)
        height, width = self.shape(image_id)
        step = max(1, cells // (width * len(self.folders) * self.n_classes))
        for start in range(0, height, step):
            stop = min(height, start + step)
            top, bottom = max(0, start - context), min(height, stop + context)
            logits = np.full(
                (bottom - top, width, len(self.folders), self.n_classes), np.nan, dtype=np.float32
            )
            for m, name in enumerate(self.folders):
                if name in there:
                    logits[:, :, m] = self._rows(name, image_id, top, bottom)
            yield Strip(start, stop, start - top, logits)

    def _rows(
        self, name: str, image_id: str, top: int, bottom: int
    ) -> Float[np.ndarray, "row column outcome"]:
        # The map is opened anew for every strip: pages that were read would otherwise pile up in
        # resident memory.
        values = np.asarray(self._open(name, image_id)[:, top:bottom], dtype=np.float32).transpose(
            1, 2, 0
        )
        if (
            np.isnan(values).any()
            or np.isposinf(values).any()
            or np.isneginf(values).all(axis=2).any()
        ):
            raise InputError(f"the logits {self.file(name, image_id)} hold NaN or infinity")
        return values

    def _open(self, name: str, image_id: str) -> np.ndarray:
        file = self.file(name, image_id)
        try:
            values = np.lib.format.open_memmap(file, mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"the logits {file} cannot be read: it is damaged or no .npy file"
            ) from error
        if values.ndim != 3 or values.dtype.kind != "f" or not values.size:
            raise InputError(
                f"the logits {file} are no floating point array of the shape (classes, height, width)"
            )
        if len(values) != self.n_classes:
            raise InputError(
                f"the logits {file} have {len(values)} classes, but there are {self.n_classes}"
            )
        return values

    def file(self, name: str, image_id: str) -> Path:
        """Of a model that scored the image."""
        folder = self.folders[name]
        assert folder is not None  # noqa: S101 - it scored the image
        return _file(folder, image_id)


def open_logits(
    logits: Mapping[str, str | Path], classes: Sequence[str], reserved: Sequence[str] = ()
) -> LogitFiles:
    """The models' folders.

    Args:
        logits: Folder of each model.
        classes: Names of the K classes.
        reserved: Names that no model may have.

    Raises:
        InputError: Fewer than two models or classes, too many classes, a folder is missing, or a
            name is taken.
    """
    if len(logits) < 2:
        raise InputError("fusing needs the logits of at least two models")
    if not 2 <= len(classes) <= IGNORE:
        raise InputError(f"there are {len(classes)} classes; masks of 8 bits have 2 to {IGNORE}")
    taken = next((name for name in logits if name in reserved), None)
    if taken is not None:
        raise InputError(f"no model may be named '{taken}': a method has this name")
    folders = {name: Path(folder) for name, folder in logits.items()}
    missing = next((folder for folder in folders.values() if not folder.is_dir()), None)
    if missing is not None:
        raise InputError(f"the folder of logits {missing} does not exist")
    return LogitFiles(folders, len(classes))


def _file(folder: Path, image_id: str) -> Path:
    return folder / f"{image_id}.npy"


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[2]}"
