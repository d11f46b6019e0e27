"""``flow.csv``, ``characteristics.csv`` and ``detectable.csv``: who is in the study."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from pathfuse.evaluation.best_by_metric import reference_name
from pathfuse.evaluation.power import detectable, error_from_interval
from pathfuse.evaluation.subgroups import leading_metrics
from pathfuse.types import Index
from pathfuse.workflows.manifest import rows_left_out
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.characteristics import CHARACTERISTICS, characteristics
from pathfuse.workflows.steps.outer import rows_used

FLOW = {
    "step": pl.String,
    "fold": pl.String,
    "samples": pl.Int64,
    "patients": pl.Int64,
    "reason": pl.String,
}
DETECTABLE = {
    "method": pl.String,
    "reference": pl.String,
    "output": pl.String,
    "metric": pl.String,
    "standard_error": pl.Float64,
    "detectable": pl.Float64,
}
TABLE, LEFT_OUT, READ, FIT, CALIBRATION, JUDGED = (
    "samples table", "left out", "read", "fit", "calibration", "judged",
)  # fmt: skip
Line = tuple[str, str, int, int | None, str]
"""Step, fold, samples, patients, reason."""


def participants_part(run: JudgedRun) -> ReportPart:
    """From rows read to rows judged, who they are, and which difference they can show."""
    fitted, judged, calibrating = rows_used(run.study, run.parts, run.fits)
    return ReportPart(
        {
            "flow": pl.DataFrame(flow(run, fitted, calibrating, judged), schema=FLOW, orient="row"),
            "characteristics": pl.DataFrame(
                characteristics(run, fitted, judged), schema=CHARACTERISTICS, orient="row"
            ),
            "detectable": detectable_differences(run),
        }
    )


def flow(
    run: JudgedRun, fitted: np.ndarray, calibrating: np.ndarray, judged: np.ndarray
) -> list[Line]:
    """Rows of ``flow.csv``: what was read, left out, fitted on and judged."""
    study = run.study
    before = [line for line in study.left_out if "expert" not in line]
    n_read = len(study.samples.ids)
    lines: list[Line] = []
    if before:
        lines.append((TABLE, "", n_read + sum(line["n"] for line in before), None, ""))
        lines += [_gone(line) for line in before]
    lines.append(_counted(run, READ, np.arange(n_read)))
    used = fitted | judged | calibrating
    lines += [_gone(line) for line in rows_left_out(study, used) if "expert" not in line]
    for step, mask in ((FIT, fitted), (CALIBRATION, calibrating), (JUDGED, judged)):
        if mask.any():
            lines.append(_counted(run, step, np.flatnonzero(mask)))
    if len(run.parts) > 1:
        for part in run.parts:
            lines.append(_counted(run, FIT, part.fit, part.name))
            lines.append(_counted(run, JUDGED, part.judged, part.name))
    return [line for line in lines if line[2]]


def _counted(run: JudgedRun, step: str, rows: Index, fold: str = "") -> Line:
    counts = run.study.samples.counted(rows.tolist())
    return step, fold, counts["samples"], counts.get("patients"), ""


def _gone(line: dict[str, Any]) -> Line:
    return LEFT_OUT, "", line["n"], line.get("patients"), line["reason"]


def detectable_differences(run: JudgedRun) -> pl.DataFrame:
    """``detectable.csv``: the true difference between the fusion and the best expert that a study
    like this one finds with 80 % power, from the intervals of ``comparisons.csv``.
    """
    wanted: Sequence[str] = leading_metrics(run.study.endpoint)
    rows = []
    for one in run.verdict.comparisons:
        fair = one.reference in ("best_expert", reference_name(one.metric))
        if one.method != "fused" or not fair or one.metric not in wanted or np.isnan(one.ci_low):
            continue
        error = error_from_interval(one.ci_low, one.ci_high)
        names = (one.method, one.reference, one.output, one.metric)
        rows.append((*names, error, detectable(error)))
    return pl.DataFrame(rows, schema=DETECTABLE, orient="row")
