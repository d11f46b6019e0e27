"""What ``rank`` compares: one metric, the studies that have it, the methods that take part.

The rest is reported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from pathfuse.errors import InputError
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.study.importers.measures import SCORE
from pathfuse.study.importers.metric_names import metric_called
from pathfuse.study.importers.result_folders import NAME as RESULTS
from pathfuse.study.importers.scoreboard import Scoreboard
from pathfuse.study.importers.scored_studies import read_cohorts

ALPHA = 0.05
"""Level of all tests and critical differences."""
FIRST = 5
"""Examples of what was left out."""


@dataclass(frozen=True)
class Selection:
    """One metric of methods on studies, ready for arrays."""

    metric: str
    higher_is_better: bool
    studies: list[str]
    cohorts: list[str]
    """Of each study."""
    methods: list[str]
    values: Float[np.ndarray, "study method"]
    """NaN where a method is absent."""
    ci_low: Float[np.ndarray, "study method"]
    ci_high: Float[np.ndarray, "study method"]
    paired: dict[tuple[str, str, str], tuple[float, float]]
    """Study, method, reference to the interval of their difference."""
    inputs: dict[str, str | None]
    endpoints: tuple[str, ...] = ()
    """What the studies predict, each once, where the sources tell."""
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def benefit(self) -> Float[np.ndarray, "study method"]:
        """Values turned so that higher is better."""
        return self.values if self.higher_is_better else -self.values

    @property
    def on_one_scale(self) -> bool:
        """Whether the values of different studies may be averaged."""
        known = metric_called(self.metric)
        return len(self.endpoints) < 2 or known is None or not known.on_a_scale

    @property
    def cohort_index(self) -> Int[np.ndarray, " study"]:
        """Cohorts as 0..C-1."""
        return np.asarray(np.unique(self.cohorts, return_inverse=True)[1])


def select(
    boards: Sequence[Scoreboard],
    metric: str | None,
    cohorts: Path | None,
    experts: bool,
    higher_is_better: bool | None,
) -> Selection:
    """Chooses metric, studies and methods.

    Raises:
        InputError: The metric is unknown or has to be named, its better side is unknown, a study or
            method occurs twice, or fewer than two studies or methods are left.
    """
    left_out: list[dict[str, Any]] = []
    metric = _metric(boards, metric)
    higher = orientation(metric, higher_is_better)
    scores = _scores_of(boards, metric, left_out)
    inputs = {file: sha for board in boards for file, sha in board.inputs.items()}
    if cohorts is not None:
        scores, inputs[str(cohorts)] = _with_cohorts(scores, cohorts)
    scores = _shared_methods(boards, scores, experts, left_out)
    methods = scores["method"].unique(maintain_order=True).to_list()
    studies, of_study = _studies(scores, left_out)
    if len(studies) < 2:
        there = studies[0] if studies else "none"
        raise InputError(
            f"ranking needs two studies that have the metric '{metric}' of two methods; there is {there}"
        )
    cells = scores.filter(pl.col("study").is_in(studies))
    methods = [m for m in methods if m in set(cells["method"])]
    values, low, high = (
        _matrix(cells, studies, methods, column) for column in ("value", "ci_low", "ci_high")
    )
    paired = pl.concat([board.paired for board in boards]).filter(
        pl.col("metric").str.to_lowercase() == metric.lower()
    )
    intervals = {(s, m, r): (a, b) for s, _, m, r, a, b in paired.iter_rows()}
    known = {study: what for board in boards for study, what in board.endpoints.items()}
    kinds = tuple(dict.fromkeys(known[study] for study in studies if study in known))
    selection = Selection(
        metric,
        higher,
        studies,
        of_study,
        methods,
        values,
        low,
        high,
        intervals,
        inputs,
        kinds,
        left_out,
    )
    selection.notes.extend(note for board in boards for note in board.notes)
    selection.notes.extend(_notes(selection))
    return selection


def orientation(metric: str, higher_is_better: bool | None) -> bool:
    """Whether more of a metric is better.

    Raises:
        InputError: It is not known, or what was given contradicts what is known.
    """
    found = metric_called(metric)
    lower = None if found is None else found.lower_is_better
    known = None if lower is None else not lower
    if metric.lower() == SCORE and higher_is_better is None:
        return True
    if known is None and higher_is_better is None:
        raise InputError(
            f"the metric '{metric}' is unknown here: say --higher-is-better or --lower-is-better"
        )
    if known is not None and higher_is_better not in (None, known):
        side, named = ("higher", "lower") if known else ("lower", "higher")
        raise InputError(
            f"the metric '{metric}' is better when {side}; --{named}-is-better contradicts that"
        )
    return bool(known if known is not None else higher_is_better)


def _metric(boards: Sequence[Scoreboard], metric: str | None) -> str:
    """The metric by its name in the first source that has it."""
    there = list(
        dict.fromkeys(
            name for b in boards for name in b.scores["metric"].unique(maintain_order=True)
        )
    )
    if metric is not None:
        found = next((name for name in there if name.lower() == metric.lower()), None)
        if found is None:
            raise InputError(f"no study has the metric '{metric}'; there are {', '.join(there)}")
        return found
    defaults = [board.default_metric for board in boards]
    if not there:
        raise InputError(f"{boards[0].source} holds no value")
    if defaults[0] is None or any(d is None or d.lower() != defaults[0].lower() for d in defaults):
        raise InputError(
            f"the studies have several metrics ({', '.join(there)}): name one with --metric"
        )
    return defaults[0]


def _scores_of(
    boards: Sequence[Scoreboard], metric: str, left_out: list[dict[str, Any]]
) -> pl.DataFrame:
    """One metric's rows of all boards."""
    scores = pl.concat([_competing(board) for board in boards])
    own = scores.filter(pl.col("metric").str.to_lowercase() == metric.lower())
    twice = own.filter(pl.struct("study", "method").is_duplicated())
    if twice.height:
        study, method = twice.select("study", "method").row(0)
        places = [b.source for b in boards if b.scores.filter(study=study, method=method).height]
        raise InputError(
            f"study '{study}' has the method '{method}' more than once, in {' and '.join(places)}"
        )
    without = [s for s in scores["study"].unique(maintain_order=True) if s not in set(own["study"])]
    _leave(left_out, "studies", without, f"they do not have the metric '{metric}'")
    suffix = f"/{metric.lower()}"
    empty = [
        cell
        for b in boards
        for cell in b.empty_cells
        if cell.lower().endswith(suffix) and not _null(b, cell)
    ]
    _leave(left_out, "cells", [cell[: -len(suffix)] for cell in empty], "they hold no value")
    return own


