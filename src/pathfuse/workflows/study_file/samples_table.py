"""The samples table that the experts and the fusion of a study share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.experts.cohort import People, line, read_people
from pathfuse.experts.folds import even_folds
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.write import write_file
from pathfuse.workflows.reporting.grouping import check_by
from pathfuse.workflows.study_file.config import StudyConfig
from pathfuse.workflows.study_file.expression import normalised
from pathfuse.workflows.study_file.layout import KIND, SAMPLES

"""The file, and what the folder around it is called in ``.pathfuse.json``."""


@dataclass(frozen=True)
class SharedSamples:
    """The table as it was written, with what a CSV file cannot carry."""

    file: Path
    edges: tuple[float, ...] | None
    """Time edges, of survival."""
    left_out: tuple[dict[str, Any], ...]
    """Rows that were not taken, a line of the manifest for each reason."""
    understood: tuple[str, ...]
    """How the samples table was understood, a sentence each."""


def write_samples(config: StudyConfig) -> SharedSamples:
    """Reads the samples table and writes it in the contract's form, with folds.

    Outer folds are made once for all encoders; a sample without a truth is in none of them, and
    left out.

    Raises:
        InputError: The table is wrong, or an option does not fit it.
    """
    people = read_people(
        config.samples, config.slides, config.endpoint, config.time_edges, config.reading
    )
    if config.fuse.coverage is not None and people.endpoint.in_time:
        raise InputError("prediction sets ('coverage') are not built for survival; leave them out")
    if config.fuse.positive is not None:
        people.endpoint.with_positive(config.fuse.positive)
    check_by(people.samples, people.endpoint, config.fuse.by)
    table, left_out = people.samples.frame, list(people.left_out)
    if config.expression is not None:
        recipes = {name: one.recipe for name, one in config.planned().items()}
        table = normalised(people, config.expression, recipes)
    if people.samples.roles is None and people.samples.folds is None:
        fold = _folds(config, people)
        gone = np.flatnonzero(fold < 0).tolist()
        if gone:
            names = people.samples.ids[gone].tolist()
            why = "row without a truth: in no fold, not trained on and not judged"
            left_out.append(line(people, why, len(gone), names, gone))
        table = table.with_columns(pl.Series("fold", fold)).filter(pl.col("fold") >= 0)
    OutputFolder(config.out).claim(KIND)
    file = config.out / SAMPLES
    write_file(table, file, force=True)
    edges = people.endpoint.edges if isinstance(people.endpoint, Survival) else None
    return SharedSamples(file, edges, tuple(left_out), people.notes)


def _folds(config: StudyConfig, people: People) -> np.ndarray:
    """Int, (sample,): the outer fold of each sample, -1 of one without a truth."""
    sites = any(one.recipe.group == "site" for one in config.planned().values())
    rows, fold = np.flatnonzero(people.targets.usable), np.full(len(people.samples.ids), -1)
    group = "site" if sites else "patient"
    fold[rows] = even_folds(people, rows, config.folds, group, config.seed)
    return fold
