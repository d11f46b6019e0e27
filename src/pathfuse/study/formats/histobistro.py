"""HistoBistro: ``outputs.csv`` with patient, ground_truth, prediction, logits, correct."""

from dataclasses import replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Numbered, Predicted
from pathfuse.study.reading import Reading

TRUTH, LOGITS = "ground_truth", "logits"
NEEDED = {TRUTH, LOGITS, "prediction"}


def understand(table: Table, _reading: Reading) -> Predicted | None:
    """See ``Format``: one number is the log-odds of class 1, several in brackets are of all classes.

    Raises:
        InputError: The rows have different numbers of logits, or none.
    """
    if not set(table.frame.columns) >= NEEDED:
        return None
    cells = table.frame[LOGITS].cast(pl.String).fill_null("")
    parts = [cell.strip("[]() ").replace(",", " ").split() for cell in cells]
    counts = {len(part) for part in parts}
    if len(counts) != 1 or counts == {0}:
        raise InputError(
            f"{table.source}, column '{LOGITS}': the rows hold {', '.join(map(str, sorted(counts)))} logits; "
            "each must hold as many"
        )
    if counts == {1}:
        parts = [["0", part[0]] for part in parts]
    columns = [f"{LOGITS} {k}" for k in range(len(parts[0]))]
    new = [pl.Series(name, [part[k] for part in parts]) for k, name in enumerate(columns)]
    frame = table.frame.drop(LOGITS, "prediction").with_columns(new)
    note = f"{table.source}: columns of HistoBistro; '{LOGITS}'" + (
        " is the log-odds of class 1" if counts == {1} else " are of all classes"
    )
    numbered = Numbered(tuple(columns), "logit_", TRUTH)
    return Predicted(replace(table, frame=frame), (note,), numbered)


HISTOBISTRO = Format(
    "histobistro",
    "HistoBistro: outputs.csv with patient, ground_truth, prediction, logits",
    "docs/howto/from-other-tools.md",
    understand=understand,
)
