"""Confusion matrices of images: integers from which every pixel metric follows, and their long
table.

One K x K matrix per image and model takes the place of the prediction table
(docs/design/densebench.md, section 8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Bool, Int, Int64, UInt8

from pathfuse.dense.data.records import IGNORE
from pathfuse.errors import InputError
from pathfuse.files.tables import Table, id_column, read_table, text_column
from pathfuse.files.write import write_file

Confusion: TypeAlias = Int64[np.ndarray, "true predicted"]
"""Pixels by true class (rows) and predicted class (columns)."""

Confusions: TypeAlias = Int64[np.ndarray, "image true predicted"]
"""One matrix per image."""

SCHEMA = {
    "sample_id": pl.String,
    "expert": pl.String,
    "true": pl.Int32,
    "predicted": pl.Int32,
    "n": pl.Int64,
}
"""Columns of the long table; classes by their number in the masks."""


def confusion(
    truth: Int[np.ndarray, "height width"] | UInt8[np.ndarray, "height width"],
    predicted: Int[np.ndarray, "height width"] | UInt8[np.ndarray, "height width"],
    n_classes: int,
    ignore: int = IGNORE,
) -> Confusion:
    """Counts the pixels of one image.

    Args:
        truth: True classes 0..K-1, or ``ignore``.
        predicted: Predicted classes 0..K-1; pixels whose truth is ``ignore`` are not looked at.
        n_classes: K.
        ignore: Label of pixels that do not count.

    Returns:
        Int64, (K, K): rows are true, columns predicted classes. All 0 if every pixel is ignored.

    Raises:
        InputError: The shapes differ, or a class lies outside 0..K-1.

    Examples:
        >>> confusion(np.array([[0, 1, 255]]), np.array([[0, 0, 1]]), 2).tolist()
        [[1, 0], [1, 0]]
    """
    if truth.shape != predicted.shape:
        raise InputError(
            f"the mask has the shape {truth.shape} but the prediction {predicted.shape}"
        )
    counts = _pairs_of_bytes(truth, predicted)
    if counts is None:
        counted = truth != ignore
        rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
        for what, values in (("mask", rows), ("prediction", columns)):
            _check_classes(what, values[(values < 0) | (values >= n_classes)], n_classes)
        cells = np.bincount(rows * n_classes + columns, minlength=n_classes**2)
        return cells.reshape(n_classes, n_classes).astype(np.int64)
    if 0 <= ignore < len(counts):
        counts[ignore] = 0
    for axis, what in ((1, "mask"), (0, "prediction")):
        wrong = np.flatnonzero(counts.sum(axis=axis)[n_classes:]) + n_classes
        _check_classes(what, wrong, n_classes)
    found = np.zeros((n_classes, n_classes), dtype=np.int64)
    some = counts[:n_classes, :n_classes]
    found[: len(some), : some.shape[1]] = some
    return found


def _pairs_of_bytes(truth: np.ndarray, predicted: np.ndarray) -> Int64[np.ndarray, "a b"] | None:
    """Pixels of each pair of values, by one count without a copy of either; None if not bytes.

    Rows and columns end with the largest value that is there.
    """
    if truth.dtype != np.uint8 or predicted.dtype != np.uint8 or not truth.size:
        return None
    n_columns = int(predicted.max()) + 1
    cells = truth.astype(np.int64)
    cells *= n_columns
    cells += predicted
    counts = np.bincount(cells.ravel())
    n_rows = -(-len(counts) // n_columns)
    counts.resize(n_rows * n_columns, refcheck=False)
    return counts.reshape(n_rows, n_columns).astype(np.int64, copy=False)


def _check_classes(what: str, wrong: np.ndarray, n_classes: int) -> None:
    if len(wrong):
        raise InputError(
            f"the {what} holds the class {wrong[0]}, but the classes are 0 to {n_classes - 1}"
        )


@dataclass(frozen=True)
class ConfusionTable:
    """Matrices of several models on the same images."""

    image_ids: tuple[str, ...]
    cms: dict[str, Confusions]
    """Per model; all 0 where it has no prediction."""
    scored: dict[str, Bool[np.ndarray, " image"]]
    """Per model, the images that it has a prediction of."""


def confusion_frame(
    cms: Mapping[str, Confusions],
    image_ids: Sequence[str],
    scored: Mapping[str, Bool[np.ndarray, " image"]] | None = None,
) -> pl.DataFrame:
    """The long table ``sample_id, expert, true, predicted, n``.

    Cells of 0 are left out, but for one cell of an image whose every pixel is ignored: that it was
    scored must remain.

    Args:
        cms: Per model, in the order of ``image_ids``.
        image_ids: One per image.
        scored: Per model, which images it has a prediction of; default: all.
    """
    ids, frames = np.array(image_ids, dtype=object), []
    for name, matrices in cms.items():
        keep = matrices != 0
        keep[:, 0, 0] |= ~keep.any(axis=(1, 2))
        if scored is not None:
            keep &= scored[name][:, None, None]
        image, true, predicted = np.nonzero(keep)
        columns = {"true": true, "predicted": predicted, "n": matrices[image, true, predicted]}
        frames.append(
            pl.DataFrame(
                {"sample_id": ids[image].tolist(), "expert": [name] * len(image), **columns}
            )
        )
    return pl.concat([pl.DataFrame(schema=SCHEMA), *(frame.cast(SCHEMA) for frame in frames)])  # type: ignore[arg-type]


def write_confusions(table: ConfusionTable, path: Path, *, force: bool = False) -> None:
    """Writes the long table as CSV or Parquet, by suffix.

    Raises:
        InputError: The suffix is neither, the file exists and ``force`` is off, or it cannot be
            written.
    """
    write_file(confusion_frame(table.cms, table.image_ids, table.scored), path, force)


def read_confusions(path: Path, n_classes: int | None = None) -> ConfusionTable:
    """Reads the long table.

    Args:
        path: CSV or Parquet with the columns of ``SCHEMA``.
        n_classes: K; default: one more than the largest class in the table. A class that is absent
            changes no metric.

    Raises:
        InputError: The file cannot be read, a column is missing, a class lies outside 0..K-1, a
            cell is not a count, or occurs twice.
    """
    table = read_table(path)
    experts = text_column(table, "expert")
    ids = id_column(table, unique=False)
    if None in experts:
        raise InputError(f"{table.source}, column 'expert': row {experts.index(None) + 1} is empty")
    true, predicted, n = (
        _whole_numbers(table, column, ids) for column in ("true", "predicted", "n")
    )
    k = int(max(true.max(), predicted.max())) + 1 if n_classes is None else n_classes
    for column, values in (("true", true), ("predicted", predicted)):
        if values.max() >= k:
            raise InputError(
                f"{table.source}, column '{column}': {values.max()} is not a class; they are 0 to {k - 1}"
            )
    names = list(dict.fromkeys(str(expert) for expert in experts))
    images = sorted(set(ids))
    model_of = np.array([names.index(str(expert)) for expert in experts])
    place = {image: i for i, image in enumerate(images)}
    image_of = np.array([place[image] for image in ids])
    counts = np.zeros((len(names), len(images), k, k), dtype=np.int64)
    flat = np.ravel_multi_index((model_of, image_of, true, predicted), counts.shape)
    cells, times = np.unique(flat, return_counts=True)
    if (times > 1).any():
        m, i, t, p = np.unravel_index(cells[times > 1][0], counts.shape)
        cell = f"image '{images[i]}', model '{names[m]}', true {t}, predicted {p}"
        raise InputError(f"{table.source} has the cell of {cell} more than once")
    counts.ravel()[flat] = n
    seen = np.zeros((len(names), len(images)), dtype=bool)
    seen[model_of, image_of] = True
    return ConfusionTable(
        tuple(images),
        dict(zip(names, counts, strict=True)),
        dict(zip(names, seen, strict=True)),
    )


def _whole_numbers(table: Table, column: str, ids: Sequence[str]) -> Int64[np.ndarray, " row"]:
    texts = text_column(table, column)
    wrong = next((i for i, text in enumerate(texts) if text is None or not text.isdecimal()), None)
    if wrong is not None:
        raise InputError(
            f"{table.source}, column '{column}', image '{ids[wrong]}': '{texts[wrong]}' is not a count"
        )
    return np.array([int(str(text)) for text in texts], dtype=np.int64)
