"""Writing: beside and renamed, so that a killed run leaves a complete folder or none."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.errors import InputError


def check_out(out: Path, force: bool, inputs: list[Path] | None = None) -> None:
    """Refuses a bad output place before any work is done.

    Raises:
        InputError: It exists and ``force`` is off, holds an input, or cannot be created.
    """
    try:
        if out.exists() and not force:
            raise InputError(f"the output {out} exists already; --force overwrites it")
        places = [p.resolve() for p in inputs or []]
        held = next((p for p in [Path.cwd(), *places] if p.is_relative_to(out.resolve())), None)
        if out.exists() and held is not None:
            raise InputError(f"the output {out} cannot be overwritten: it holds {held}")
        if out.is_file() and any(out.resolve().is_relative_to(p) for p in places):
            raise InputError(f"the output {out} cannot be overwritten: it is one of the inputs")
        parent = out.resolve().parent
        while not parent.exists():
            parent = parent.parent
    except OSError as error:
        raise InputError(f"the output {out} cannot be written: {error.strerror or error}") from error
    if not parent.is_dir():
        raise InputError(f"the output {out} cannot be written: {parent} is a file, not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"the output {out} cannot be written: no permission in {parent}")


@contextmanager
def new_folder(out: Path, force: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes ``out`` when the block ends well and vanishes when it does not.

    Raises:
        InputError: ``out`` exists and ``force`` is off, or its place cannot be written.
    """
    out = out.resolve()
    if out.parent.is_dir():
        _sweep(out)
    check_out(out, force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.parent / f".{out.name}.partial-{os.getpid()}"
        partial.mkdir()
    except OSError as error:
        raise InputError(f"the output {out} cannot be written: {error.strerror or error}") from error
    try:
        yield partial
        if out.exists():
            old = out.parent / f".{out.name}.old-{os.getpid()}"
            out.rename(old)
            partial.rename(out)
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        else:
            partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(out: Path) -> None:
    """Puts right what killed runs left beside ``out``: an old result comes back, half-written ones go."""
    if not Path("/proc/self").exists():
        return  # no way to tell whether their process still runs
    for leftover in sorted(out.parent.glob(f".{out.name}.*-*")):
        match = re.fullmatch(rf"\.{re.escape(out.name)}\.(partial|old)-(\d+)", leftover.name)
        if not match or Path(f"/proc/{match[2]}").exists():
            continue
        if match[1] == "old" and not out.exists():
            leftover.rename(out)
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink()


def write_file(frame: pl.DataFrame, path: Path, force: bool = False) -> None:
    """Writes one CSV or Parquet file, beside and renamed.

    Raises:
        InputError: The suffix is neither, the file exists and ``force`` is off, or it cannot be written.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"the output {path} must end in .csv or .parquet")
    if path.parent.is_dir():
        _sweep(path)
    check_out(path, force)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(frame, partial, path.suffix.lower())
        partial.replace(path)
    except OSError as error:
        raise InputError(f"the output {path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def write_table(frame: pl.DataFrame, path: Path, suffix: str | None = None) -> None:
    """CSV or Parquet by suffix; the same frame gives the same bytes.

    CSV has no lists: they become text like ``a|b``, and a bar inside a name gets a backslash before it.
    """
    if (suffix or path.suffix.lower()) == ".csv":
        escaped = pl.element().str.replace_all("|", "\\|", literal=True)
        frame.with_columns(pl.col(pl.List(pl.String)).list.eval(escaped).list.join("|")).write_csv(path)
    else:
        frame.write_parquet(path, compression="zstd", statistics=False)


def write_json(content: Any, path: Path) -> None:
    """Indented JSON; NaN is refused, since it is no JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_json_file(content: Any, file: Path) -> None:
    """One JSON file, beside and renamed: a killed run leaves the old file or the new one.

    Raises:
        InputError: It cannot be written.
    """
    check_out(file, force=True)
    partial = file.parent / f".{file.name}.partial-{os.getpid()}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(content, partial)
        partial.replace(file)
    except OSError as error:
        raise InputError(f"the output {file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
