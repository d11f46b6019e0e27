"""Merged cells of a spreadsheet: their value, which stands in the first of them, counts for all rows."""

import io
import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS

_WAY_OUT = "undo the merging in Excel, or save the sheet as CSV with a value in every cell"
_RELATIONS = "xl/_rels/workbook.xml.rels"


@dataclass(frozen=True)
class Merged:
    """One block of merged cells, counted from 0 inside the used part of the sheet."""

    name: str
    """As Excel writes it, such as ``A2:A3``."""
    first_row: int
    last_row: int
    first_column: int
    last_column: int


@dataclass
class _Cells:
    """What the XML of a sheet says of its cells, counted from 1 as Excel does."""

    filled: set[tuple[int, int]] = field(default_factory=set)
    """Row and column of those with a value."""
    empty: set[tuple[int, int]] = field(default_factory=set)
    """Of those whose value is empty, such as that of a formula."""
    merged: list[str] = field(default_factory=list)

    def start_of(self, height: int, width: int) -> tuple[int, int] | None:
        """The first row and column of the used part, if it has this size.

        Readers differ in whether an empty value is in use.
        """
        for used in (self.filled, self.filled | self.empty):
            rows, columns = {row for row, _ in used}, {column for _, column in used}
            if rows and (max(rows) - min(rows) + 1, max(columns) - min(columns) + 1) == (
                height,
                width,
            ):
                return min(rows), min(columns)
        return None


@dataclass(frozen=True)
class Filled:
    """The cells of a sheet in which merged cells have their value in every row."""

    cells: pl.DataFrame
    notes: list[str] = field(default_factory=list)
    unclear: dict[str, str] = field(default_factory=dict)
    """Columns whose cells are merged with those of others, and what to say if one is used."""


def filled_down(source: str, raw: bytes, sheet: str, cells: pl.DataFrame) -> Filled:
    """The cells of a sheet with the value of merged cells in every row that they span.

    Rows that hold nothing but one cell that is merged over several columns, such as a footnote, are
    emptied.

    Args:
        source: Where the workbook is from.
        raw: Its bytes.
        sheet: Name of the sheet.
        cells: All its cells as text, from the first used row and column on; the names of the
            columns are the first row.

    Raises:
        InputError: Merged cells span the names of columns and rows below them.
    """
    blocks = _merged_in(source, raw, sheet, cells)
    if not blocks:
        return Filled(cells)
    names = [(name or "").strip(BLANKS) for name in cells.row(0)]
    over = [(block, _names_over(source, sheet, block, names)) for block in blocks]
    filled, notes = _each_row_filled(cells, [b for b, named in over if len(named) == 1], names)
    frame, unclear = filled.clone(), dict[str, str]()
    for block, named in over:
        row, column = block.first_row, block.first_column
        if len(named) < 2 or row == 0 or not filled[row, column]:
            continue
        what = f"the cells {block.name} are merged over the columns {', '.join(named)}"
        if not any(names[:column]) and _stands_alone(block, filled):
            frame[row, column] = None
            notes.append(f"{what}, and nothing else stands in their rows: they are ignored")
            continue
        notes.append(f"{what}: their value is taken for the first alone")
        trouble = f"{what}, and which of these the value belongs to cannot be told; {_WAY_OUT}"
        unclear |= dict.fromkeys(named, f"{source}, sheet '{sheet}': {trouble}")
    return Filled(frame, notes, unclear)


