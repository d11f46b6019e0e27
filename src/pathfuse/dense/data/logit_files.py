"""Logits of several models for the same images, read in strips of rows, so that no image need fit
into memory.

One folder per model, one file ``<image_id>.npy`` or ``.npz`` per image (see ``ScoreFile``). A file
that is absent is a model that did not score the image.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from pathfuse.dense.data.image_files import file_of
from pathfuse.dense.data.records import IGNORE
from pathfuse.dense.data.score_file import ScoreFile
from pathfuse.errors import InputError
from pathfuse.files.names import CHANNEL

CHUNK_CELLS = 2**22
"""Numbers (pixels x models x classes) of one strip; some ten arrays of this size are alive at once."""


@dataclass(frozen=True)
class Strip:
    """Rows ``start`` to ``stop`` of an image, with further rows above and below as context."""

    start: int
    stop: int
    above: int
    """Rows of context before ``start``."""
    planes: Float32[np.ndarray, "expert outcome row column"]
    """As they lie in the files and in memory, context included; NaN where a model did not score the
    image."""

    @property
    def logits(self) -> Float32[np.ndarray, "row column expert outcome"]:
        """The same numbers (no copy), pixels first."""
        return self.planes.transpose(2, 3, 0, 1)

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
    image_ids: Collection[str] = ()
    """All images of the study, so that a file that is named after one is not taken for another's."""
    _opened: dict[Path, ScoreFile] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """The fields, without the files that were opened: other processes open their own."""
        return {**self.__dict__, "_opened": {}}

    def models(self, image_id: str) -> list[str]:
        """The models that scored an image."""
        return [
            name
            for name, folder in self.folders.items()
            if folder is not None
            and file_of(folder, image_id, image_ids=self.image_ids) is not None
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
        self,
        image_id: str,
        *,
        context: int = 0,
        cells: int = CHUNK_CELLS,
        as_they_are: bool = False,
    ) -> Iterator[Strip]:
        """The image from top to bottom.

        Args:
            image_id: The image; some model scored it.
            context: Rows of context on either side.
            cells: Numbers of one strip, context not counted; at least one row.
            as_they_are: No logarithm of probabilities: for the order of the classes alone.

        Raises:
            InputError: A file cannot be read, holds NaN or infinity, or is neither logits nor
                probabilities.
        """
        there = self.models(image_id)
        height, width = self.shape(image_id)
        step = max(1, cells // (width * len(self.folders) * self.n_classes))
        with ExitStack() as stack:
            scores = {
                name: stack.enter_context(self._open(name, image_id).unpacked()) for name in there
            }
            for start in range(0, height, step):
                stop = min(height, start + step)
                top, bottom = max(0, start - context), min(height, stop + context)
                shape = (len(self.folders), self.n_classes, bottom - top, width)
                planes = np.empty(shape, dtype=np.float32)
                for m, name in enumerate(self.folders):
                    if name in there:
                        one = scores[name]
                        read = one.as_they_are if as_they_are else one.logits
                        planes[m] = read(top, bottom).transpose(2, 0, 1)
                    else:
                        planes[m] = np.nan
                yield Strip(start, stop, start - top, planes)

    def _open(self, name: str, image_id: str) -> ScoreFile:
        file = self.file(name, image_id)
        if file not in self._opened:
            self._opened[file] = ScoreFile(file, self.n_classes)
        return self._opened[file]

    def file(self, name: str, image_id: str) -> Path:
        """Of a model that scored the image."""
        folder = self.folders[name]
        found = None if folder is None else file_of(folder, image_id, image_ids=self.image_ids)
        assert found is not None  # noqa: S101 - it scored the image
        return found

    def notes(self, image_ids: Sequence[str]) -> list[str]:
        """How the files of images were read where that is not as they stand: a sentence per model."""
        found = []
        for name in self.folders:
            own = [one for one in image_ids if name in self.models(one)]
            found += notes_on(name, {one: self._open(name, one) for one in own})
        return found


def notes_on(name: str, scores: Mapping[str, ScoreFile]) -> list[str]:
    """How one model's files were read where that is not as they stand.

    Args:
        name: The model.
        scores: Image to its file.
    """
    found = []
    shares = [one for one in scores.values() if one.is_probability]
    if shares:
        low, floor = sum(one.kind.floored for one in shares), shares[0].kind.floor
        floors = f", {low} numbers below {floor:g} as that" if low else ""
        outside = sum(one.kind.outside for one in shares)
        beyond = f", {outside} numbers lie outside and are brought to the border" if outside else ""
        kinds = list(dict.fromkeys(one.kind.in_words() for one in shares))
        first = next((one for one in shares if not one.kind.is_exact), shares[0])
        more = (
            f" ({len(kinds)} kinds of them)" if len({k.split(" (")[0] for k in kinds}) > 1 else ""
        )
        found.append(
            f"{name}: {len(shares)} of {len(scores)} images hold {first.kind.in_words()}{more}, such as "
            f"{first.path.name}: their logarithm is taken for logits{floors}{beyond}"
        )
    alone = [one for one in scores.values() if one.kind.is_share_of_each]
    if alone:
        found.append(
            f"{name}: {len(alone)} of {len(scores)} images hold numbers between 0 and 1 that do not sum to 1 over "
            f"classes, such as {alone[0].path.name} (sums {alone[0].kind.lowest_sum:.3g} to "
            f"{alone[0].kind.highest_sum:.3g}): the class with the largest one is evaluated"
        )
    return found + notes_on_names(name, {one: score.path for one, score in scores.items()})


def notes_on_names(name: str, files: Mapping[str, Path]) -> list[str]:
    """Which files of one model belong to an image of another name, as nnU-Net's ``_0000``."""
    other = [(file.name, one) for one, file in files.items() if file.stem != one]
    if not other:
        return []
    first, image = other[0]
    tail = Path(first).stem.removeprefix(image) or CHANNEL
    by = f"nnU-Net's {CHANNEL}" if tail == CHANNEL else tail
    return [
        f"{name}: {len(other)} files differ from their image by {by}, such as {first} of image '{image}'"
    ]


def open_logits(
    logits: Mapping[str, str | Path],
    classes: Sequence[str],
    reserved: Sequence[str] = (),
    image_ids: Collection[str] = (),
) -> LogitFiles:
    """The models' folders.

    Args:
        logits: Folder of each model.
        classes: Names of the K classes.
        reserved: Names that no model may have.
        image_ids: All images.

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
    return LogitFiles(folders, len(classes), frozenset(image_ids))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[2]}"
