"""Folders that a command makes, goes on in after a stop, and finishes.

What has not changed is not made again.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathfuse
from pathfuse.errors import InputError, unwritten
from pathfuse.files.at_work import clear_inside
from pathfuse.files.json import read_object
from pathfuse.files.places import check_place
from pathfuse.files.temporary import OLD, sweep, temporary_name
from pathfuse.files.write import write_json_file


@dataclass(frozen=True)
class OutputFolder:
    """A folder with a record of what it was made of.

    It is either *claimed* for a kind of results before they are there, or holds the result of one
    *stamp*: a digest of all that decides it.
    """

    place: Path
    record: str = "manifest.json"
    """The JSON file that says what the folder was made of, or whose it is."""
    key: str = "stamp"
    """Where in the record the stamp stands."""
    needs: tuple[str, ...] = ()
    """Files without which the folder is not whole."""

    @property
    def recorded(self) -> dict[str, Any]:
        """What the record says; empty if there is none that can be read."""
        return read_object(self.place / self.record)

    def up_to_date(self, stamp: object) -> bool:
        """Whether the folder is whole and was made of these inputs, options and version."""
        return self.recorded.get(self.key) == stamp and all(
            (self.place / name).is_file() for name in self.needs
        )

    def check(self, kind: str, named: str, inputs: Sequence[Path] = ()) -> None:
        """Refuses a place that cannot be claimed, before any work is done.

        Args:
            kind: What the record calls these results.
            named: Whose results they are in words, such as ``a suite``.
            inputs: What is read, and may not lie in there.

        Raises:
            InputError: The place is bad, or holds something else.
        """
        check_place(self.place, inputs)
        filled = self.place.is_dir() and any(
            not path.name.startswith(".") for path in self.place.iterdir()
        )
        if filled and self.recorded.get("kind") != kind:
            raise InputError(
                f"the output {self.place} holds something else than {named}'s results; choose another folder"
            )

    def claim(self, kind: str) -> None:
        """Makes the folder, and records whose it is, unless that is known.

        Raises:
            InputError: It cannot be made.
        """
        self.make()
        if not (self.place / self.record).exists():
            self.finish({"kind": kind, "pathfuse": pathfuse.__version__, "finished": False})

    def make(self) -> None:
        """Makes the folder, if it is not there; takes away what killed runs left in it.

        Raises:
            InputError: It cannot be made.
        """
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritten(f"the output {self.place}", error) from error
        clear_inside(self.place)

    def resume(self, stamp: str, fresh: bool = False) -> None:
        """Makes the folder, and keeps what lies in it if it is of the same inputs.

        Several processes may do so at a time: a folder without a record is one that another is
        about to make, since what is of other inputs goes as a whole.

        Args:
            stamp: Of the inputs.
            fresh: Keep nothing.

        Raises:
            InputError: It cannot be made.
        """
        sweep(self.place)
        known = (self.place / self.record).exists()
        if self.place.is_dir() and (fresh or (known and not self.up_to_date(stamp))):
            old = temporary_name(self.place, OLD)
            self.place.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        self.make()
        self.finish({self.key: stamp})

    def finish(self, content: dict[str, Any]) -> None:
        """Writes the record: the folder is what that says."""
        write_json_file(content, self.place / self.record)

    def discard(self, only: Collection[str] | None = None) -> None:
        """Removes the folder; with ``only`` not if anything else stands in it."""
        if only is None or {path.name for path in self.place.iterdir()} <= set(only):
            shutil.rmtree(self.place, ignore_errors=True)
