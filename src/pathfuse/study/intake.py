"""A samples table as its makers wrote it, turned into the one that the contract describes."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.endpoints.base import Endpoint, Understood
from pathfuse.endpoints.columns import flags
from pathfuse.endpoints.detect import ENDPOINTS, endpoint_of
from pathfuse.errors import InputError
from pathfuse.files.fields import Field, in_words, with_our_names
from pathfuse.files.names import pattern_of
from pathfuse.files.tables import Table, read_table, table_in_memory
from pathfuse.study.fields import PATIENT, ROLE_WORDS, SAMPLE, SAMPLES_FIELDS, SPLIT, id_names
from pathfuse.study.folds import with_one_fold
from pathfuse.study.formats.clam_splits import with_splits
from pathfuse.study.identify import identified
from pathfuse.study.left_out import check_left_out, line_of
from pathfuse.study.reading import DEFAULT, Reading


@dataclass(frozen=True)
class Intake:
    """A samples table in the contract's form."""

    table: Table
    kind: type[Endpoint]
    targets: list[str]
    """The endpoint's columns."""
    left_out: tuple[dict[str, Any], ...] = ()
    """Rows that were not taken, a line of the manifest for each reason."""
    notes: tuple[str, ...] = ()
    """What was understood, a sentence each."""
    without: frozenset[str] = frozenset()
    """Names of the rows that were not taken."""
    patients_without: frozenset[str] = frozenset()
    """Their patients, as far as the table names them."""
    called: Mapping[str, str] = field(default_factory=dict)
    """The endpoint's columns to what the table calls them, where that differs."""
    without_by_role: Mapping[str, int] = field(default_factory=dict)
    """How many of these rows have which role; the role is empty where there are none."""
    inputs: Mapping[str, str | None] = field(default_factory=dict)
    """Files next to the table that were read, with their SHA-256."""


SAMPLES_OF_TWO = 20
"""So many samples may be of two patients."""
OTHER_WORDS = {word: own for kind in ENDPOINTS.values() for word, own in kind.other_words.items()}
"""Words of ``--columns`` that say what a column means, to the words of the fields; see ``Endpoint``."""


def samples_table(samples: str | Path | Any, reading: Reading = DEFAULT) -> Table:
    """A samples table as it is, from a file or a data frame.

    Raises:
        InputError: It cannot be read.
    """
    if isinstance(samples, str | Path):
        return read_table(Path(samples), id_names(reading))
    return table_in_memory("samples", samples, id_names(reading))


def take_in(table: Table, endpoint: str | None = None, reading: Reading = DEFAULT) -> Intake:
    """Our names for columns, bare names of samples, and the rows that say something.

    Args:
        table: As read.
        endpoint: Name of the endpoint, if it was given.
        reading: What a person said about the table.

    Raises:
        InputError: Columns are missing or cannot be told apart, or too much would be left out.
    """
    targets_named = _target_columns(reading.columns)
    _check_one_each(targets_named)
    found_ids = identified(table, SAMPLES_FIELDS, reading)
    table, notes = found_ids.table, found_ids.notes
    if SAMPLE.column not in table.frame.columns:
        raise InputError(
            f"{table.source} has no column 'sample_id'; its columns are {', '.join(table.frame.columns)}; "
            "--columns sample=NAME says which one names the samples"
        )
    _check_patients_are_many(table, found_ids.called, reading)
    table, folded = with_one_fold(table, frozenset(reading.columns))
    inputs: dict[str, str | None] = {}
    if reading.splits is not None:
        pattern = pattern_of(reading.id_pattern, reading.id_length)
        table, inputs, note = with_splits(table, Path(reading.splits), pattern)
        folded = (*folded, note)
    table, roles = _with_roles(table)
    table, found = _with_targets(table, endpoint, targets_named)
    targets_named |= {own: word for word, own in OTHER_WORDS.items() if word in targets_named}
    try:
        kind, targets = endpoint_of(list(table.frame.columns), table.source, endpoint)
    except InputError as error:
        raise InputError(f"{error}{_one_hot_hint(table)}") from None
    _check_signs(table, targets, found)
    table.check_clear(found.get(target, target) for target in targets)
    unused = kind.unused(table, targets_named)
    understood = kind.understand(table, found, reading.zero_time)
    if understood.as_endpoint is not None and endpoint is None:
        kind = ENDPOINTS[understood.as_endpoint]
        targets = kind.target_columns(understood.table.frame.columns)
    everybody, persons = _named(understood.table, SAMPLE), _named(understood.table, PATIENT)
    table, left_out = _with_truth(understood, reading)
    kept = _named(table, SAMPLE)
    return Intake(
        table,
        kind,
        targets,
        tuple(left_out),
        (
            *table.notes,
            *notes,
            *folded,
            *roles,
            *in_words(table, found),
            *unused,
            *understood.notes,
        ),
        frozenset(everybody - kept),
        frozenset(persons - _named(table, PATIENT)),
        found,
        _by_role(understood.table, everybody - kept),
        inputs,
    )


