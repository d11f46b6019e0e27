"""The truth that an expert's own table carries next to its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.columns import flags
from pathfuse.endpoints.follow_up import CENSORED, OBSERVED, turned
from pathfuse.files.tables import Table, text_column
from pathfuse.study.reading import Reading

TRUTHS = ("y_true", "ground_truth", "gt", "true_label", "y")
"""Names, in small letters, that a column of the truth has and one of predictions has not."""
EVENT = "event"


@dataclass(frozen=True)
class CarriedTruth:
    """A column of an expert's table that says what was observed."""

    target: str
    """The column of the samples table that says the same."""
    column: str
    """What the expert's table calls it."""
    values: Mapping[str, str]
    """As text, by ``sample_id``; samples without a cell are absent."""


def carried_truth(
    table: Table,
    targets: Sequence[str],
    endpoint: Endpoint,
    reading: Reading,
    named: Mapping[str, str],
    idle: Sequence[str],
) -> tuple[CarriedTruth, ...]:
    """The columns of the truth in an expert's table.

    Args:
        table: With ``sample_id``.
        targets: The columns of the samples table that say what was observed.
        endpoint: What is predicted.
        reading: What a person said about the tables.
        named: What the tool's own columns say is predicted: a word of ``--columns`` to the column.
        idle: Columns of the table that carry no predictions.
    """
    ids = text_column(table, "sample_id")
    found = []
    for target in targets:
        words = [target, *(field.word for field in endpoint.fields if field.column == target)]
        others = [word for word, own in endpoint.other_words.items() if own in words]
        words += others
        chosen = [m[word] for m in (named, reading.columns) for word in words if word in m]
        column = next((c for c in [*chosen, target] if c in idle), None) or _by_name(
            idle, target, endpoint, alone=len(targets) == 1
        )
        if column is None:
            continue
        cells = table.frame[column].cast(pl.String)
        if target == EVENT and endpoint.in_time:
            meant = [word for word in others if reading.columns.get(word) == column]
            cells = _events(cells, *meant or [column])
        texts = text_column(replace(table, frame=pl.DataFrame({column: cells})), column)
        values = {
            i: text
            for i, text in zip(ids, texts, strict=True)
            if i is not None and text is not None
        }
        if values:
            found.append(CarriedTruth(target, column, values))
    return tuple(found)


def _by_name(idle: Sequence[str], target: str, endpoint: Endpoint, *, alone: bool) -> str | None:
    """The only column that its name says is the truth."""
    if endpoint.in_time:
        known = {
            name for field in endpoint.fields if field.column == target for name in field.others
        }
    else:
        known = set(TRUTHS) if alone else set()
    found = [name for name in idle if name.lower() in known]
    return found[0] if len(found) == 1 else None


def _events(cells: pl.Series, column: str) -> pl.Series:
    """Events as 1 and 0, from words or from a column in which 1 means censored."""
    plain = flags(cells.str.replace(r"^([01])\.0+$", "$1"), OBSERVED, CENSORED)
    if not turned(column):
        return plain
    return plain.replace({"1": "0", "0": "1"})
