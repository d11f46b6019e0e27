"""Writing under a temporary name, then renaming: a killed run leaves a complete folder or none."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.errors import InputError, PathfuseError, full_disk, unwritten
from pathfuse.files.at_work import claimed_meanwhile
from pathfuse.files.formulas import guarded
from pathfuse.files.places import (
    TRIES,
    check_file,
    check_out,
    check_place,
    foreign,
    listed,
    refuse_link,
    write_list,
)
from pathfuse.files.tables import column_names
from pathfuse.files.temporary import OLD, PARTIAL, name_first, sweep, temporary_name

__all__ = [
    "add_to_list", "check_file", "check_out", "check_place", "check_table", "fill_file", "new_folder", "refuse_link",
    "remove_folder", "usual_mode", "write_file", "write_json", "write_json_file", "write_table", "write_text_file",
]  # fmt: skip
WRITTEN = (".csv", ".parquet")
"""Suffixes of tables that are written."""
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


@contextmanager
def new_folder(out: Path, force: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes ``out`` when the block ends well and vanishes when it does
    not.

    What another run wrote to ``out`` in the meantime is replaced only with ``force``.

    Raises:
        InputError: ``out`` exists and may not be replaced (see ``check_out``), or its place cannot
            be written.
    """
    refuse_link(out)
    out = out.resolve()
    with claimed_meanwhile(out):
        sweep(out)
        check_out(out, force)
        partial = _partial(out)
        try:
            with _said_of(out, partial):
                yield partial
                write_list(partial)
            _put(partial, out, force)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _said_of(out: Path, partial: Path) -> Iterator[None]:
    """Says of the output what the system says of a hidden folder: a full disk, and the like."""
    try:
        yield
    except Exception as error:
        words, said = str(error), full_disk(error)
        if isinstance(error, InputError) and str(partial) in words:
            raise InputError(words.replace(str(partial), str(out))) from error
        if said is None and isinstance(error, OSError) and str(partial) in words:
            said = error.strerror or words.replace(str(partial), str(out))
        if said is None or isinstance(error, PathfuseError):
            raise
        raise InputError(f"the output {out} cannot be written: {said}") from error


def _partial(out: Path) -> Path:
    for _ in range(TRIES):
        partial = temporary_name(out, PARTIAL)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
        except FileNotFoundError:  # another run that tried the place took the parent away again
            continue
        except OSError as error:
            raise unwritten(f"the output {out}", error) from error
        return partial
    raise InputError(f"the output {out} cannot be written: {out.parent} vanishes")


def _put(partial: Path, out: Path, force: bool) -> None:
    """Renames a complete folder to its place.

    What stands there goes only with ``force``, and after that.

    Renaming a folder onto one that is not empty fails: nothing is replaced unseen.
    """
    gone: list[Path] = []
    try:
        for _ in range(TRIES):
            try:
                partial.rename(out)
                return
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise unwritten(f"the output {out}", error) from error
            if not force:
                raise InputError(_overtaken(out))
            if _may_go(out):
                with suppress(FileNotFoundError):  # moved away by another run
                    old = temporary_name(out, OLD)
                    out.rename(old)
                    gone.append(old)
        raise InputError(f"the output {out} cannot be written: other runs write it all the time")
    except BaseException:
        if gone and not out.exists():
            gone.pop().rename(out)
        raise
    finally:
        for old in gone:
            shutil.rmtree(old, ignore_errors=True)


def _may_go(out: Path) -> bool:
    """Whether what stands at an output may be replaced.

    False if another run put something else there meanwhile.

    Raises:
        InputError: It holds what pathfuse did not write.
    """
    before = _number(out)
    try:
        check_out(out, force=True)
    except InputError:
        if before is not None and _number(out) == before:
            raise
        return False
    return before is not None and _number(out) == before


def _number(place: Path) -> int | None:
    """What distinguishes a folder from another of its name; None if there is none."""
    try:
        return place.lstat().st_ino
    except FileNotFoundError:
        return None


def _overtaken(out: Path) -> str:
    return f"the output {out} was written by another run in the meantime and stays; choose another place"


def remove_folder(folder: Path) -> str | None:
    """Removes a folder if pathfuse wrote all that is in it.

    Returns:
        None if it is gone, else the first thing in it that pathfuse did not write.
    """
    if folder.is_symlink() or not folder.is_dir():
        return folder.name if folder.is_symlink() or folder.exists() else None
    unknown = foreign(folder)
    if unknown is None:
        shutil.rmtree(folder, ignore_errors=True)
    return unknown


def add_to_list(file: Path) -> None:
    """Counts a file that was added to a folder of ``new_folder`` among what pathfuse wrote."""
    known = listed(file.parent)
    if known is not None:
        write_list(file.parent, [*known, file.name])