def _named(table: Table, field: Field) -> set[str]:
    """What one of our columns names; nothing where there is none."""
    if field.column not in table.frame.columns:
        return set()
    return set(table.frame[field.column].cast(pl.String).drop_nulls().to_list())


def _check_patients_are_many(table: Table, names: Mapping[str, str], reading: Reading) -> None:
    """Refuses a column of patients that rather says case or control.

    Our own name and a column that was chosen may have two values, if these are not 0 and 1.

    Raises:
        InputError: Naming the column and the way out.
    """
    if PATIENT.column not in table.frame.columns or PATIENT.word in reading.columns:
        return
    name, given = names.get(PATIENT.column, PATIENT.column), table.frame[PATIENT.column]
    found = given.cast(pl.String).drop_nulls()
    values = set(found.replace({"0.0": "0", "1.0": "1"}))
    coded = len(found) > len(values) and values <= {"0", "1"}
    few = len(values) == 2 and len(found) > SAMPLES_OF_TWO and name != PATIENT.column
    if coded or few:
        shown = " and ".join(f"'{value}'" for value in sorted(values))
        raise InputError(
            f"{table.source}: the column '{name}' holds nothing but {shown} for {len(found)} samples, so that it seems "
            f"to name groups, not patients; say which one names the patients: --columns {PATIENT.word}=NAME "
            f"({name} if it does); if none does, call this column otherwise"
        )


def _with_roles(table: Table) -> tuple[Table, tuple[str, ...]]:
    """The table with our words for roles, and which others were taken for them."""
    if SPLIT.column not in table.frame.columns:
        return table, ()
    given = table.frame[SPLIT.column].cast(pl.String)
    ours = pl.Series(SPLIT.column, [ROLE_WORDS.get((one or "").lower(), one) for one in given])
    changed = sorted({(a, b) for a, b in zip(given, ours, strict=True) if a != b and a is not None})
    notes = tuple(f"{table.source}: the role '{a}' is taken as '{b}'" for a, b in changed)
    return replace(table, frame=table.frame.with_columns(ours.cast(pl.String))), notes


def _target_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """The columns that ``--columns`` names for an endpoint.

    Raises:
        InputError: A word stands for nothing.
    """
    own = {field.word for field in SAMPLES_FIELDS}
    fields = {field.word for kind in ENDPOINTS.values() for field in kind.fields} | {*OTHER_WORDS}
    prefixes = tuple(kind.target_prefix for kind in ENDPOINTS.values() if kind.target_prefix)
    others = {word: name for word, name in columns.items() if word not in own}
    for word in others:
        if word not in fields and not word.startswith(prefixes):
            known = ", ".join(
                [*sorted(own), *sorted(fields), *(f"{one}<name>" for one in prefixes)]
            )
            raise InputError(f"--columns '{word}' is unknown; what can be named: {known}")
    return others


def _check_one_each(chosen: Mapping[str, str]) -> None:
    """Refuses two words of ``--columns`` for one of our columns.

    Raises:
        InputError: Naming both.
    """
    for word, own in OTHER_WORDS.items():
        if word in chosen and own in chosen:
            raise InputError(
                f"--columns {own}={chosen[own]} and {word}={chosen[word]} name two columns for one; give the one "
                "that is right"
            )


def _with_targets(
    table: Table, endpoint: str | None, chosen: Mapping[str, str]
) -> tuple[Table, dict[str, str]]:
    """The table with an endpoint's columns under our names, and which were renamed.

    Other names than ours count only where no column has one of ours, or where they were chosen.
    """
    names: dict[str, str] = {}
    for word, column in chosen.items():
        if any(word == field.word for kind in ENDPOINTS.values() for field in kind.fields):
            continue
        if column not in table.frame.columns:
            raise InputError(f"--columns {word}={column}: {table.source} has no column '{column}'")
        frame = table.frame if column == word else table.frame.drop(word, strict=False)
        table = replace(table, frame=frame.rename({column: word}))
        names |= {word: column} if column != word else {}
    chosen = {**chosen, **{own: word for word, own in OTHER_WORDS.items() if word in chosen}}
    guessing = endpoint is None and not chosen and not _has_target(table)
    for kind in ENDPOINTS.values():
        wanted = kind.kind == endpoint or any(field.word in chosen for field in kind.fields)
        if (wanted or guessing) and kind.fields:
            found = _targets_of(kind, table, chosen, layouts=wanted)
            table, names = found[0], names | found[1]
    if guessing and not _has_target(table):
        for kind in ENDPOINTS.values():
            found = _targets_of(kind, table, chosen, layouts=True)
            table, names = found[0], names | found[1]
    return table, names


