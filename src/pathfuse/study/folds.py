"""Outer folds from the files of tools: of samples tables, and of the predictions themselves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from pathfuse.files.tables import Table, text_column
from pathfuse.study.fields import FOLD, SPLIT
from pathfuse.study.samples import Samples

COLUMN = r"fold_([0-9]+)"
TEST, CELLS = "test", {"train", "test", "val"}


def with_one_fold(
    table: Table, taken: frozenset[str] = frozenset()
) -> tuple[Table, tuple[str, ...]]:
    """A samples table of Patho-Bench (``fold_0`` ... with cells train and test) with a column ``fold``.

    Only if each sample is a test sample exactly once; else a note says how to choose one.

    Args:
        table: As read.
        taken: Words of ``--columns`` that were given.
    """
    header = table.frame.columns
    found = sorted((int(m[1]), n) for n in header if (m := re.fullmatch(COLUMN, n)))
    if len(found) < 2 or {FOLD.column, SPLIT.column} & set(header) or {"fold", "split"} & taken:
        return table, ()
    cells = {k: [(c or "").lower() for c in text_column(table, name)] for k, name in found}
    if any(cell and cell not in CELLS for column in cells.values() for cell in column):
        return table, ()
    n = table.frame.height
    own = [[k for k in cells if cells[k][row] == TEST] for row in range(n)]
    wrong = sum(len(folds) != 1 for folds in own)
    names = f"{found[0][1]} ... {found[-1][1]}"
    if wrong:
        why = f"{wrong} of {n} samples are not test samples exactly once"
        way = f"--columns split={found[0][1]} takes one of them"
        return table, (f"{table.source}: {names} are no folds of one study, since {why}; {way}",)
    fold = pl.Series(FOLD.column, [folds[0] for folds in own])
    note = (
        f"{table.source}: the fold of a sample is the one of {names} in which it is a test sample"
    )
    return replace(table, frame=table.frame.with_columns(fold)), (note,)


def folds_of(
    samples: Samples, experts: Sequence[tuple[str, Mapping[str, str]]]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The fold of each sample whose predictions are the test rows of folds, and what was done.

    None where the samples table has roles or folds of its own, or where a sample or a patient has
    none or two.

    Args:
        samples: Those of the study.
        experts: Name of each expert and the fold of each sample; the first counts.
    """
    experts = [(name, folds) for name, folds in experts if folds]
    if not experts or samples.roles is not None or samples.folds is not None:
        return None, ()
    ids = samples.ids.tolist()
    name, folds = experts[0]
    found = [folds.get(i) for i in ids]
    start = f"{samples.source}: no folds were taken from the files of '{name}', since "
    own: dict[str, str | None] = {}
    for patient, fold in zip(samples.patients.tolist(), found, strict=True):
        if own.setdefault(patient, fold) != fold:
            return None, (f"{start}the patient '{patient}' is in two of them",)
    if None in found:
        return None, (f"{start}{found.count(None)} samples are in none of them",)
    if len(set(found)) < 2:
        return None, ()
    note = f"{samples.source}: the folds are those of the files of '{name}'"
    others = [
        other
        for other, theirs in experts[1:]
        if any(theirs.get(i, fold) != fold for i, fold in zip(ids, found, strict=True))
    ]
    if others:
        have, they_are = ("have", "they are") if len(others) > 1 else ("has", "it is")
        note += f"; {', '.join(others)} {have} other folds, in which {they_are} out of fold as well"
    return np.array([int(fold) for fold in found if fold is not None]), (note,)