def _each_row_filled(
    cells: pl.DataFrame, blocks: Sequence[Merged], names: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """A copy of the cells with the value of merged cells of one column in each row, and a note."""
    columns = {k: cells[:, k].to_list() for k in {block.first_column for block in blocks}}
    n_filled: Counter[str] = Counter()
    for block in blocks:
        column = columns[block.first_column]
        value = column[block.first_row]
        if not names[block.first_column] or value is None or block.first_row == block.last_row:
            continue
        for row in range(block.first_row + 1, block.last_row + 1):
            column[row] = value
        n_filled[names[block.first_column]] += 1
    frame = cells.with_columns(
        pl.Series(cells.columns[k], column, dtype=pl.String) for k, column in columns.items()
    )
    if not n_filled:
        return frame, []
    shown = ", ".join(
        f"'{name}' ({n} {'block' if n == 1 else 'blocks'})" for name, n in n_filled.items()
    )
    return frame, [
        f"merged cells hold one value for several rows, which counts for each of them: {shown}"
    ]


def _names_over(source: str, sheet: str, block: Merged, names: Sequence[str]) -> list[str]:
    """The names of the columns that merged cells span.

    Raises:
        InputError: They span the names themselves and rows below them.
    """
    last = min(block.last_column, len(names) - 1)
    named = [name for name in names[block.first_column : last + 1] if name]
    if block.first_row == 0 and block.last_row > 0 and named:
        raise InputError(
            f"{source}, sheet '{sheet}': the cells {block.name} are merged, so that the names of the columns stand "
            "in several rows; give each column its name in one row"
        )
    return named


def _stands_alone(block: Merged, cells: pl.DataFrame) -> bool:
    """Whether nothing else stands in the rows of merged cells."""
    rows = cells[block.first_row : block.last_row + 1]
    return all(
        (cell or "").strip(BLANKS) == ""
        for n, row in enumerate(rows.iter_rows())
        for k, cell in enumerate(row)
        if (n, k) != (0, block.first_column)
    )


def _merged_in(source: str, raw: bytes, sheet: str, cells: pl.DataFrame) -> list[Merged]:
    """The merged cells of a sheet that lie in its used part."""
    xml = _sheet_xml(source, raw, sheet)
    if b"mergeCell" not in xml:
        return []
    found = _parsed(source, xml)
    if not found.merged:
        return []
    start = found.start_of(cells.height, cells.width)
    if start is None:
        raise InputError(
            f"{source}, sheet '{sheet}': it has merged cells whose rows cannot be told; {_WAY_OUT}"
        )
    top, left = start
    height, width = cells.height, cells.width
    blocks = []
    for name in found.merged:
        first, _, last = name.partition(":")
        (row, column), (last_row, last_column) = _place(first), _place(last or first)
        block = Merged(
            name, row - top, min(last_row - top, height - 1), column - left, last_column - left
        )
        if 0 <= block.first_row < height and 0 <= block.first_column < width:
            blocks.append(block)
    return sorted(blocks, key=lambda block: (block.first_column, block.first_row))


def _place(name: str) -> tuple[int, int]:
    """Row and column of a cell, from 1.

    Examples:
        >>> _place("B7"), _place("$AA$10")
        ((7, 2), (10, 27))
    """
    letters, digits = re.sub(r"[^A-Z]", "", name.upper()), re.sub(r"[^0-9]", "", name)
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(digits), column


def _parsed(source: str, xml: bytes) -> _Cells:
    """Where the XML of a sheet has values, and which cells are merged.

    A cell without a place of its own follows the one before it.
    """
    found, place = _Cells(), [0, 0]

    def start(tag: str, attributes: dict[str, str]) -> None:
        match tag.rpartition(":")[2]:
            case "row":
                place[:] = [int(attributes.get("r", place[0] + 1)), 0]
            case "c":
                own = attributes.get("r")
                place[:] = _place(own) if own else (place[0], place[1] + 1)
            case "v":
                found.empty.add((place[0], place[1]))
            case "is":
                found.filled.add((place[0], place[1]))
            case "mergeCell":
                found.merged.append(attributes["ref"])

    def text(_letters: str) -> None:
        if (place[0], place[1]) in found.empty:
            found.filled.add((place[0], place[1]))

    _parse(source, xml, start, text)
    return found


def _sheet_xml(source: str, raw: bytes, sheet: str) -> bytes:
    """The XML of one sheet; empty where the workbook does not say which file it is."""
    sheets, targets = dict[str, str](), dict[str, str]()

    def on_sheet(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "sheet":
            own = next((v for k, v in attributes.items() if k.rpartition(":")[2] == "id"), "")
            sheets[attributes.get("name", "")] = own

    def on_relation(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        inside = set(archive.namelist())
        if not {"xl/workbook.xml", _RELATIONS} <= inside:
            return b""
        _parse(source, archive.read("xl/workbook.xml"), on_sheet)
        _parse(source, archive.read(_RELATIONS), on_relation)
        target = targets.get(sheets.get(sheet, ""), "")
        file = target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
        file = posixpath.normpath(file)
        return archive.read(file) if file in inside else b""


def _parse(
    source: str,
    xml: bytes,
    start: Callable[[str, dict[str, str]], None],
    text: Callable[[str], object] | None = None,
) -> None:
    """Calls ``start`` for every element and ``text`` for what stands between them.

    A document that declares entities is not followed.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise InputError(f"{source} is not a complete spreadsheet (.xlsx): {error}") from error


def _refuse_entity(name: str, *_rest: object) -> None:
    raise ValueError(f"the entity '{name}' is declared in it")