def _check_signs(table: Table, targets: Sequence[str], called: Mapping[str, str]) -> None:
    """Refuses labels ``+`` and ``-``: the second is read as a missing value.

    Raises:
        InputError: Naming the column and the way out.
    """
    for target in targets:
        name = called.get(target, target)
        if table.minus.get(name):
            raise InputError(
                f"{table.source}, column '{name}': '-' ({table.minus[name]} cells) is read as a missing value, and "
                "next to '+' it may be meant as a label; write both in words, such as negative and positive, and "
                "call the columns of the predictions alike"
            )


def _one_hot_hint(table: Table) -> str:
    """How to name columns of which each row has exactly one; empty if there are none."""
    own = {field.column for field in SAMPLES_FIELDS}
    marked = {
        name: flags(table.frame[name])
        for name in table.frame.columns
        if name not in own and not table.frame[name].dtype.is_nested()
    }
    marked = {name: cells for name, cells in marked.items() if cells.is_in(["0", "1"]).all()}
    if (
        len(marked) < 2
        or not (
            pl.DataFrame(
                [cells.eq("1").cast(pl.Int64) for cells in marked.values()]
            ).sum_horizontal()
            == 1
        ).all()
    ):
        return ""
    names = ",".join(f"label_{name}={name}" for name in marked)
    return f"; each row has exactly one of {', '.join(marked)}: --columns {names} takes them as classes"


def _by_role(table: Table, names: Set[str]) -> dict[str, int]:
    """How many of some samples have which role; the role is empty where there are none."""
    gone = table.frame.filter(pl.col(SAMPLE.column).cast(pl.String).is_in(sorted(names)))
    if SPLIT.column not in gone.columns:
        return {"": gone.height}
    return dict(Counter(str(role) for role in gone[SPLIT.column] if role is not None))


def endpoints_in_time(table: Table, reading: Reading) -> list[str]:
    """Endpoints of a follow-up that a samples table as read has the columns of."""
    chosen = _target_columns(reading.columns)
    found = []
    for name, kind in ENDPOINTS.items():
        if kind.in_time:
            own = {*(field.word for field in kind.fields), *kind.other_words} & set(chosen)
            words = {kind.other_words.get(word, word): chosen[word] for word in own}
            renamed, _ = _targets_of(kind, table, words, layouts=True)
            if kind.target_columns(renamed.frame.columns):
                found.append(name)
    return found


def _has_target(table: Table) -> bool:
    return any(kind.target_columns(table.frame.columns) for kind in ENDPOINTS.values())


def _targets_of(
    kind: type[Endpoint], table: Table, chosen: Mapping[str, str], *, layouts: bool
) -> tuple[Table, dict[str, str]]:
    """The table with one endpoint's columns under our names if it has them all; else as it is."""
    renamed, own = kind.with_layout(table, chosen) if layouts else (table, {})
    renamed, found = with_our_names(renamed, kind.fields, {} if own else chosen)
    if not kind.target_columns(renamed.frame.columns):
        return table, {}
    return renamed, own | found


def _with_truth(understood: Understood, reading: Reading) -> tuple[Table, list[dict[str, Any]]]:
    """The rows that are of use, and a line for each reason why others are not."""
    table, left_out, gone = understood.table, [], set[int]()
    n_all = table.frame.height
    if understood.objections and not reading.allow_partial:
        raise InputError(f"{understood.objections[0]}; if that is right, say --allow-partial")
    for reason, rows in understood.unusable.items():
        names = [str(name) for name in table.frame[SAMPLE.column].gather(rows).to_list()]
        check_left_out(table.source, reason, names, n_all, reading, "samples")
        left_out.append(line_of(reason, names))
        gone |= set(rows)
    if gone:
        kept = [row for row in range(n_all) if row not in gone]
        table = replace(table, frame=table.frame[kept])
    return table, left_out
