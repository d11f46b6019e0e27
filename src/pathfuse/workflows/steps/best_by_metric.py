"""The best expert by the measure of discrimination, chosen on the fit rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pathfuse.evaluation.best_by_metric import reference_name
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.workflows.checks.evidence import Evidence, principal


class BestByMetric(NamedTuple):
    """The judged rows with one more reference, where it is another than ``best_expert``."""

    judged: dict[str, Judged]
    chosen: list[dict[str, Any]]
    """For the manifest: per fold the metric, and the expert by task."""


def with_best_by_metric(
    study: Study, judged: Mapping[str, Judged], parts: Sequence[Partition]
) -> BestByMetric:
    """Adds ``best_expert_auroc`` (or ``_c_index``, ``_pearson``) to what is judged.

    Nothing is added where ``best_expert``, chosen by NLL, is the same expert in every fold and label,
    or where there are no fit rows. Where the expert did not score a sample, the next best did.

    Args:
        study: The study.
        judged: By output, with the experts' predictions and ``best_expert``.
        parts: Those that the judged rows are of, fold by fold.
    """
    parts = [part for part in parts if len(part.fit)]
    if not parts or any("best_expert" not in one.predictions for one in judged.values()):
        return BestByMetric(dict(judged), [])
    name = principal(study).name
    evidence = Evidence.of(study, parts)
    orders = [{group: _order(evidence, group, part) for group in evidence.groups} for part in parts]
    group_of = {output: g for g, outputs in evidence.groups.items() for output in outputs}
    found: dict[str, Judged] = {}
    differs = False
    for output, one in judged.items():
        predictions = _taken(one, [order[group_of[output]] for order in orders])
        differs = differs or not np.array_equal(
            predictions, one.predictions["best_expert"], equal_nan=True
        )
        more = {**one.predictions, reference_name(name): predictions}
        found[output] = replace(one, predictions=more)
    tasks = study.endpoint.tasks
    chosen = [
        {
            "fold": part.name or None,
            "metric": name,
            **{
                task: order[_group(evidence, task)][0]
                for task in tasks
                if order[_group(evidence, task)]
            },
        }
        for part, order in zip(parts, orders, strict=True)
    ]
    return BestByMetric(found if differs else dict(judged), chosen)


def _group(evidence: Evidence, task: str) -> str:
    """What the outputs of a task are looked at as."""
    return next(g for g, outputs in evidence.groups.items() if g == "" or task in outputs)


def _order(evidence: Evidence, group: str, part: Partition) -> list[str]:
    """The experts, best first; of equals the first by name; those that are undefined last."""
    sign = principal(evidence.study).sign
    values = {}
    for name in evidence.study.expert_names:
        found = evidence.discrimination(name, group, part.fit)
        if found is not None:
            values[name] = -np.inf if np.isnan(found.value) else sign * found.value
    return sorted(values, key=lambda name: -values[name])


def _taken(judged: Judged, orders: Sequence[Sequence[str]]) -> np.ndarray:
    """Each row's predictions by the best expert of its fold that scored it."""
    taken = np.full_like(judged.predictions["best_expert"], np.nan)
    folds = np.unique(judged.folds)
    for fold, order in zip(folds, orders, strict=False):
        for name in reversed([one for one in order if one in judged.predictions]):
            rows = (judged.folds == fold) & predicted(judged.predictions[name])
            taken[rows] = judged.predictions[name][rows]
    return taken
