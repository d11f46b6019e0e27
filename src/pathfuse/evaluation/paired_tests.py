"""Further tests of paired differences: DeLong where it is valid, corrected t over folds, margins against the best."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.corrected_t import corrected_t
from pathfuse.evaluation.delong import delong
from pathfuse.evaluation.estimates import Estimates, by_fold
from pathfuse.evaluation.judged import LOWER_IS_BETTER, Judged, Test, predicted
from pathfuse.evaluation.multiplicity import holm_once
from pathfuse.evaluation.noninferiority import non_inferiority

MARGIN_METRICS = ("nll", "auroc", "c_index", "pearson")
"""Non-inferiority is judged on the loss and on one measure of discrimination."""
ALPHA = 0.05
NAN = float("nan")


def delong_tests(endpoint: Endpoint, output: str, judged: Judged, contrasts: Sequence[tuple[str, str]]) -> list[Test]:
    """DeLong's test of every contrast's AUROC: two classes, one row per patient, one fold."""
    one_row_each = len(np.unique(judged.patients)) == len(judged.patients)
    two_classes = "auroc" in endpoint.metrics and judged.observed.shape[1] == 2
    if not (two_classes and one_row_each and len(np.unique(judged.folds)) == 1):
        return []
    tests = []
    for name, reference in contrasts:
        if not {name, reference} <= set(judged.predictions):
            continue
        one, other = (judged.predictions[n] for n in (name, reference))
        rows = predicted(one) & predicted(other)
        positive = judged.observed[rows, 1].astype(bool)
        if positive.all() or not positive.any():
            continue
        scores = [p[rows, 1] - p[rows, 0] for p in (one, other)]
        found = delong(scores[0], scores[1], positive)
        tests.append(
            Test(name, reference, output, "auroc", "DeLong", found.difference, found.z, found.p_value, NAN, NAN, "")
        )
    return _adjusted(tests)


def fold_tests(endpoint: Endpoint, output: str, judged: Judged, contrasts: Sequence[tuple[str, str]]) -> list[Test]:
    """Nadeau and Bengio's corrected t over the outer folds, every metric of every contrast."""
    folds, n_patients = np.unique(judged.folds), len(np.unique(judged.patients))
    if len(folds) < 2:
        return []
    per_fold = np.array([len(np.unique(judged.patients[judged.folds == f])) for f in folds])
    test_to_train = float(np.mean(per_fold / (n_patients - per_fold)))
    tests = []
    for name, reference in contrasts:
        if not {name, reference} <= set(judged.predictions):
            continue
        rows = predicted(judged.predictions[name]) & predicted(judged.predictions[reference])
        one, other = (by_fold(endpoint, judged, n, rows) for n in (name, reference))
        for metric in endpoint.metrics:
            found = corrected_t(one[metric] - other[metric], test_to_train)
            what = f"corrected resampled t, {found.degrees_of_freedom + 1} folds"
            tests.append(
                Test(name, reference, output, metric, what, found.difference, found.t, found.p_value, NAN, NAN, "")
            )
    return _adjusted(tests)


def margin_tests(
    endpoint: Endpoint, output: str, name: str, one: Estimates, other: Estimates, margin: float
) -> list[Test]:
    """Non-inferiority of a method to the best expert."""
    tests = []
    for metric in (m for m in MARGIN_METRICS if m in endpoint.metrics):
        difference = one[metric] - other[metric]
        gains = -difference.resampled if metric in LOWER_IS_BETTER else difference.resampled
        found = non_inferiority(gains, margin)
        what = "non-inferiority, percentile bootstrap by patient, not adjusted"
        figures = (difference.point, NAN, found.p_value, NAN, margin, found.conclusion)
        tests.append(Test(name, "best_expert", output, metric, what, *figures))
    return tests


def family_side(contrasts: Sequence[tuple[str, str]]) -> int:
    """Which side of the contrasts a family shares: 0 the method (``fuse``), 1 the reference (``evaluate``).

    It is the side with fewer names: one method against many, or many against one reference.
    """
    methods, references = ({c[side] for c in contrasts} for side in (0, 1))
    return 0 if len(methods) <= len(references) else 1


def _adjusted(tests: list[Test]) -> list[Test]:
    """The same with Holm's adjustment over each family, per metric."""
    result, side = list(tests), family_side([(t.method, t.reference) for t in tests])
    for family in {((t.method, t.reference)[side], t.metric) for t in tests}:
        members = [i for i, t in enumerate(tests) if ((t.method, t.reference)[side], t.metric) == family]
        adjusted = holm_once(*np.array([(tests[i].p_value, tests[i].difference) for i in members]).T)
        for i, p_holm in zip(members, adjusted, strict=True):
            result[i] = replace(tests[i], p_holm=float(p_holm))
    return [replace(t, conclusion=_verdict(t)) for t in result]


def _verdict(test: Test) -> str:
    if np.isnan(test.p_value):
        return "undefined"
    return "differs" if test.p_holm < ALPHA else "no difference shown"
