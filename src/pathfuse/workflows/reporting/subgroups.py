"""``subgroups.csv``: the fusion and the best expert in groups of the judged rows."""

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import polars as pl

from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.multiplicity import holm_once
from pathfuse.evaluation.paired_tests import ALPHA
from pathfuse.evaluation.rules import Rules
from pathfuse.evaluation.subgroups import GroupFigures, Subgroups, leading_metrics
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.grouping import Grouping, columns_by, grouping, named_columns
from pathfuse.workflows.reporting.resamples import resampled_outputs
from pathfuse.workflows.steps.curves import MAX_OUTPUTS, leading, rows_of_output

SUBGROUPS = {
    "column": pl.String,
    "group": pl.String,
    "output": pl.String,
    "method": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n": pl.Int64,
    "n_patients": pl.Int64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "p_value": pl.Float64,
    "p_holm": pl.Float64,
    "interaction": pl.Boolean,
    "note": pl.String,
}
Row = dict[str, Any]


def subgroups_part(run: JudgedRun) -> ReportPart:
    """Metrics of every group of every column that names subgroups, and their differences to the
    rest.
    """
    columns = columns_by(run.study, run.settings.by)
    outputs = [name for name, one in run.judged.items() if len(one.observed)][:MAX_OUTPUTS]
    if not columns or not outputs:
        return ReportPart()
    everybody = np.unique(np.concatenate([run.rows[task] for task in run.rows]))
    found = [grouping(run.study, column, everybody) for column in columns]
    groupings = [one for one in found if one.divides(everybody)]
    drawn = resampled_outputs(run)
    rows: list[Row] = []
    for output in outputs:
        where = rows_of_output(run.study, output, run.rows, run.settings.unit)
        known = Subgroups(
            run.study.endpoint,
            drawn[output].judged,
            drawn[output].resamples,
            run.rules.interval,
            run.rules.drawn,
        )
        rows += _of_output(output, known, groupings, where, run.rules)
    asked = named_columns(run.settings.by)
    notes = [one.note for one in groupings if one.note]
    notes += [
        f"--by {one.column}: all judged samples are in one group, so there is nothing to compare"
        for one in found
        if not one.divides(everybody) and one.column in asked
    ]
    if len(run.judged) > len(outputs):
        notes.append(
            f"subgroups.csv holds the first {len(outputs)} of {len(run.judged)} labels or targets"
        )
    table = pl.DataFrame(rows, schema=SUBGROUPS, orient="row")
    return ReportPart({"subgroups": table}, {"by": asked} if asked else {}, tuple(notes))


def _of_output(
    output: str, known: Subgroups, groupings: list[Grouping], where: np.ndarray, rules: Rules
) -> list[Row]:
    """All rows of one label or target, with p-values adjusted over its groups."""
    predictions = known.judged.predictions
    first = leading(predictions)
    methods = [name for name in dict.fromkeys((first, "best_expert")) if name in predictions]
    rows: list[Row] = []
    tested: dict[str, list[tuple[Row, Hashable]]] = {}
    for one in groupings:
        member = one.member[where]
        there = [g for g in range(len(one.names)) if (member == g).any()]
        for g in there:
            # Of two groups each is the rest of the other: one test, not two.
            what = (one.column,) if len(there) == 2 else (one.column, g)
            for method in methods:
                found = known.figures(method, member == g, against_rest=method == first)
                key = {"column": one.column, "group": one.names[g]}
                key |= {"output": output, "method": method}
                for row in _rows(found, leading_metrics(known.endpoint), rules):
                    rows.append(key | row)
                    if row["p_value"] is not None:
                        tested.setdefault(row["metric"], []).append((rows[-1], what))
    for family in tested.values():
        p = np.array([row["p_value"] for row, _ in family])
        for (row, _), adjusted in zip(family, holm_once(p, [what for _, what in family]).tolist(),
                                      strict=True):  # fmt: skip
            row |= {"p_holm": adjusted, "interaction": adjusted < ALPHA}
    return rows


def _rows(found: GroupFigures, metrics: list[str], rules: Rules) -> Iterator[Row]:
    """One row per metric; undefined figures are empty cells."""
    for metric in metrics:
        row: Row = {"metric": metric, "n": found.n, "n_patients": found.n_patients}
        inside, apart = found.inside.get(metric), found.apart.get(metric)
        undefined = inside is not None and np.isnan(inside.point)
        note = metric_of(metric).undefined_at_site if undefined else found.note
        row |= {"p_holm": None, "interaction": None, "note": note}
        interval = None if inside is None else inside.interval(rules.interval)
        row |= _named(
            value=None if inside is None else inside.point,
            ci_low=interval and interval.low,
            ci_high=interval and interval.high,
        )
        row |= _named(
            difference=None if apart is None else apart.point,
            difference_low=None if apart is None else apart.low,
            difference_high=None if apart is None else apart.high,
            p_value=None if apart is None else apart.p_value,
        )
        yield row


def _named(**values: Any) -> Row:
    """Values by name; None for NaN."""
    return {
        name: None if value is None or np.isnan(value) else float(value)
        for name, value in values.items()
    }
