"""Which sample each row of a LogitProd dump is: from ``slide_ids``, from a list, or by confirmed
order.

The published code joins experts by row number, although their training rows are shuffled
differently and a missing slide shifts all later rows (docs/design/logitprod.md, section 3.1,
defects 4 and 5). Here a row without a name is joined to nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pathfuse.errors import InputError
from pathfuse.files.hdf5 import Hdf5Error, check_claim, check_reach
from pathfuse.files.tables import Table, read_table, text_column
from pathfuse.study.importers.logitprod_files import STEMS, Dump, DumpPart, Log, read_bytes
from pathfuse.study.importers.logitprod_options import LogitProdOptions

Place: TypeAlias = tuple[str | None, int | None, str]
"""Expert (None: all), split (None: tile layout) and part."""
FOLDS_REASON = "--folds imports test rows only"


@dataclass(frozen=True)
class IdList:
    """The user's list."""

    source: str
    names: dict[Place, dict[int, str]] = field(default_factory=dict)
    """Row number, from 0, to ``sample_id``."""
    patients: dict[str, str] = field(default_factory=dict)
    """``sample_id`` to ``patient_id``."""

    def of(self, part: DumpPart) -> dict[int, str] | None:
        """The names of one part's rows."""
        own = self.names.get((part.expert, part.split, part.name))
        return own if own is not None else self.names.get((None, part.split, part.name))


def read_id_list(file: Path, dump: Dump, splits: tuple[int | None, ...], log: Log) -> IdList:
    """Reads a table ``split, part, row, sample_id[, patient_id][, expert]``.

    ``split`` may be absent if one split is imported, and counts for nothing in the tile layout.
    With ``expert`` a line holds for that expert only; an empty cell, or no such column, means all
    experts.

    Raises:
        InputError: A column is missing, a cell is wrong, a row is named twice, or a sample has two
            patients.
    """
    table = read_table(file)
    log.inputs[table.source] = table.sha256 or ""
    cells = {name: text_column(table, name) for name in ("part", "row", "sample_id")}
    for name in ("split", "expert", "patient_id"):
        if name in table.frame.columns:
            cells[name] = text_column(table, name)
    if "split" not in cells and len(splits) > 1:
        raise InputError(
            f"{table.source} has no column 'split', which is needed for several splits"
        )
    result = IdList(table.source)
    for line in range(table.frame.height):
        one_split = "split" not in cells or not dump.splits
        split = splits[0] if one_split else _number(table, cells["split"], "split", line)
        if split in splits:
            _read_line(result, table, cells, line, split, dump)
    return result


def _read_line(
    found: IdList,
    table: Table,
    cells: dict[str, list[str | None]],
    line: int,
    split: int | None,
    dump: Dump,
) -> None:
    """Adds one line of the table to the list."""
    expert = cells["expert"][line] if "expert" in cells else None
    if expert is not None and expert not in dump.experts:
        known = ", ".join(dump.experts)
        raise _wrong(table, "expert", line, f"'{expert}' is none of the experts {known}")
    part, sample = cells["part"][line], cells["sample_id"][line]
    if part not in STEMS:
        raise _wrong(table, "part", line, f"'{part or ''}' is none of {', '.join(STEMS)}")
    if sample is None:
        raise _wrong(table, "sample_id", line, "the cell is empty")
    row = _number(table, cells["row"], "row", line)
    names = found.names.setdefault((expert, split, part), {})
    if row in names:
        twice = f"row {row} of {part} is named twice: '{names[row]}' and '{sample}'"
        raise _wrong(table, "row", line, twice)
    names[row] = sample
    patient = cells["patient_id"][line] if "patient_id" in cells else None
    if patient is not None and found.patients.setdefault(sample, patient) != patient:
        both = f"sample '{sample}' has two patients, '{found.patients[sample]}' and '{patient}'"
        raise _wrong(table, "patient_id", line, both)


def _wrong(table: Table, column: str, line: int, what: str) -> InputError:
    return InputError(f"{table.source}, column '{column}', row {line + 1}: {what}")


