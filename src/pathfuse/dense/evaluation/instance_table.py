"""AJI and PQ of images as a long table, next to the one of confusion matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64

from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.errors import InputError
from pathfuse.files.tables import parquet_frame
from pathfuse.files.write import write_file

SCHEMA = {"sample_id": pl.String, "expert": pl.String, "metric": pl.String, "value": pl.Float64}
"""Columns of the long table; an empty value is one that the image does not define."""


@dataclass(frozen=True)
class InstanceTable:
    """Metrics of several models on the images whose true instances are known."""

    image_ids: tuple[str, ...]
    values: Mapping[str, Mapping[str, Float64[np.ndarray, " image"]]]
    """Per model and name of ``INSTANCE_METRICS``; NaN where the image defines none, or the model
    did not score it."""
    scored: Mapping[str, Bool[np.ndarray, " image"]]
    """Per model, the images that it has a prediction of."""


def instance_frame(table: InstanceTable) -> pl.DataFrame:
    """The long table; images that a model did not score are absent."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for name, metrics in table.values.items():
        seen = table.scored[name]
        ids = [image for image, there in zip(table.image_ids, seen, strict=True) if there]
        for metric, values in metrics.items():
            columns = {"sample_id": ids, "expert": name, "metric": metric, "value": values[seen]}
            frames.append(pl.DataFrame(columns, schema=SCHEMA, nan_to_null=True))
    return pl.concat(frames)


def write_instances(table: InstanceTable, path: Path, *, force: bool = False) -> None:
    """Writes the long table as CSV or Parquet, by suffix.

    Raises:
        InputError: The suffix is neither, the file exists and ``force`` is off, or it cannot be
            written.
    """
    write_file(instance_frame(table), path, force)


def read_instance_table(path: Path) -> InstanceTable:
    """Reads what ``write_instances`` wrote as Parquet.

    Raises:
        InputError: The file is missing, damaged, or has other columns.
    """
    try:
        frame = parquet_frame(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"the table of instances {path} cannot be read: {error}") from error
    known = [metric.name for metric in INSTANCE_METRICS]
    if dict(frame.schema) != SCHEMA or not set(frame["metric"].unique()) <= set(known):
        raise InputError(
            f"{path} is not a table of instance metrics: it needs the columns {', '.join(SCHEMA)}"
        )
    images = sorted(set(frame["sample_id"]))
    place = {image: row for row, image in enumerate(images)}
    names = frame["expert"].unique(maintain_order=True).to_list()
    values = {name: {metric: np.full(len(images), np.nan) for metric in known} for name in names}
    scored = {name: np.zeros(len(images), dtype=bool) for name in names}
    for image, name, metric, value in frame.iter_rows():
        scored[name][place[image]] = True
        if value is not None:
            values[name][metric][place[image]] = value
    return InstanceTable(tuple(images), values, scored)
