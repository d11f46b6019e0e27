"""The ceiling: what the best expert in hindsight, and an oracle for every sample, would reach."""

from typing import Any

import numpy as np

from pathfuse.evaluation.ceiling import SampleOracle, sample_oracle
from pathfuse.evaluation.metrics.base import Metric
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart


def ceiling_part(run: JudgedRun) -> ReportPart:
    """``ceiling`` of the manifest: per metric the best expert on the judged rows, and the oracle."""
    endpoint, names = run.study.endpoint, run.study.expert_names
    tried = [sample_oracle(judged, names, endpoint.of_numbers) for judged in run.judged.values()]
    oracles = [one for one in tried if one is not None]
    if not oracles:
        return ReportPart()
    hindsight = [_hindsight(run, known) for known in map(metric_of, endpoint.metrics)]
    found = {
        "loss": "absolute error" if endpoint.of_numbers else "NLL",
        "hindsight": [one for one in hindsight if one is not None],
        "oracle": _mean(oracles),
    }
    return ReportPart(manifest={"ceiling": found})


def _hindsight(run: JudgedRun, known: Metric) -> dict[str, Any] | None:
    """Who is best in a metric on the judged rows: one expert for each label or target, and the mean.

    Only experts that scored every row are asked: on other rows others would be best.
    """
    best: dict[str, tuple[str, float]] = {}
    for output in run.judged:
        rows = [r for r in run.verdict.metrics if (r.output, r.metric) == (output, known.name)]
        whole = max((row.n for row in rows), default=0)
        values = {
            row.method: row.value
            for row in rows
            if row.method in run.study.expert_names and row.n == whole and not np.isnan(row.value)
        }
        if not values:
            return None
        name = max(values, key=lambda one: known.sign * values[one])
        best[output] = (name, values[name])
    return {
        "metric": known.name,
        "experts": list(dict.fromkeys(name for name, _ in best.values())),
        "value": float(np.mean([value for _, value in best.values()])),
    }


def _mean(oracles: list[SampleOracle]) -> dict[str, Any]:
    """Over outputs, each with equal weight."""
    shares = [one.some_right for one in oracles if one.some_right is not None]
    return {
        "loss": float(np.mean([one.loss for one in oracles])),
        "some_right": float(np.mean(shares)) if shares else None,
        "n": max(one.n for one in oracles),
    }
