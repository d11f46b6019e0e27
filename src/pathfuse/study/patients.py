"""An expert that speaks of patients, in a study whose samples are their slides."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from pathfuse.files.tables import Table, text_column
from pathfuse.study.samples import Samples


def of_patients(table: Table, samples: Samples) -> bool:
    """Whether the rows of a table are patients of a study, and none is a sample."""
    ids = {name for name in text_column(table, "sample_id") if name is not None}
    return not ids & set(samples.ids.tolist()) and bool(ids & set(samples.patients.tolist()))


def one_sample_each(table: Table, samples: Samples) -> bool:
    """Whether each patient that a table names has one sample only."""
    ids = {name for name in text_column(table, "sample_id") if name is not None}
    found = [one for one in samples.patients.tolist() if one in ids]
    return len(found) == len(set(found))


def spread(table: Table, samples: Samples) -> tuple[Table, str]:
    """A row for each sample of each patient, and what was done; unknown patients stay as they are."""
    own: dict[str, list[str]] = {}
    for sample, patient in zip(samples.ids.tolist(), samples.patients.tolist(), strict=True):
        own.setdefault(patient, []).append(sample)
    names = [name or "" for name in text_column(table, "sample_id")]
    lists: Sequence[list[str]] = [own.get(name, [name]) for name in names]
    n = sum(len(own[name]) for name in names if name in own)
    frame = table.frame.with_columns(pl.Series("sample_id", lists)).explode("sample_id")
    known = sum(name in own for name in names)
    what = f"{table.source}: its {known} rows are patients; each speaks for the samples of its patient, {n} in all"
    return replace(table, frame=frame), what
