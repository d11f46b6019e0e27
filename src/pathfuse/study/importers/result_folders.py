"""Result folders of ``pathfuse fuse`` and ``pathfuse evaluate``. A study is a folder.

See docs/reference/commands.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ConfigDict, Field

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.files.json import read_json
from pathfuse.files.schema import Stored
from pathfuse.files.schema import checked as checked_as
from pathfuse.files.tables import Table, read_table, text_column
from pathfuse.study.importers.scoreboard import (
    PAIRED,
    Scoreboard,
    checked,
    frame_of,
    interval_columns,
    names_column,
    numbers_column,
)

NAME = "result_folders"
FILES = ("metrics.csv", "comparisons.csv", "manifest.json")
NEEDED = ("method", "output", "metric", "value", "ci_low", "ci_high")
DEEPEST = 3
"""Levels of folders below a source in which result folders are looked for."""


def find(folder: Path, depth: int = DEEPEST) -> list[Path]:
    """The result folders at or below a folder, sorted.

    Hidden ones are half-written and do not count.
    """
    if (folder / "metrics.csv").is_file():
        return [folder]
    if not depth:
        return []
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [found for place in inside for found in find(place, depth - 1)]


def study_names(folders: Sequence[Path]) -> list[str]:
    """The shortest parts of the paths that tell all folders apart: ``a`` and ``b`` for ``a/result``
    and ``b/result``.

    Raises:
        InputError: A folder is given twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    twice = next((f for f, p in zip(folders, parts, strict=True) if parts.count(p) > 1), None)
    if twice is not None:
        raise InputError(f"the result folder {twice} is given twice")
    if len(parts) > 1:
        while len({own[-1] for own in parts}) == 1:  # what all end in tells nothing
            parts = [own[:-1] for own in parts]
    names = []
    for own in parts:
        length = next(
            n for n in range(1, len(own) + 1) if sum(other[-n:] == own[-n:] for other in parts) == 1
        )
        names.append("/".join(own[-length:]))
    return names


def read(folders: Sequence[Path], source: str) -> Scoreboard:
    """Reads result folders as one board.

    Args:
        folders: From ``find``, at least one.
        source: What the user gave.

    Raises:
        InputError: A folder is incomplete, or one of its files is damaged.
    """
    boards = [
        _read(folder, name) for folder, name in zip(folders, study_names(folders), strict=True)
    ]
    metrics = [b.scores["metric"].unique(maintain_order=True).to_list() for b in boards]
    shared = [name for name in metrics[0] if all(name in own for own in metrics)]
    return Scoreboard(
        source,
        NAME,
        pl.concat([b.scores for b in boards]),
        {file: sha for b in boards for file, sha in b.inputs.items()},
        shared[0] if shared else None,
        pl.concat([b.paired for b in boards]),
        frozenset().union(*(b.experts for b in boards)),
        tuple(cell for b in boards for cell in b.empty_cells),
        {study: what for b in boards for study, what in b.endpoints.items()},
    )


def _read(folder: Path, study: str) -> Scoreboard:
    missing = next((name for name in FILES if not (folder / name).is_file()), None)
    if missing:
        raise InputError(
            f"{folder} has a metrics.csv but no {missing}; is it a complete result of fuse or evaluate?"
        )
    manifest, digest = _manifest(folder / "manifest.json")
    table = _over_all(read_table(folder / "metrics.csv"), NEEDED)
    methods, metrics = names_column(table, "method"), names_column(table, "metric")
    rows = [f"method '{m}', metric '{n}'" for m, n in zip(methods, metrics, strict=True)]
    n = len(rows)
    limits = interval_columns(table, "ci_low", "ci_high", rows)
    columns: list[list[Any]] = [
        [study] * n,
        [study] * n,
        methods,
        metrics,
        numbers_column(table, "value", rows),
        *limits,
    ]
    scores, empty = checked(table.source, frame_of(columns))
    contrasts = read_table(folder / "comparisons.csv")
    inputs = {
        table.source: table.sha256,
        contrasts.source: contrasts.sha256,
        str(folder / "manifest.json"): digest,
    }
    endpoint = manifest.endpoint
    targets = f" of {', '.join(endpoint.targets)}" if endpoint.targets else ""
    return Scoreboard(
        str(folder),
        NAME,
        scores,
        inputs,
        paired=_paired(contrasts, study),
        experts=frozenset(manifest.experts),
        empty_cells=empty,
        endpoints={study: endpoint.kind + targets} if endpoint.kind else {},
    )


class _Judged(Stored):
    """What a manifest says of the endpoint; versions say different things beside it."""

    model_config = ConfigDict(extra="ignore")
    kind: str = ""
    targets: list[str] = Field(default_factory=list)


class _Manifest(Stored):
    """What is read of a manifest."""

    model_config = ConfigDict(extra="ignore")
    experts: dict[str, Any]
    endpoint: _Judged = Field(default_factory=_Judged)


def _manifest(file: Path) -> tuple[_Manifest, str]:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("experts"), dict):
        raise InputError(f"{file} names no experts; is it the manifest of fuse or evaluate?")
    try:
        return checked_as(_Manifest, content), file_digest(file)
    except ValueError as error:
        raise InputError(f"{file} is damaged: {error}") from None


def _over_all(table: Table, needed: Sequence[str]) -> Table:
    """The rows about the whole study: output ``all``, or the only output there is."""
    for column in needed:
        text_column(table, column)  # complains where it is missing
    outputs = list(dict.fromkeys(names_column(table, "output")))
    if "all" not in outputs and len(outputs) > 1:
        raise InputError(
            f"{table.source}, column 'output': neither 'all' nor one output only, but {', '.join(outputs)}"
        )
    wanted = "all" if "all" in outputs else outputs[0]
    return Table(
        table.source, table.frame.filter(pl.col("output").cast(pl.String) == wanted), table.sha256
    )


def _paired(table: Table, study: str) -> pl.DataFrame:
    whole = _over_all(table, ("method", "reference", "output", "metric", "ci_low", "ci_high"))
    methods, references = names_column(whole, "method"), names_column(whole, "reference")
    rows = [f"method '{m}', reference '{r}'" for m, r in zip(methods, references, strict=True)]
    low, high = interval_columns(whole, "ci_low", "ci_high", rows)
    columns = [[study] * len(rows), names_column(whole, "metric"), methods, references, low, high]
    return pl.DataFrame(dict(zip(PAIRED, columns, strict=True)), schema=PAIRED).drop_nulls()
