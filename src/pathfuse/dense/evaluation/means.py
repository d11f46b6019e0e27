"""Means over several models, such as all that were adapted by one strategy: paired differences and
intervals by patient.

The question of PFM-DenseBench is which strategy is better, not which model; a strategy's figure is
the plain mean of its models' figures on the same images, and every resample draws the same patients
for all of them.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from pathfuse.dense.evaluation.verdict import (
    Columns,
    DenseVerdict,
    Evaluator,
    Key,
    Score,
    adjusted,
    compare,
)
from pathfuse.evaluation.estimates import Estimate, over_parts
from pathfuse.evaluation.judged import MetricRow, Verdict
from pathfuse.report.frames import metrics_frame


def evaluate_means(
    groups: Mapping[str, Sequence[Columns]],
    patients: Sequence[str] | np.ndarray,
    score: Score,
    n_resamples: int = 1000,
    seed: int = 0,
) -> DenseVerdict:
    """The mean of each group, and paired differences of every two.

    Args:
        groups: Per group what is summed over images, (image, ...), of each of its models; groups
            with the same models in the same order, on the same images.
        patients: (image,): the unit of resampling.
        score: From sums to figures: ``pixel_score`` or ``instance_score``.
        n_resamples: Bootstrap resamples.
        seed: Of the draw, the same for all.

    Returns:
        As ``evaluate_confusions``, a group in place of a model; of figures over all classes only.
    """
    evaluator = Evaluator(patients, score, n_resamples, seed)
    every = np.ones(len(evaluator.patients), dtype=bool)
    n, n_patients = len(every), len(np.unique(evaluator.patients))
    figures: dict[str, dict[Key, Estimate]] = {}
    for name, models in groups.items():
        own = [evaluator.figures(columns, every) for columns in models]
        keys = [key for key in own[0] if key[0] == "all"]
        figures[name] = {key: over_parts([one[key] for one in own]) for key in keys}
    verdict = Verdict([], [], [], [])
    for name, found in figures.items():
        for (output, metric), value in found.items():
            limits = value.interval()
            row = MetricRow(
                name, output, metric.name, value.point, limits.low, limits.high, n, n_patients
            )
            verdict.metrics.append(row)
    whole = {name: np.concatenate([np.ravel(one) for one in own]) for name, own in groups.items()}
    for name, reference in combinations(figures, 2):
        same = np.array_equal(whole[name], whole[reference])
        verdict.comparisons.extend(
            compare((name, reference, "all", key[1].name), value, figures[reference][key], same)
            for key, value in figures[name].items()
        )
    return DenseVerdict(metrics_frame(verdict), adjusted(verdict, whole), verdict.notes)
