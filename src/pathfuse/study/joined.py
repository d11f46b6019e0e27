"""An expert's rows and the samples of a study that they are of: joined by name, the others counted."""

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.names import counted_otherwise, would_match
from pathfuse.files.spelling import spelled_otherwise
from pathfuse.files.tables import Table, text_column
from pathfuse.study.fields import PATIENT
from pathfuse.study.identify import RowKind
from pathfuse.study.left_out import check_left_out, line_of
from pathfuse.study.patients import (
    SLIDES_NEEDED,
    names_patients,
    one_sample_each,
    spread,
    with_patients_compared,
)
from pathfuse.study.predictions import PredictionTable
from pathfuse.study.reading import Reading
from pathfuse.study.samples import Samples

NEEDS_UNIT = "its rows are patients: --unit patient lets each speak for the samples of its patient"


@dataclass(frozen=True)
class Listed:
    """The samples or the patients of a study, as the rows of a table name them."""

    what: RowKind
    source: str
    known: list[str]
    """In the order of the samples."""
    without: frozenset[str]
    """Further ones that the samples table lists without a truth: they are counted there."""
    others: list[str]
    """Names of the other kind."""


def join_samples(
    expert: PredictionTable,
    samples: Samples,
    without: tuple[Set[str], Set[str]],
    reading: Reading,
    unit: str,
) -> tuple[PredictionTable, list[dict[str, Any]]]:
    """An expert's rows of samples that the study has, and a line for what is left out.

    An expert of patients gets a row for each of their samples.

    Args:
        expert: Its table.
        samples: Those of the study.
        without: Samples, and patients, that the table lists but that have no truth.
        reading: ``strict`` and ``allow_partial``.
        unit: ``patient`` lets patients with several samples speak for each of them.

    Raises:
        InputError: No name is known, one has another spelling in the samples table, or names could
            be of samples and of patients.
    """
    ids, patients = samples.ids.tolist(), samples.patients.tolist()
    if not names_patients(expert.table, expert.rows, samples, unit):
        expert = replace(expert, table=with_patients_compared(expert.table, samples))
        listed = Listed("sample", samples.source, ids, frozenset(without[0]), patients)
        return _listed(expert, listed, samples, reading)
    listed = Listed("patient", samples.source, patients, frozenset(without[1]), ids)
    found, lines = _listed(expert, listed, samples, reading)
    if unit != "patient" and not one_sample_each(found.table, samples):
        raise InputError(f"{expert.table.source}: {NEEDS_UNIT}")
    return spread(found, samples), lines


def _listed(
    expert: PredictionTable, there: Listed, samples: Samples, reading: Reading
) -> tuple[PredictionTable, list[dict[str, Any]]]:
    """An expert's rows of known names, and a line for what is left out."""
    table, known = expert.table, set(there.known)
    ids = [name for name in text_column(table, "sample_id") if name is not None]
    unknown = [i for i in ids if i not in known and i not in there.without]
    hint = spelled_otherwise(unknown, ids, there.known)
    if unknown and not known & set(ids):
        hint = hint or spelled_otherwise(unknown, ids, there.others)
        hint = hint or _slides_hint(table, samples) or would_match(unknown, there.known)
        of_patients = there.what == "patient" and any(
            a != b for a, b in zip(there.known, there.others, strict=True)
        )
        raise InputError(
            f"{table.source}: none of its {len(ids)} {there.what}s is in {there.source} (the first is "
            f"'{ids[0]}'; there the first{' patient' if of_patients else ''} is '{there.known[0]}'{hint})"
        )
    if hint and not reading.allow_partial:
        raise InputError(
            f"{table.source}, column '{there.what}_id': '{unknown[0]}' is not in {there.source}{hint}, or, if they "
            f"are two {there.what}s, say --allow-partial"
        )
    shift = counted_otherwise(ids, [*there.known, *there.without])
    if shift is not None and not reading.allow_partial:
        raise InputError(
            f"{table.source}: its {there.what}s are numbered {shift[0]}, and those of {there.source} {shift[1]}, so "
            f"that each row would meet the {there.what} next to its own; count both from the same number, or, if "
            f"equal numbers are the same {there.what}, say --allow-partial"
        )
    reason = f"predicted {there.what}s that are not in {there.source}"
    check_left_out(table.source, reason, unknown, len(ids), reading, "predictions")
    gone = {*unknown, *(name for name in ids if name not in known)}
    if not gone:
        return expert, []
    kept = table.frame.filter(~pl.col("sample_id").cast(pl.String).is_in(sorted(gone)))
    lines = [line_of(reason, unknown, expert=expert.name)] if unknown else []
    return replace(expert, table=replace(table, frame=kept)), lines


def _slides_hint(table: Table, samples: Samples) -> str:
    """What to do where the predictions are of slides and the samples their patients."""
    if PATIENT.column not in table.frame.columns:
        return ""
    patients = {name for name in text_column(table, PATIENT.column) if name is not None}
    if not patients & set(samples.ids.tolist()):
        return ""
    return f"; {SLIDES_NEEDED}"