def _competing(board: Scoreboard) -> pl.DataFrame:
    """The scores of a board without those of ``null_model``, which is a reference in results and no
    competitor.
    """
    return (
        board.scores.filter(pl.col("method") != NULL_MODEL)
        if board.format == RESULTS
        else board.scores
    )


def _null(board: Scoreboard, cell: str) -> bool:
    """Whether an empty cell, ``study/method/metric``, is the reference's."""
    return board.format == RESULTS and f"/{NULL_MODEL}/" in cell


def _with_cohorts(scores: pl.DataFrame, file: Path) -> tuple[pl.DataFrame, str | None]:
    """Cohorts as a file gives them; studies it does not name keep theirs."""
    given, sha256 = read_cohorts(file)
    known = set(scores["study"])
    unknown = next((study for study in given if study not in known), None)
    if unknown is not None:
        raise InputError(
            f"{file}, column 'study': no study is named '{unknown}'; there are {_listed(sorted(known))}"
        )
    renamed = pl.col("study").replace_strict(
        given, default=pl.col("cohort"), return_dtype=pl.String
    )
    return scores.with_columns(cohort=renamed), sha256


def _shared_methods(
    boards: Sequence[Scoreboard],
    scores: pl.DataFrame,
    experts: bool,
    left_out: list[dict[str, Any]],
) -> pl.DataFrame:
    """Of results: the methods that all studies have, without single experts unless asked for."""
    board = next((board for board in boards if board.format == RESULTS), None)
    if board is None:
        if experts:
            raise InputError(
                "--experts applies to result folders; here every method takes part anyway"
            )
        return scores
    own = set(board.scores["study"])
    inside = scores.filter(pl.col("study").is_in(own))
    n = inside["study"].n_unique()
    count = dict(inside.group_by("method", maintain_order=True).len().iter_rows())
    alone = set() if experts else board.experts
    partial = [name for name in count if name not in alone and count[name] < n]
    _leave(
        left_out,
        "methods",
        [name for name in count if name in alone],
        "single experts; --experts ranks those that all studies have",
    )
    _leave(left_out, "methods", partial, "not all studies have them")
    dropped = {*partial, *(alone & set(count))}
    return scores.filter(~(pl.col("study").is_in(own) & pl.col("method").is_in(dropped)))


