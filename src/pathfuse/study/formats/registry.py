"""All formats of predictions, in the order in which they are tried.

Examples:
    >>> [one.name for one in FORMATS][:3]
    ['refused', 'stamp', 'clam']
"""

from dataclasses import replace
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.special import left_out, refuse_special, special_kind
from pathfuse.files.tables import IN_WORDS, Table, split_sheet, stem_of, tables_in
from pathfuse.study.formats.base import Format, Predicted, Source
from pathfuse.study.formats.clam import CLAM
from pathfuse.study.formats.cox import COX
from pathfuse.study.formats.histobistro import HISTOBISTRO
from pathfuse.study.formats.medmnist import MEDMNIST
from pathfuse.study.formats.numbers import NUMBERS
from pathfuse.study.formats.refused import REFUSED
from pathfuse.study.formats.slideflow import SLIDEFLOW
from pathfuse.study.formats.stamp import STAMP
from pathfuse.study.formats.unnamed import named_index
from pathfuse.study.formats.wandb import TABLE, WANDB
from pathfuse.study.reading import Reading

FORMATS: tuple[Format, ...] = (
    REFUSED, STAMP, CLAM, SLIDEFLOW, HISTOBISTRO, MEDMNIST, WANDB, COX, NUMBERS,
)  # fmt: skip


def sources_at(path: Path) -> list[Source]:
    """The experts at a place: a table, a folder of tables, a tool's folder, or a folder of those.

    Raises:
        InputError: The place does not exist, holds no predictions, or cannot be read.
    """
    try:
        file, sheet = split_sheet(path)
        if not file.exists():
            raise InputError(f"{file} does not exist")
        refuse_special(file)
        if sheet is not None:
            return [_table(path)]
        found = _of_format(path)
        if found is not None:
            return found
        if path.is_file():
            return [_table(path)]
        tables = _tables_in(path)
        files, apart = [file for file in tables if not special_kind(file)], left_out(tables)
        if files:
            found = [one for file in files for one in _of_format(file) or [_table(file)]]
            return [replace(found[0], notes=(*found[0].notes, *apart)), *found[1:]]
        if apart:
            raise InputError(f"the folder {path} holds no table that can be read: {apart[0]}")
        inside = [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
        experts = [one for place in sorted(inside) for one in _of_folder(place)]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not experts:
        raise InputError(
            f"the folder {path} holds no table ({IN_WORDS}), nor folders with predictions of experts"
        )
    return experts


def understood(table: Table, reading: Reading) -> Predicted:
    """A table with our columns where its columns are those of a tool that we know."""
    table, notes = named_index(table)
    for one in FORMATS:
        found = one.understand(table, reading)
        if found is not None:
            return replace(found, notes=(*notes, *found.notes), format=one.name)
    return Predicted(table, notes)


def _of_format(path: Path) -> list[Source] | None:
    for one in FORMATS:
        found = one.find(path)
        if found is not None:
            return [replace(source, format=one.name) for source in found]
    return None


def _table(path: Path) -> Source:
    return Source(stem_of(path), (path,))


def _tables_in(path: Path) -> list[Path]:
    more = (p for p in path.iterdir() if p.name.endswith(TABLE) and not p.name.startswith("."))
    return sorted([*tables_in(path), *more])


def _of_folder(place: Path) -> list[Source]:
    """An expert's folder inside another folder: of a known tool, or with one table.

    Raises:
        InputError: It holds several tables, and nothing says which is the expert's.
    """
    found = _of_format(place)
    if found is not None:
        return found
    files = _tables_in(place)
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:3])
        raise InputError(
            f"the folder {place} holds {len(files)} tables ({names}{' ...' if len(files) > 3 else ''}), and one expert "
            "has one: give the files that are experts"
        )
    one = [_of_format(file) or [_table(file)] for file in files]
    return [replace(source, name=place.name) for source in one[0]] if one else []