def _number(table: Table, cells: list[str | None], column: str, line: int) -> int:
    text = cells[line] or ""
    if not (text.isascii() and text.isdigit()):
        raise _wrong(table, column, line, f"'{text}' is not a whole number of at least 0")
    return int(text)


def name_rows(
    parts: Sequence[DumpPart], options: LogitProdOptions, id_list: IdList | None, log: Log
) -> list[DumpPart]:
    """Gives every row its ``sample_id``, or leaves it out, or refuses.

    See docs/design/formats.md, section 3.

    Args:
        parts: All parts read.
        options: ``folds`` and ``confirm_row_order`` are used.
        id_list: The user's list, which goes before ``slide_ids``.
        log: Receives what was left out.

    Returns:
        The parts whose rows have names. Train rows without names are left out, and with ``folds``
        val rows too.

    Raises:
        InputError: Val or test rows have no names and their order is not confirmed, or cannot be.
    """
    named, groups = [], dict[tuple[int | None, str], list[DumpPart]]()
    for part in parts:
        ids = _listed(part, id_list) or _slide_ids(part, log)
        if ids is None:
            groups.setdefault((part.split, part.name), []).append(part)
        else:
            _check_unique(part, ids, id_list)
            named.append(replace(part, ids=ids))
    for (split, name), nameless in groups.items():
        if options.folds and name != "test":
            reason = FOLDS_REASON
        elif name == "train":
            reason = (
                "they have no ids, and each expert's training rows lie in an order of their own"
            )
        else:
            others = [part for part in named if (part.split, part.name) == (split, name)]
            named += _by_order(nameless, others, options, id_list, log)
            continue
        for part in nameless:
            log.leave(part, np.ones(len(part.values), dtype=bool), reason)
    return named


def _listed(part: DumpPart, id_list: IdList | None) -> tuple[str, ...] | None:
    names = id_list.of(part) if id_list is not None else None
    if id_list is None or names is None:
        return None
    n = len(part.values)
    lost = next((row for row in range(n) if row not in names), None)
    if lost is not None or len(names) != n:
        trouble = f"row {lost} has no name" if lost is not None else f"row {max(names)} is listed"
        raise InputError(
            f"{id_list.source} names {len(names)} rows of {part.place}, but {part.file} has {n} and {trouble}; row "
            "numbers cannot say which sample is missing, so give this expert lines of its own (column 'expert')"
        )
    return tuple(names[row] for row in range(n))


def _check_unique(part: DumpPart, ids: Sequence[str], id_list: IdList | None) -> None:
    seen: set[str] = set()
    for sample in ids:
        if sample in seen:
            source = (
                id_list.source if id_list is not None and id_list.of(part) else _features_file(part)
            )
            raise InputError(
                f"{source}: '{sample}' occurs twice in {part.place} of the expert '{part.expert}'"
            )
        seen.add(sample)


def _features_file(part: DumpPart) -> Path:
    return part.file.parent / f"{part.name}_features_labels.h5"


def _slide_ids(part: DumpPart, log: Log) -> tuple[str, ...] | None:
    """Names from ``<part>_features_labels.h5``, if they are there and belong to these rows."""
    file = _features_file(part)
    if not file.exists():
        return None
    raw, labels = _read_h5(file, log)
    if raw is None:
        return None
    ids = tuple(_text(file, row, cell) for row, cell in enumerate(raw))
    if len(ids) != len(part.values):
        raise InputError(
            f"{file} has {len(ids)} slide_ids, but {part.file} has {len(part.values)} rows"
        )
    if ids == tuple(str(row) for row in range(len(ids))):
        log.note(
            f"{file.name} of {part.place}: slide_ids that only count rows (0, 1, ...) were not taken as ids"
        )
        return None
    if labels is not None and labels.size == part.labels.size:
        mine = labels.reshape(part.labels.shape)
        differs = np.flatnonzero(
            ~np.isclose(mine, part.labels, rtol=1e-6, atol=0, equal_nan=True).reshape(len(ids), -1)
        )
        if len(differs) and part.name == "train":
            log.note(
                f"{file}: its labels lie in another order than {part.label_file.name}, so its slide_ids were not used"
            )
            return None
        if len(differs):
            row = int(differs[0]) // (part.labels.size // len(ids))
            raise InputError(
                f"{file}, row {row} (counted from 0): the label differs from {part.label_file.name}, "
                "so its slide_ids do not name the rows of the logits"
            )
    return ids