def _studies(scores: pl.DataFrame, left_out: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Studies with two methods or more, and their cohorts.

    Raises:
        InputError: There are fewer than two methods, or two sources disagree on a study's cohort.
    """
    if scores["method"].n_unique() < 2:
        names = _listed(scores["method"].unique(maintain_order=True).to_list()) or "none"
        raise InputError(f"ranking needs two methods that the studies share; there is {names}")
    table = scores.group_by("study", maintain_order=True).agg(
        pl.len(), pl.col("cohort").unique(maintain_order=True)
    )
    torn = table.filter(pl.col("cohort").list.len() > 1)
    if torn.height:
        study, _, both = torn.row(0)
        raise InputError(
            f"study '{study}' has two cohorts, '{both[0]}' and '{both[1]}', in different sources"
        )
    _leave(
        left_out,
        "studies",
        table.filter(pl.col("len") < 2)["study"].to_list(),
        "they have one method only",
    )
    table = table.filter(pl.col("len") >= 2)
    return table["study"].to_list(), [cohort for (cohort,) in table["cohort"]]


def _matrix(cells: pl.DataFrame, studies: list[str], methods: list[str], column: str) -> np.ndarray:
    matrix = np.full((len(studies), len(methods)), np.nan)
    row, place = {s: i for i, s in enumerate(studies)}, {m: i for i, m in enumerate(methods)}
    for study, method, value in cells.select("study", "method", column).iter_rows():
        if value is not None:
            matrix[row[study], place[method]] = value
    return matrix


def _notes(selection: Selection) -> Iterable[str]:
    if not selection.on_one_scale:
        kinds, metric = _listed(selection.endpoints), selection.metric
        yield (
            f"the studies have different endpoints ({kinds}), so their {metric} has no common scale: "
            "mean_value is left empty, ranks count, and differences between methods mix the scales"
        )
    n, k = len(set(selection.cohorts)), len(selection.methods)
    smallest = 2.0 ** (1 - n) * k * (k - 1) / 2
    if smallest >= ALPHA:
        units = "cohorts" if n < len(selection.studies) else "studies"
        yield (
            f"with {n} {units} and {k * (k - 1) // 2} pairs no signed-rank test can come below {ALPHA} after Holm "
            f"(the smallest possible is {min(1.0, smallest):.2g}), however the methods differ"
        )
    if np.isnan(selection.values).any():
        yield "some methods are absent from some studies: each pair is compared on the studies that have both"


def _leave(left_out: list[dict[str, Any]], what: str, names: Sequence[str], reason: str) -> None:
    if names:
        left_out.append(
            {"what": what, "n": len(names), "reason": reason, "first": list(names[:FIRST])}
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:FIRST]) + (", ..." if len(names) > FIRST else "")