def check_table(
    path: Path, force: bool, inputs: Sequence[Path] | None = None, column: str | None = None
) -> None:
    """Refuses a bad place for a table, before any work is done; see ``check_file``.

    Args:
        path: Where it is to be written.
        force: Whether one that stands there may be replaced.
        inputs: Files that are read, and folders that hold such.
        column: The first column of the tables that are written here; a file with another is
            somebody else's.

    Raises:
        InputError: The suffix is neither .csv nor .parquet, or the place is bad.
    """
    if path.suffix.lower() not in WRITTEN:
        raise InputError(f"the output {path} must end in .csv or .parquet")
    sweep(path)
    check_file(path, force, inputs)
    if column is not None and path.exists() and column_names(path)[:1] != [column]:
        raise InputError(
            f"the output {path} cannot be overwritten: pathfuse writes a table here that begins with the column "
            f"'{column}', so this file is somebody else's"
        )


def write_file(frame: pl.DataFrame, path: Path, force: bool = False, alike: bool = False) -> None:
    """Writes one CSV or Parquet file to a temporary name, then renames it.

    Args:
        frame: The table.
        path: Where to.
        force: Whether a file that stands there is replaced.
        alike: Replace only a table with the same columns: another is somebody else's, or of another
            model.

    Raises:
        InputError: The suffix is neither, the file exists and may not be replaced, or it cannot be
            written.
    """
    check_table(path, force)
    if alike and path.exists() and column_names(path) != frame.columns:
        raise InputError(
            f"the output {path} cannot be overwritten: it has other columns than the table that is written here; name "
            "another file, or remove it"
        )
    fill_file(path, force, lambda partial: write_table(frame, partial, path.suffix.lower()))


def write_text_file(
    text: str, file: Path, force: bool = False, suffixes: Sequence[str] | None = None
) -> None:
    """Writes one file of text to a temporary name, then renames it.

    Args:
        text: Its content.
        file: Where to.
        force: Whether a file that stands there is replaced.
        suffixes: How that file must end; None: anyhow.

    Raises:
        InputError: The file exists and may not be replaced, or it cannot be written.
    """
    fill_file(file, force, lambda partial: partial.write_text(text, encoding="utf-8"), suffixes)


def fill_file(
    file: Path, force: bool, fill: Callable[[Path], object], suffixes: Sequence[str] | None = None
) -> None:
    """A file to fill, which becomes ``file`` when that ends well.

    Args:
        file: Where to.
        force: Whether a file that stands there is replaced.
        fill: Writes it, under the temporary name that it is given.
        suffixes: How the file must end; None: anyhow.

    Raises:
        InputError: The file exists and may not be replaced, or it cannot be written.
    """
    with _sentence(file), claimed_meanwhile(file):
        sweep(file)
        check_file(file, force, suffixes=suffixes)
        partial = temporary_name(file, PARTIAL)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            fill(partial)
            if force:
                check_file(file, force, suffixes=suffixes)  # filling took its time
                partial.replace(file)
            else:
                _link(partial, file)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _sentence(file: Path) -> Iterator[None]:
    """Says in one sentence what the system says of a file that is written."""
    try:
        yield
    except OSError as error:
        raise unwritten(f"the output {file}", error) from error


def _link(partial: Path, file: Path) -> None:
    """Gives a complete file its name, unless another run took it in the meantime."""
    try:
        name_first(partial, file)
    except FileExistsError as error:
        raise InputError(_overtaken(file)) from error


@contextmanager
def usual_mode(file: Path) -> Iterator[None]:
    """Who may read a file that the block writes is decided as for every other new file (umask).

    safetensors makes files that nobody else may read.
    """
    file.unlink(missing_ok=True)
    file.touch()
    mode = file.stat().st_mode & 0o777
    yield
    file.chmod(mode)


def write_table(frame: pl.DataFrame, path: Path, suffix: str | None = None) -> None:
    """CSV or Parquet by suffix; the same frame gives the same bytes.

    CSV has no lists: they become text like ``a|b``, and a bar inside a name gets a backslash before
    it. Nor does it say what is text: what a spreadsheet would run gets an apostrophe before it, see
    ``pathfuse.files.formulas``.
    """
    if (suffix or path.suffix.lower()) == ".csv":
        escaped = pl.element().str.replace_all("|", "\\|", literal=True)
        joined = pl.col(pl.List(pl.String)).list.eval(escaped).list.join("|")
        guarded(frame.with_columns(joined)).write_csv(path)
    else:
        frame.write_parquet(path, compression="zstd", statistics=False)


def write_json(content: Any, path: Path) -> None:
    """Indented JSON; NaN is refused, since it is not a JSON."""
    path.write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )


def write_json_file(content: Any, file: Path, force: bool = True) -> None:
    """One JSON file, written to a temporary name, then renamed: a killed run leaves the old file or the new one.

    Raises:
        InputError: The file exists and ``force`` is off, or it cannot be written.
    """
    fill_file(file, force, lambda partial: write_json(content, partial))
