"""Which files every sample was scored from: what has not changed is not read again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pathfuse.errors import InputError
from pathfuse.files.json import read_object
from pathfuse.files.write import write_json_file

KIND = "score"
FileState: TypeAlias = tuple[str, int, int]
"""Name, bytes, and time of change in nanoseconds."""
State: TypeAlias = dict[str, tuple[FileState, ...]]
"""Of one sample: by encoder, the files of its slides."""


@dataclass
class Seen:
    """The record of earlier calls."""

    file: Path
    stamp: str
    """Of the study that scored."""
    by_table: bool
    """Whether a slide table says which slides make a sample."""
    samples: dict[str, State]

    def changed(self, now: Mapping[str, State], encoders: Iterable[str]) -> list[str]:
        """Samples whose files of some encoders are new or others, sorted."""
        return sorted(
            name
            for name, state in now.items()
            if any(
                encoder in state and state[encoder] != self.samples.get(name, {}).get(encoder)
                for encoder in encoders
            )
        )

    def add(self, now: Mapping[str, State]) -> None:
        """Notes what was scored; written to disk."""
        for name, state in now.items():
            self.samples[name] = {**self.samples.get(name, {}), **state}
        content: dict[str, Any] = {
            "kind": KIND,
            "stamp": self.stamp,
            "by_table": self.by_table,
            "samples": dict(sorted(self.samples.items())),
        }
        write_json_file(content, self.file, force=True)


def read_seen(file: Path, stamp: str, *, by_table: bool) -> Seen:
    """The record of earlier calls; empty without one.

    Args:
        file: Where it is.
        stamp: Of the study.
        by_table: Whether a slide table is given now.

    Raises:
        InputError: They were of another study, or of samples that were made otherwise.
    """
    content = read_object(file)
    if not content:
        return Seen(file, stamp, by_table, {})
    if content.get("kind") != KIND or content.get("stamp") != stamp:
        raise InputError(
            f"{file.parent} is of another study, or the study has changed since; --force scores all "
            "slides anew"
        )
    if content.get("by_table") != by_table:
        before = "a slide table" if content.get("by_table") else "each slide as a sample"
        raise InputError(
            f"{file.parent} was made with {before}, and --slides now says otherwise; --force scores "
            "all slides anew"
        )
    try:
        samples = {
            name: {
                encoder: tuple((str(one[0]), int(one[1]), int(one[2])) for one in files)
                for encoder, files in state.items()
            }
            for name, state in content["samples"].items()
        }
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is damaged; --force scores all slides anew") from error
    return Seen(file, stamp, by_table, samples)


def state_of(paths: Iterable[Path]) -> tuple[FileState, ...]:
    """Of files that are there."""
    found = []
    for path in sorted(paths):
        about = path.stat()
        found.append((path.name, about.st_size, about.st_mtime_ns))
    return tuple(found)
