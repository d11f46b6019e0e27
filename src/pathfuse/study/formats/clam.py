"""CLAM: ``EVAL_<expert>/fold_<k>.csv`` with slide_id, Y, Y_hat, p_0 ... p_{K-1}."""

import re
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, column_names
from pathfuse.study.formats.base import Format, Numbered, Predicted, Source, numbered_columns
from pathfuse.study.reading import Reading

FOLD = r"fold_([0-9]+)\.csv"
PICKLE = r"split_[0-9]+_results\.pkl"
COLUMNS = r"p_([0-9]+)"
TRUTH, ANSWER = "Y", "Y_hat"
EVALUATION = "EVAL_"
"""What the names of its folders start with."""


def find(path: Path) -> list[Source] | None:
    """See ``Format``.

    Raises:
        InputError: There are pickles alone.
    """
    if path.is_file():
        return None
    folds = [
        (int(match[1]), file)
        for file in path.iterdir()
        if (match := re.fullmatch(FOLD, file.name)) and ANSWER in column_names(file)
    ]
    if folds:
        numbers, files = zip(*sorted(folds), strict=True)
        name = path.resolve().name
        note = f"{path}: the {len(files)} files fold_*.csv of CLAM are one table, fold by fold"
        places = tuple(str(number) for number in numbers)
        return [Source(name.removeprefix(EVALUATION) or name, files, places, (note,), path)]
    pickled = next((p for p in sorted(path.iterdir()) if re.fullmatch(PICKLE, p.name)), None)
    if pickled is not None:
        raise InputError(
            f"{pickled}: a pickle can run code when it is opened, so it is not read; let CLAM's eval.py write the "
            "same predictions as text (EVAL_<name>/fold_<k>.csv), and give that folder"
        )
    return None


def understand(table: Table, _reading: Reading) -> Predicted | None:
    """See ``Format``."""
    header = table.frame.columns
    columns = numbered_columns(header, COLUMNS)
    if not columns or not {TRUTH, ANSWER} & set(header):
        return None
    return Predicted(table, (), Numbered(columns, "prob_", TRUTH if TRUTH in header else None))


CLAM = Format(
    "clam",
    "CLAM: EVAL_<expert>/fold_<k>.csv, all folds of an expert as one table; slide_id, Y, Y_hat, p_0, p_1, ...",
    "docs/howto/from-clam.md",
    find,
    understand,
)
