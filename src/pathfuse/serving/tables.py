"""A table as the body of ``/predict``: one long table with a column ``expert``, as Parquet or Arrow."""

from dataclasses import replace
from http import HTTPStatus

import numpy as np
import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.bodies import table_of_bytes
from pathfuse.files.spelling import check_spelling
from pathfuse.files.tables import Table, id_column, number_column, table_in_memory, text_column
from pathfuse.serving.given import LONGEST_NAME, SOURCE, ExpertRows, Given, check_known
from pathfuse.serving.refused import RefusedError
from pathfuse.workflows.model import FusedModel

EXPERT, ID = "expert", "sample_id"


def given_table(model: FusedModel, media_type: str, raw: bytes, most_rows: int) -> Given:
    """The samples of a table, sorted by ``sample_id`` as ``pathfuse predict`` does.

    Args:
        model: The model.
        media_type: Of the bytes.
        raw: The bytes.
        most_rows: Of samples; a table has a row for each expert of a sample.

    Raises:
        RefusedError: The bytes are no table (400), or it is too long (413).
        InputError: A column is missing, carries no prediction or holds something else, or a sample
            occurs twice.
    """
    most = most_rows * max(len(model.experts), 1)
    try:
        frame = table_of_bytes("the body", media_type, raw, most_rows=most)
    except InputError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
    if frame.height > most:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the table has more than {most:,} rows: {most_rows:,} samples with all experts; send it "
            "in parts",
        )
    _check_short(frame)
    table = table_in_memory(SOURCE, frame)
    names = text_column(table, EXPERT)
    if None in names:
        raise InputError(f"{SOURCE}, column '{EXPERT}': row {names.index(None) + 1} is empty")
    frame = table.frame.with_columns(pl.Series(EXPERT, names))
    parts = frame.partition_by(EXPERT, as_dict=True, include_key=False)
    read = {str(key[0]): _expert(model, str(key[0]), replace(table, frame=part))
            for key, part in parts.items()}  # fmt: skip
    for column in table.frame.columns:  # each by itself: another expert may have the others
        if column not in (ID, EXPERT):
            check_known(model.endpoint, None, [column])
    ids = sorted({i for own, _, _ in read.values() for i in own})
    check_spelling(SOURCE, ID, ids)
    position = {name: n for n, name in enumerate(ids)}
    return Given(
        ids,
        {
            name: ExpertRows(np.array([position[i] for i in own], dtype=np.int64), columns, values)
            for name, (own, columns, values) in read.items()
        },
    )


def _check_short(frame: pl.DataFrame) -> None:
    """Refuses long texts: a small table can say a large one as often as it has rows.

    Raises:
        InputError: Naming the column.
    """
    for name in frame.columns:
        column = frame[name]
        if column.dtype == pl.String and (column.str.len_bytes() > 4 * LONGEST_NAME).any():
            raise InputError(f"{SOURCE}, column '{name[:60]}': a text is longer than may be")


def _expert(
    model: FusedModel, name: str, table: Table
) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """The samples, columns and values of one expert; its columns are those that it fills.

    Raises:
        InputError: A column carries no prediction or holds something else.
    """
    table = replace(table, source=f"{SOURCE}, expert '{name}'")
    ids, frame = id_column(table), table.frame
    others = [column for column in frame.columns if column != ID]
    columns = tuple(column for column in others if frame[column].null_count() < frame.height)
    check_known(model.endpoint, name[:60], columns)
    values = [number_column(table, column, ids) for column in columns]
    return ids, columns, np.stack(values, axis=1) if values else np.zeros((len(ids), 0))
