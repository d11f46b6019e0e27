"""An importer: the files of one tool, read into pathfuse's tables, with options of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pathfuse.study.importers.imported import Imported

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class OnCommandLine:
    """How the command line takes an option, where the option's type is not enough.

    It is a part of the field's annotation: ``Annotated[bool, OnCommandLine(negative="--no-x")]``.
    """

    parse: Callable[[str], Any] | None = None
    """From the text that a user writes to the option's value; None: as for the option's type."""
    negative: str = ""
    """Name of the option that switches it off; empty: there is none."""


@dataclass(frozen=True)
class Importer(Generic[Options]):
    """Reads the files of one tool."""

    name: str
    """As in ``pathfuse import NAME``."""
    summary: str
    """What it reads, in one sentence, for the help."""
    source: str
    """What the source must be, in one sentence, for the help."""
    options: type[Options]
    """Its options; the description of a field is the help of its option."""
    reader: Callable[[Path, Options], Imported]

    def read(self, source: str | Path, options: Options | None = None) -> Imported:
        """Reads a source.

        Args:
            source: Folder or file of the other tool.
            options: Of the importer's own class ``options``; default: all at their defaults.

        Raises:
            InputError: The source cannot be understood, or its tables contradict each other.
        """
        return self.reader(Path(source), self.options() if options is None else options)

    @property
    def fields(self) -> dict[str, FieldInfo]:
        """Its options by name."""
        return self.options.model_fields


def on_command_line(field: FieldInfo) -> OnCommandLine:
    """How the command line takes an option."""
    found = (one for one in field.metadata if isinstance(one, OnCommandLine))
    return next(found, OnCommandLine())