def _read_h5(file: Path, log: Log) -> tuple[list[Any] | None, np.ndarray | None]:
    """``slide_ids`` and ``labels``; None where absent."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{file} may hold slide_ids, but h5py is not installed: pip install 'pathfuse[formats]', or give --ids"
        ) from error
    read_bytes(file, log)
    try:
        with h5py.File(file, "r") as content:
            check_reach(content, file)
            for name in ("slide_ids", "labels"):
                if name in content:
                    check_claim(content[name], name)
            found = {
                name: np.asarray(content[name][()]).reshape(-1)
                for name in ("slide_ids", "labels")
                if name in content
            }
            numeric = "labels" in found and found["labels"].dtype.kind in "fiu"
            labels = found["labels"].astype(np.float64) if numeric else None
            return (found["slide_ids"].tolist() if "slide_ids" in found else None), labels
    except Hdf5Error as error:
        raise InputError(f"{file}: {error}") from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is not a complete HDF5 file with a readable data set 'slide_ids'"
        ) from error


def _text(file: Path, row: int, cell: Any) -> str:
    try:
        text = (
            cell.decode()
            if isinstance(cell, bytes)
            else str(cell)
            if isinstance(cell, str | int)
            else ""
        )
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise InputError(
            f"{file}, slide_ids, row {row} (counted from 0): {cell!r} is not an identifier"
        )
    return text


def _by_order(
    nameless: list[DumpPart],
    named: list[DumpPart],
    options: LogitProdOptions,
    id_list: IdList | None,
    log: Log,
) -> list[DumpPart]:
    """Names such as ``split0:test:00017``, only if nothing contradicts one order and the user
    vouches for it.
    """
    first = nameless[0]
    advice = (
        f"{id_list.source} names no row of {first.place}"
        if id_list is not None
        else "give them with --ids"
    )
    if named:
        raise InputError(
            f"{first.file}: the rows of {first.place} have no ids for the expert '{first.expert}', while the expert "
            f"'{named[0].expert}' has them, so they cannot be joined; {advice}"
        )
    if options.folds:
        raise InputError(
            f"{first.file}: the rows of {first.place} have no ids, so it is unknown whether the test sets of the "
            f"splits are disjoint, which --folds needs; {advice}"
        )
    for other in nameless[1:]:
        _check_same_rows(first, other, advice)
    if not options.confirm_row_order:
        raise InputError(
            f"{first.file}: the rows of {first.place} have no ids; {advice}, or, if you know that row i is the same "
            "sample for every expert, say so with --confirm-row-order"
        )
    log.note(
        f"{first.place} rows have no ids: row i was taken as the same sample for every expert, as all have "
        f"{len(first.values)} rows with identical labels (--confirm-row-order)"
    )
    prefix = "tile" if first.split is None else f"split{first.split}"
    ids = tuple(f"{prefix}:{first.name}:{row:05d}" for row in range(len(first.values)))
    return [replace(part, ids=ids) for part in nameless]


def _check_same_rows(first: DumpPart, other: DumpPart, advice: str) -> None:
    start = f"the rows of {first.place} have no ids and cannot be joined by their order"
    if len(first.values) != len(other.values):
        raise InputError(
            f"{start}: {first.file} has {len(first.values)} rows, but {other.file} has {len(other.values)}; {advice}"
        )
    same = np.isclose(first.labels, other.labels, rtol=1e-6, atol=0, equal_nan=True).reshape(
        len(first.labels), -1
    )
    if not same.all():
        row = int(np.flatnonzero(~same.all(axis=1))[0])
        raise InputError(
            f"{start}: {first.label_file} and {other.label_file} differ in row {row} (counted from 0); {advice}"
        )
