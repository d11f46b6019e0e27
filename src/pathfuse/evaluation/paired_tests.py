"""Further tests of paired differences: DeLong where it is valid, corrected t over folds, margins
against the best.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from pathfuse.evaluation.best_by_metric import has_metric
from pathfuse.evaluation.corrected_t import corrected_t
from pathfuse.evaluation.delong import delong
from pathfuse.evaluation.estimates import Estimate, by_fold
from pathfuse.evaluation.judged import Comparison, EndpointLike, Judged, Test, predicted
from pathfuse.evaluation.metrics.classification import AUROC
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.multiplicity import holm_once
from pathfuse.evaluation.noninferiority import non_inferiority
from pathfuse.evaluation.rules import Rules
from pathfuse.fusion.null_model import NULL_MODEL

ALPHA = 0.05
NAN = float("nan")


Same = Mapping[str, Hashable]
"""Per method what it predicts: two names of the same predictions, such as ``best_expert`` and an
expert, agree."""


def same_predictions(judged: Judged) -> dict[str, str]:
    """For each method the first that predicts exactly the same."""
    first: dict[bytes, str] = {}
    return {name: first.setdefault(p.tobytes(), name) for name, p in judged.predictions.items()}


def delong_tests(
    endpoint: EndpointLike, output: str, judged: Judged, contrasts: Sequence[tuple[str, str]]
) -> list[Test]:
    """DeLong's test of every contrast's AUROC: two classes, one row per patient, one fold."""
    one_row_each = len(np.unique(judged.patients)) == len(judged.patients)
    two_classes = AUROC.name in endpoint.metrics and judged.observed.shape[1] == 2
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
            Test(
                name,
                reference,
                output,
                AUROC.name,
                "DeLong",
                found.difference,
                found.z,
                found.p_value,
                NAN,
                NAN,
                "",
            )
        )
    return _adjusted(tests, same_predictions(judged))


def fold_tests(
    endpoint: EndpointLike, output: str, judged: Judged, contrasts: Sequence[tuple[str, str]]
) -> list[Test]:
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
        for metric in (m for m in endpoint.metrics if has_metric(reference, m)):
            found = corrected_t(one[metric] - other[metric], test_to_train)
            what = f"corrected resampled t, {found.degrees_of_freedom + 1} folds"
            tests.append(
                Test(
                    name,
                    reference,
                    output,
                    metric,
                    what,
                    found.difference,
                    found.t,
                    found.p_value,
                    NAN,
                    NAN,
                    "",
                )
            )
    return _adjusted(tests, same_predictions(judged))


def margin_tests(
    endpoint: EndpointLike,
    output: str,
    name: str,
    differences: Mapping[str, Estimate],
    rules: Rules,
    p_holm: Mapping[str, float] = MappingProxyType({}),
    reference: str = "best_expert",
) -> list[Test]:
    """Non-inferiority of a method to the best expert.

    Args:
        endpoint: Names the metrics.
        output: What the rows are about.
        name: The method.
        differences: Per metric, to the best expert; a metric that has none is not tested.
        rules: How methods are evaluated.
        p_holm: Per metric, the largest adjusted p-value of the tests of this difference; above 0.05
            no word says superior.
        reference: What that best expert is called.
    """
    tests = []
    held = [metric_of(name) for name in endpoint.metrics if name in differences]
    for metric in (known for known in held if known.principal):
        difference = differences[metric.name]
        gains = metric.sign * difference.distribution(rules.interval)
        found = non_inferiority(gains, rules.margin, shown=not p_holm.get(metric.name, 0.0) > ALPHA)
        conclusion = "undefined" if np.isnan(difference.point) else found.conclusion
        what = f"non-inferiority, bootstrap by {rules.drawn}, not adjusted"
        figures = (difference.point, NAN, found.p_value, NAN, rules.margin, conclusion)
        tests.append(Test(name, reference, output, metric.name, what, *figures))
    return tests


def family_side(contrasts: Sequence[tuple[str, str]]) -> int:
    """Which side of the contrasts a family shares: 0 the method (``fuse``), 1 the reference
    (``evaluate``).

    It is the side with fewer names: one method against many, or many against one reference.
    ``null_model`` is not a competitor and does not count.
    """
    methods, references = ({c[side] for c in contrasts if NULL_MODEL not in c} for side in (0, 1))
    return 0 if len(methods) <= len(references) else 1


def adjusted_p(
    tests: Sequence[Test | Comparison], same: Same
) -> tuple[Float[np.ndarray, " test"], int]:
    """Holm's adjustment over each family, per metric.

    And how many comparisons the largest family counts.

    A comparison with ``null_model`` is a family of its own: it asks whether anything was learned at
    all.
    """
    side = family_side([(t.method, t.reference) for t in tests])
    families: dict[tuple[str, ...], list[int]] = {}
    for i, t in enumerate(tests):
        pair = (t.method, t.reference)
        families.setdefault(
            (*pair, t.metric) if NULL_MODEL in pair else (pair[side], t.metric), []
        ).append(i)
    result, largest = np.full(len(tests), np.nan), 0
    for members in families.values():
        p = np.array([tests[i].p_value for i in members])
        what = [(same[tests[i].method], same[tests[i].reference]) for i in members]
        result[members] = holm_once(p, what)
        largest = max(
            largest, len({key for key, one in zip(what, p, strict=True) if not np.isnan(one)})
        )
    return result, largest


def _adjusted(tests: list[Test], same: Same) -> list[Test]:
    """The same with Holm's adjustment over each family, per metric."""
    if not tests:
        return []
    result = [
        replace(t, p_holm=float(p)) for t, p in zip(tests, adjusted_p(tests, same)[0], strict=True)
    ]
    return [replace(t, conclusion=_verdict(t)) for t in result]


def _verdict(test: Test) -> str:
    if np.isnan(test.p_value):
        return "undefined"
    return "differs" if test.p_holm < ALPHA else "no difference shown"
