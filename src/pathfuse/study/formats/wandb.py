"""Tables that Weights & Biases keeps as JSON: ``{"columns": [...], "data": [[...], ...]}``."""

import hashlib
from collections.abc import Collection
from pathlib import Path

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.json import read_json
from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Source

SUFFIX = ".json"
TABLE = ".table.json"


def find(path: Path) -> list[Source] | None:
    """See ``Format``."""
    if path.is_file() and path.suffix.lower() == SUFFIX and _is_table(read_json(path)):
        return [Source(path.name.removesuffix(SUFFIX).removesuffix(".table"), (path,), read=read)]
    return None


def _is_table(content: object) -> bool:
    return isinstance(content, dict) and {"columns", "data"} <= set(content)


def read(path: Path, _ids: Collection[str] = ()) -> Table:
    """The table of a file.

    Raises:
        InputError: A row has another length than the header, or there is no row.
    """
    content = read_json(path)
    names, rows = [str(name) for name in content["columns"]], content["data"]
    wrong = next((n for n, row in enumerate(rows) if len(row) != len(names)), None)
    if wrong is not None:
        raise InputError(
            f"{path}: row {wrong + 1} has {len(rows[wrong])} values for {len(names)} columns"
        )
    if not rows:
        raise InputError(f"{path} has no row")
    columns = {name: [_text(row[k]) for row in rows] for k, name in enumerate(names)}
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Table(str(path), pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String)), sha256)


def _text(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else repr(value)


WANDB = Format(
    "wandb",
    "Weights & Biases: a logged table (.table.json) with the columns of predictions",
    "docs/howto/from-other-tools.md",
    find,
)
