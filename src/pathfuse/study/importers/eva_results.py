"""eva's ``results.json``: ``{"metrics": {"val": [{metric: {mean, stdev, values}}], "test": [...]}}``.

Each file is one model on one task; the folders say which: ``<model>/<task>/.../results.json``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.files.json import read_object
from pathfuse.study.importers.scoreboard import RUNS_SCHEMA, Scoreboard, checked, frame_of

NAME = "eva_results"
FILE = "results.json"
STAGES = ("test", "val")
"""Of the first one that has results."""


def find(folder: Path) -> list[Path]:
    """The result files below a folder, sorted."""
    return sorted(
        p for p in folder.rglob("results.json") if isinstance(read_object(p).get("metrics"), dict)
    )


def read(folder: Path, files: Sequence[Path]) -> Scoreboard:
    """Reads all results below one folder.

    Raises:
        InputError: The folders do not say which model and which task a file is of.
    """
    rows: list[list[Any]] = []
    spread: list[list[Any]] = []
    stages: set[str] = set()
    for file in files:
        parts = file.relative_to(folder).parts[:-1]
        if len(parts) < 2:
            raise InputError(
                f"{file}: the folders must say what it is of, <model>/<task>/{FILE}; give the folder above the models"
            )
        method, study = parts[0], parts[1]
        metrics = read_object(file)["metrics"]
        stage = next((one for one in STAGES if metrics.get(one)), None)
        if stage is None:
            continue
        stages.add(stage)
        sets = metrics[stage]
        for n, own in enumerate(sets):
            name = study if len(sets) == 1 else f"{study}/{n}"
            for metric, value in own.items():
                rows.append([name, study, method, metric, _number(value), None, None])
                runs = value.get("values") if isinstance(value, dict) else None
                if isinstance(runs, list) and len(runs) > 1:
                    spread.append([name, method, metric, len(runs), value.get("stdev")])
    if not rows:
        raise InputError(f"{folder}: the {len(files)} files {FILE} hold no metric")
    scores, empty = checked(str(folder), frame_of([list(c) for c in zip(*rows, strict=True)]))
    notes = [
        f"{folder}: results of eva, one folder per model and in it one per task ({' and '.join(sorted(stages))} rows)"
    ]
    if spread:
        notes.append(
            f"{folder}: runs are averaged by eva; their standard deviations are in the manifest"
        )
    metrics = scores["metric"].unique().to_list()
    return Scoreboard(
        str(folder), NAME, scores, {str(f): file_digest(f) for f in files}, metrics[0] if len(metrics) == 1 else None,
        empty_cells=empty, runs=pl.DataFrame(spread, schema=RUNS_SCHEMA, orient="row"), notes=tuple(notes),
    )  # fmt: skip


def _number(value: Any) -> float | None:
    found = value.get("mean") if isinstance(value, dict) else value
    return float(found) if isinstance(found, int | float) else None
