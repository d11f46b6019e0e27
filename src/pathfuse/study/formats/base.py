"""What a format of predictions is, and what it makes of a folder, a file or a table."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathfuse.files.tables import Table, read_table
from pathfuse.study.reading import Reading


@dataclass(frozen=True)
class Source:
    """Where one expert's predictions are: a file, or several that are one table together."""

    name: str
    """The expert's."""
    files: tuple[Path, ...]
    folds: tuple[str, ...] = ()
    """Of each file, where the files are the test rows of folds."""
    notes: tuple[str, ...] = ()
    """What was understood, a sentence each."""
    place: Path | None = None
    """The folder that stands for several files."""
    read: Callable[[Path, Collection[str]], Table] = read_table
    """From a file, and what a column of samples or patients may be called."""
    format: str = ""
    """Name of the format, if the place says it."""


@dataclass(frozen=True)
class Numbered:
    """Columns that say which class they are of by its number alone."""

    columns: tuple[str, ...]
    """In the order of the numbers, from 0."""
    prefix: str
    """What they hold: ``prob_`` or ``logit_``."""
    truth: str | None = None
    """The column that holds the number of the true class."""


@dataclass(frozen=True)
class Predicted:
    """A table of predictions with our columns, as far as the table alone allows."""

    table: Table
    notes: tuple[str, ...] = ()
    """What was understood, a sentence each."""
    numbered: Numbered | None = None
    targets: Mapping[str, str] = field(default_factory=dict)
    """What the tool's own columns say is predicted: a word of ``--columns`` to the column."""
    format: str = ""
    """Name of the format, if it is known."""


def _nowhere(_path: Path) -> list[Source] | None:
    return None


def _nothing(_table: Table, _reading: Reading) -> Predicted | None:
    return None


@dataclass(frozen=True)
class Format:
    """The files of one tool."""

    name: str
    in_words: str
    """What it recognises, for documentation and messages."""
    docs: str
    """The page that says more."""
    find: Callable[[Path], list[Source] | None] = _nowhere
    """The experts at a place; None if the place is not of this format.

    Raises ``InputError`` where it is, and cannot be read."""
    understand: Callable[[Table, Reading], Predicted | None] = _nothing
    """A table with our columns; None if its columns are not of this format."""
    importable: bool = True
    """Whether ``pathfuse import`` offers it."""


def numbered_columns(header: Sequence[str], pattern: str, first: int = 0) -> tuple[str, ...]:
    """Columns with the numbers 0, 1, ... K-1 that a pattern's last group finds; empty if K < 2.

    ``first`` is another number to begin with.

    Examples:
        >>> numbered_columns(["slide_id", "p_0", "p_1", "p_x"], r"p_([0-9]+)")
        ('p_0', 'p_1')
    """
    found: dict[int, str] = {}
    for name in header:
        match = re.fullmatch(pattern, name)
        if match is not None and str(int(match.groups()[-1])) == match.groups()[-1]:
            found[int(match.groups()[-1])] = name
    whole = len(found) > 1 and sorted(found) == list(range(first, first + len(found)))
    return tuple(found[k] for k in sorted(found)) if whole else ()
