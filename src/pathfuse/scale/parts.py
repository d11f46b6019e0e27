"""The output in parts: a range of samples each, under a temporary name until it is whole."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pathfuse.errors import InputError, unwritten
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.places import check_out, check_place, write_list
from pathfuse.files.write import remove_folder

GROUP = 131_072
"""Rows of a row group, at most."""
RECORD = "scoring.json"
"""What the parts in a folder were made of."""
ABOUT = b"pathfuse.part"
"""Where in the metadata of a part stands what is known of it."""


def part_name(number: int) -> str:
    """The file of a range."""
    return f"part-{number:06d}.parquet"


def write_part(
    frames: Iterable[pl.DataFrame], file: Path, about: Mapping[str, Any], shown: Path
) -> None:
    """One part, in row groups of at most ``GROUP`` rows.

    Args:
        frames: Its rows, in order; at least one frame, perhaps without rows.
        file: A temporary name.
        about: What is known of it once all frames were taken: filled by whoever gives them.
        shown: The output, for messages.

    Raises:
        InputError: It cannot be written.
    """
    held: list[pl.DataFrame] = []
    with written(shown), _Writer(file) as writer:
        for frame in frames:
            held.append(frame)
            if sum(map(len, held)) >= GROUP:
                whole = pl.concat(held)
                writer.write(whole.head(GROUP))
                held = [whole.slice(GROUP)]
        writer.write(pl.concat(held))
        writer.note(about)


class _Writer:
    """A Parquet file that is written row group by row group; also others' row groups."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.open: pq.ParquetWriter | None = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.open is not None:
            self.open.close()

    def write(self, frame: pl.DataFrame) -> None:
        table: pa.Table = frame.to_arrow()
        self.write_arrow(table)

    def write_arrow(self, table: pa.Table) -> None:
        if self.open is None:
            self.open = pq.ParquetWriter(
                self.file,
                table.schema,
                compression="zstd",
                write_statistics=[table.schema.names[0]],
            )
        if table.num_rows:
            self.open.write_table(table, row_group_size=GROUP)

    def note(self, about: Mapping[str, Any]) -> None:
        if self.open is not None:
            self.open.add_key_value_metadata({ABOUT: json.dumps(about).encode()})


def about_part(file: Path) -> dict[str, Any] | None:
    """What ``write_part`` noted of a part; None if there is none, or it is damaged."""
    try:
        found: dict[str, Any] = json.loads(pq.read_metadata(file).metadata[ABOUT])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    return found


def join_parts(parts: Iterable[Path], file: Path, shown: Path) -> None:
    """Parts as one file, row group by row group; each goes when its rows are there.

    Args:
        parts: In order.
        file: A temporary name.
        shown: The output, for messages.

    Raises:
        InputError: It cannot be written.
    """
    with written(shown), _Writer(file) as writer:
        for part in parts:
            with pq.ParquetFile(part) as content:
                if not content.num_row_groups:
                    writer.write_arrow(content.schema_arrow.remove_metadata().empty_table())
                for group in range(content.num_row_groups):
                    table = content.read_row_group(group)
                    writer.write_arrow(table.replace_schema_metadata(None))
            part.unlink()


@contextmanager
def written(shown: Path) -> Iterator[None]:
    """Says in one sentence why what the block writes cannot be written.

    Args:
        shown: What the sentence calls it: not a temporary name.

    Raises:
        InputError: The disk is full, or the like.
    """
    try:
        yield
    except OSError as error:
        raise unwritten(f"the output {shown}", error) from error


def claim_folder(
    out: Path, stamp: str, names: Iterable[str], force: bool, inputs: Iterable[Path]
) -> None:
    """Makes a folder for parts, in which several processes may write: parts of the same stamp stay.

    Args:
        out: The folder.
        stamp: Of all that decides the parts.
        names: Of all parts, also those that others write.
        force: Replace parts of another stamp.
        inputs: What is read.

    Raises:
        InputError: It holds something else, or cannot be written.
    """
    check_place(out, list(inputs))
    folder = OutputFolder(out, RECORD)
    filled = out.is_dir() and any(not one.name.startswith(".") for one in out.iterdir())
    if filled and folder.recorded.get("stamp") != stamp:
        if not force:
            raise InputError(
                f"the output {out} exists already, and was not made of these predictions and this "
                "model; --force overwrites it, if pathfuse wrote all of it"
            )
        check_out(out, force, list(inputs))
        remove_folder(out)
    folder.make()
    folder.finish({"stamp": stamp})
    write_list(out, [RECORD, *names])
