"""``check``: what was read, expert by expert, and what is wrong with it."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pathfuse.study.study import Study
from pathfuse.workflows.checks.base import Alarm
from pathfuse.workflows.checks.evidence import Evidence
from pathfuse.workflows.checks.run import alarms_in
from pathfuse.workflows.steps.evaluating import with_positive

COLUMNS = {
    "expert": pl.String,
    "rows": pl.Int64,
    "outcomes": pl.Int64,
    "coverage_fit": pl.Float64,
    "coverage_judged": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "metric": pl.String,
    "value": pl.Float64,
}


@dataclass(frozen=True)
class CheckResult:
    """What ``check`` found."""

    table: pl.DataFrame
    """One row per expert: rows that the study uses, outcomes that it predicts, share of the fit rows and
    of the judged rows that it predicts, lowest and highest prediction, and its measure of
    discrimination on the fit rows (on all rows where there are none)."""
    alarms: tuple[Alarm, ...]
    """What is wrong."""
    samples: int
    outcomes: tuple[str, ...]
    """Classes, labels, bins or targets."""
    rows_in_words: str
    """Which rows ``value`` is of."""

    @property
    def silent(self) -> bool:
        """Whether no check found anything."""
        return not self.alarms


def check(study: Study, positive: str | None = None, *, fitting: bool = True) -> CheckResult:
    """Looks for what is wrong with a study before anything is fitted or judged.

    Args:
        study: From ``read_study``.
        positive: Of two classes the positive one.
        fitting: Whether a fusion is to be fitted on the fit rows.

    Raises:
        InputError: There are no two classes, or none is called ``positive``.

    Examples:
        >>> import polars as pl
        >>> import pathfuse
        >>> ids = [f"s{i}" for i in range(40)]
        >>> samples = pl.DataFrame({"sample_id": ids, "label": ["normal", "tumor"] * 20})
        >>> prob = [(0.9 - 0.01 * i) if i % 2 else (0.1 + 0.01 * i) for i in range(40)]
        >>> swapped = pl.DataFrame({"sample_id": ids, "prob_normal": prob, "prob_tumor": [1 - p for p in prob]})
        >>> found = pathfuse.check(pathfuse.read_study(samples, {"uni": swapped}))
        >>> [alarm.check for alarm in found.alarms]
        ['wrong way round']
        >>> found.table["expert"].to_list(), found.silent
        (['uni'], False)
    """
    study = with_positive(study, positive).with_own_folds()
    evidence = Evidence.of(study, fitting=fitting)
    endpoint = study.endpoint
    outcomes = endpoint.tasks if endpoint.of_labels else endpoint.outcomes
    lines = [_line(evidence, name) for name in study.expert_names]
    return CheckResult(
        pl.DataFrame(lines, schema=COLUMNS),
        tuple(alarms_in(evidence)),
        len(study.samples.ids),
        tuple(outcomes),
        evidence.open_words,
    )


def _line(evidence: Evidence, name: str) -> dict[str, object]:
    study = evidence.study
    expert = study.expert(name)
    scored = np.isin(study.samples.ids.astype(str), np.array(expert.ids, dtype=str))
    found = [evidence.discrimination(name, group, evidence.open_rows) for group in evidence.groups]
    values = [one for one in found if one is not None and not np.isnan(one.value)]
    low, high = _range(evidence, name)
    return {
        "expert": name,
        "rows": len(expert.ids),
        "outcomes": _n_outcomes(evidence, name),
        "coverage_fit": float(scored[evidence.fit].mean()) if len(evidence.fit) else None,
        "coverage_judged": float(scored[evidence.judged].mean()) if len(evidence.judged) else None,
        "lowest": low,
        "highest": high,
        "metric": values[0].metric.name if values else None,
        "value": float(np.mean([one.value for one in values])) if values else None,
    }


def _n_outcomes(evidence: Evidence, name: str) -> int:
    """How many of the study's classes, labels, bins or targets an expert predicts."""
    tables = evidence.predictions(name)
    if evidence.study.endpoint.of_labels:
        return len(tables)
    return sum(int((~np.isnan(table)).any(axis=0).sum()) for table in tables.values())


def _range(evidence: Evidence, name: str) -> tuple[float | None, float | None]:
    """Lowest and highest probability or mean."""
    tables = list(evidence.predictions(name).values())
    values = np.concatenate([table.ravel() for table in tables])
    values = values[~np.isnan(values)]
    if not len(values):
        return None, None
    low, high = float(values.min()), float(values.max())
    return (
        (low, high)
        if evidence.study.endpoint.of_numbers
        else (float(np.exp(low)), float(np.exp(high)))
    )
