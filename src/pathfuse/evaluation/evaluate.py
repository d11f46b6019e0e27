"""Every method on the same judged rows, with intervals and paired differences by patient.

With folds, a metric is computed inside each fold and averaged with the folds' patient counts as
weights; predictions of different folds are never pooled into one AUROC
(docs/design/architecture.md, section 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pathfuse.evaluation.averages import Averages, Pairs
from pathfuse.evaluation.best_by_metric import has_metric, is_by_metric, reference_for
from pathfuse.evaluation.estimates import (
    Estimate,
    Estimates,
    estimate,
    prepare,
    resampled_all,
)
from pathfuse.evaluation.gains import gains
from pathfuse.evaluation.intervals import MIN_RESAMPLES, described
from pathfuse.evaluation.judged import (
    Comparison,
    EndpointLike,
    Judged,
    MetricRow,
    Scores,
    Test,
    Verdict,
    predicted,
)
from pathfuse.evaluation.metrics.prediction_sets import COVERAGE
from pathfuse.evaluation.metrics.survival import UNOS_C
from pathfuse.evaluation.notes import about_auroc, about_figure, about_unsure, about_weights, listed
from pathfuse.evaluation.paired_tests import (
    ALPHA,
    Same,
    adjusted_p,
    delong_tests,
    fold_tests,
    margin_tests,
    same_predictions,
)
from pathfuse.evaluation.resampling import MIN_PATIENTS, MOST_LEFT_OUT, Resamples, draw, leave_out
from pathfuse.evaluation.rules import DEFAULT, Rules
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.types import Index

ABOUT_FOLDS = (
    "folds: intervals and p-values of the bootstrap take the models as they are; "
    "the corrected t in tests.csv allows for their training as well, and is conservative"
)


def evaluate_task(
    endpoint: EndpointLike,
    output: str,
    judged: Judged,
    contrasts: Sequence[tuple[str, str]],
    n_resamples: int = 2000,
    seed: int = 0,
) -> Verdict:
    """Metrics of every method and paired differences of some, for one task.

    Args:
        endpoint: Names the metrics.
        output: What the rows are about: ``all``, or a label.
        judged: Rows and predictions.
        contrasts: Pairs (method, reference).
        n_resamples: Bootstrap resamples by patient.
        seed: Seed of the bootstrap.
    """
    return evaluate_tasks(endpoint, {output: judged}, contrasts, Rules(n_resamples, seed))


def evaluate_tasks(
    endpoint: EndpointLike,
    tasks: Mapping[str, Judged],
    contrasts: Sequence[tuple[str, str]],
    rules: Rules = DEFAULT,
    experts: Sequence[str] = (),
) -> Verdict:
    """Evaluates several tasks on the same resamples of patients.

    ``all`` is the macro average over labels or targets.

    Args:
        endpoint: Names the metrics.
        tasks: Rows and predictions by output.
        contrasts: Pairs (method, reference).
        rules: How to evaluate.
        experts: The single experts, over whose mean gains are stated.
    """
    patients = np.concatenate([j.patients for j in tasks.values()])
    folds = np.concatenate([j.folds for j in tasks.values()])
    n_patients, several = len(np.unique(patients)), list(tasks) != ["all"]
    enough = n_patients >= MIN_PATIENTS
    drawn = draw(patients, folds, rules.n_resamples if enough else 0, rules.seed)
    parts = None
    if enough and rules.n_resamples and rules.interval != "percentile":
        parts = leave_out(
            n_patients, rules.seed, None if rules.interval == "bca" else MOST_LEFT_OUT
        )
    verdict = _opened(tasks, n_patients, rules)
    averages, same = Averages(), dict[str, dict[str, str]]()
    of_rows: dict[bytes, Resamples] = {}
    for output, judged in tasks.items():
        own = Resamples(drawn.counts, judged.patients, parts, rules.n_jobs)
        resamples = of_rows.setdefault(judged.patients.tobytes(), own)
        everything, pairs = _evaluate_one(
            verdict, endpoint, (output, judged), contrasts, rules, resamples, enough=enough
        )
        if several:
            averages.add(everything, pairs)
            same[output] = same_predictions(judged)
    methods = [name for name in dict.fromkeys(c[0] for c in contrasts) if name not in experts]
    if several or len(tasks) == 1:
        whole = averages.methods() if several else everything
        verdict.gains.extend(gains(whole, methods, experts, "all", rules))
    if several:
        counts = (max(len(j.patients) for j in tasks.values()), n_patients)
        _evaluate_averages(verdict, endpoint, averages, counts, rules, same)
    if enough and rules.n_resamples:
        verdict.notes.extend(about_unsure(endpoint))
    return verdict


def _opened(tasks: Mapping[str, Judged], n_patients: int, rules: Rules) -> Verdict:
    """An empty verdict that states which intervals there will be, or why there are none."""
    verdict = Verdict([], [], [], [])
    if n_patients < MIN_PATIENTS:
        verdict.notes.append(
            f"{n_patients} {rules.drawn}{'' if n_patients == 1 else 's'}, fewer than {MIN_PATIENTS}: "
            "no intervals"
        )
        return verdict
    if 0 < rules.n_resamples < MIN_RESAMPLES:
        verdict.notes.append(
            f"{rules.n_resamples} resamples, fewer than {MIN_RESAMPLES}: no intervals"
        )
    elif rules.n_resamples:
        verdict.intervals.update(described(rules.interval, rules.drawn))
    if any(len(np.unique(judged.folds)) > 1 for judged in tasks.values()):
        verdict.notes.append(ABOUT_FOLDS)
    return verdict


def _evaluate_one(
    verdict: Verdict,
    endpoint: EndpointLike,
    task: tuple[str, Judged],
    contrasts: Sequence[tuple[str, str]],
    rules: Rules,
    resamples: Resamples,
    *,
    enough: bool,
) -> tuple[dict[str, Estimates], Pairs]:
    """Adds one task to the verdict.

    Returns:
        Its estimates and pairs, as they enter the averages over tasks.
    """
    output, judged = task
    everything = _estimates(endpoint, judged, resamples)
    pairs = _paired(endpoint, judged, contrasts, everything, resamples)
    heavy = about_weights(judged, rules.drawn) if enough and rules.n_resamples else None
    if heavy is not None:
        verdict.notes.append(f"{output}: {heavy}")
        pairs = _pairs_without_intervals(pairs, frozenset({UNOS_C.name}))
    averaged = (everything, pairs)
    lacking = endpoint.too_few(judged, rules.drawn)
    if lacking is not None and enough:
        verdict.notes.append(f"{output}: {lacking}")
        everything, pairs = _without_intervals(everything), _pairs_without_intervals(pairs)
    verdict.notes.extend(about_auroc(output, endpoint, judged))
    _evaluate_methods(verdict, output, judged, everything, rules)
    further: list[Test] = []
    if enough and lacking is None:
        competing = [contrast for contrast in contrasts if NULL_MODEL not in contrast]
        further = [*delong_tests(endpoint, output, judged, competing),
                   *fold_tests(endpoint, output, judged, competing)]  # fmt: skip
    same = same_predictions(judged)
    _evaluate_contrasts(verdict, endpoint, output, pairs, rules, same, further)
    _note_apart(verdict, output, judged, pairs)
    verdict.tests.extend(further)
    return averaged


def _evaluate_averages(
    verdict: Verdict,
    endpoint: EndpointLike,
    averages: Averages,
    counts: tuple[int, int],
    rules: Rules,
    same: Mapping[str, Mapping[str, str]],
) -> None:
    """Adds the means over labels or targets; ``counts`` are the rows and the patients."""
    means = averages.methods()
    for name, values in means.items():
        verdict.metrics.extend(_metrics(name, "all", values, counts, rules))
    _count_undefined(verdict, means)
    names = dict.fromkeys(name for one in same.values() for name in one)
    everywhere = {name: tuple(one.get(name) for one in same.values()) for name in names}
    _evaluate_contrasts(verdict, endpoint, "all", averages.pairs(), rules, everywhere)


def _estimates(
    endpoint: EndpointLike, judged: Judged, resamples: Resamples
) -> dict[str, Estimates]:
    rows_of = {name: predicted(p) for name, p in judged.predictions.items()}
    everything = resampled_all(endpoint, judged, rows_of, resamples)
    if judged.sets is not None:
        everything["fused"] = {**everything["fused"], **_of_sets(judged, resamples)}
    return everything


def _without_intervals(
    everything: Mapping[str, Estimates], metrics: frozenset[str] | None = None
) -> dict[str, Estimates]:
    """The same figures; those of some metrics, or of all, have no intervals."""
    return {
        name: {
            m: value.unsure() if metrics is None or m in metrics else value
            for m, value in values.items()
        }
        for name, values in everything.items()
    }


def _pairs_without_intervals(pairs: Pairs, metrics: frozenset[str] | None = None) -> Pairs:
    bare = {
        c: _without_intervals({"one": p[0], "other": p[1]}, metrics)
        for c, p in pairs.items()
        if p is not None
    }
    return {c: (bare[c]["one"], bare[c]["other"]) if c in bare else None for c in pairs}


def _evaluate_methods(
    verdict: Verdict, output: str, judged: Judged, everything: Mapping[str, Estimates], rules: Rules
) -> None:
    reasons: dict[tuple[str, str], list[str]] = {}
    prepare([value for values in everything.values() for value in values.values()])
    counts: dict[bytes, tuple[int, int]] = {}
    for name, values in everything.items():
        rows = predicted(judged.predictions[name])
        if (key := rows.tobytes()) not in counts:
            counts[key] = (int(rows.sum()), len(np.unique(judged.patients[rows])))
        verdict.metrics.extend(_metrics(name, output, values, counts[key], rules))
        for metric, value in values.items():
            if value.defined_throughout or name == NULL_MODEL:
                continue
            n_undefined = int(np.isnan(value.resampled).sum())
            missing = 0 if n_undefined == len(value.resampled) else n_undefined
            reason = about_figure(value, rows, missing, judged)
            if reason is not None:
                reasons.setdefault((metric, reason), []).append(name)
    verdict.notes.extend(
        f"{output}: {metric} of {listed(names)} {why}" for (metric, why), names in reasons.items()
    )


def _count_undefined(verdict: Verdict, everything: Mapping[str, Estimates]) -> None:
    """Notes of the means over labels or targets: how many resamples lack one of them, and were left
    out.
    """
    reasons: dict[tuple[str, int], list[str]] = {}
    for name, values in everything.items():
        for metric, value in values.items():
            lacking = int(np.isnan(value.resampled).sum())
            named = not (value.metric.no_interval or is_by_metric(name))
            if 0 < lacking < value.n_resamples and named:
                reasons.setdefault((metric, lacking), []).append(name)
    verdict.notes.extend(
        f"all: {metric} of {listed(names)} has {n} resamples that lack a label or target, and were left out"
        for (metric, n), names in reasons.items()
    )


def _metrics(
    name: str, output: str, values: Estimates, counts: tuple[int, int], rules: Rules
) -> list[MetricRow]:
    """Rows of ``metrics.csv``; ``counts`` are the rows and the patients."""
    rows: list[MetricRow] = []
    if is_by_metric(name):  # the expert that it is has a row of its own
        return rows
    for metric, value in values.items():
        interval = value.interval(rules.interval)
        rows.append(
            MetricRow(name, output, metric, value.point, interval.low, interval.high, *counts)
        )
    return rows


def _of_sets(judged: Judged, resamples: Resamples) -> Estimates:
    """Coverage and size of the fusion's prediction sets."""
    sets = judged.sets
    if sets is None:
        return {}

    def scorer(inside: Index, _fold: int) -> Scores:
        return sets.of(inside)

    rows = predicted(judged.predictions["fused"])
    return estimate(scorer, (COVERAGE, sets.size_name), judged, rows, resamples)


def _paired(
    endpoint: EndpointLike,
    judged: Judged,
    contrasts: Sequence[tuple[str, str]],
    everything: Mapping[str, Estimates],
    resamples: Resamples,
) -> Pairs:
    """Both sides of each contrast on the rows that both predict; None if there is none."""
    scored = {name: predicted(values) for name, values in judged.predictions.items()}
    # An expert need not know every label.
    there = [c for c in contrasts if set(c) <= set(scored)]
    common = {c: scored[c[0]] & scored[c[1]] for c in there}
    everywhere = {name: rows.tobytes() for name, rows in scored.items()}
    needed: dict[bytes, dict[str, np.ndarray]] = {}
    for contrast, rows in common.items():
        for name in contrast:
            if rows.any() and rows.tobytes() != everywhere[name]:
                needed.setdefault(rows.tobytes(), {})[name] = rows
    known = {
        key: resampled_all(endpoint, judged, rows_of, resamples) for key, rows_of in needed.items()
    }
    pairs: dict[tuple[str, str], tuple[Estimates, Estimates] | None] = dict.fromkeys(contrasts)
    for contrast, rows in common.items():
        if not rows.any():
            continue
        own = known.get(rows.tobytes(), {})
        one, other = (own[name] if name in own else everything[name] for name in contrast)
        # A fold that one side does not define (a constant prediction has no correlation) does not
        # enter the comparison.
        both = [m for m in one if m in other]
        pairs[contrast] = (
            {m: one[m].among(other[m].counted) for m in both},
            {m: other[m].among(one[m].counted) for m in both},
        )
    return pairs


def _evaluate_contrasts(
    verdict: Verdict,
    endpoint: EndpointLike,
    output: str,
    pairs: Pairs,
    rules: Rules,
    same: Same,
    further: Sequence[Test] = (),
) -> None:
    """Comparisons and tests of one output; p-values are adjusted inside each family, per metric.

    Where a ``further`` test shows no difference, no method is called superior.
    """
    there = {contrast: pair for contrast, pair in pairs.items() if pair is not None}
    differences = {
        (contrast, m): pair[0][m].minus(pair[1][m], same[contrast[0]] == same[contrast[1]])
        for contrast, pair in there.items()
        for m in endpoint.metrics
        if has_metric(contrast[1], m)
    }
    if not differences:
        return
    prepare(list(differences.values()))
    rows = [_compare((*c, output, m), one, rules) for (c, m), one in differences.items()]
    adjusted, count = adjusted_p(rows, same)
    rows = [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)]
    verdict.comparisons.extend(rows)
    references = {reference for _, reference in there}
    for name, reference in there:
        held = [m for m in endpoint.metrics if reference_for(m, references) == reference]
        if held:
            largest = dict[str, float]()
            tests: list[Test | Comparison] = [*rows, *further]
            for row in tests:
                if (row.method, row.reference) == (name, reference) and not np.isnan(row.p_holm):
                    largest[row.metric] = max(largest.get(row.metric, 0.0), row.p_holm)
            own = {m: differences[(name, reference), m] for m in held}
            verdict.tests.extend(
                margin_tests(endpoint, output, name, own, rules, largest, reference)
            )
    note = f"{count} comparisons in a family need more than {rules.n_resamples} resamples to reach 0.05"
    counted = any(one.uses_t(rules.interval) for one in differences.values())
    if not counted and 2 * count / (rules.n_resamples + 1) > ALPHA and note not in verdict.notes:
        verdict.notes.append(note)


def _note_apart(verdict: Verdict, output: str, judged: Judged, pairs: Pairs) -> None:
    """Notes the pairs that predict no sample in common."""
    for (name, reference), pair in pairs.items():
        if pair is None and {name, reference} <= set(judged.predictions):
            verdict.notes.append(f"{output}: {name} and {reference} have no sample in common")


def _compare(key: tuple[str, str, str, str], difference: Estimate, rules: Rules) -> Comparison:
    """One row of ``comparisons.csv``; the key is (method, reference, output, metric)."""
    interval, n = difference.interval(rules.interval), difference.n_resamples
    how = {"bca": ", BCa interval"}.get(
        rules.interval, ", t" if difference.uses_t(rules.interval) else ""
    )
    limits = (interval.low, interval.high, difference.p_value(rules.interval))
    test = (
        "none"
        if np.isnan(interval.low)
        else f"paired bootstrap by {rules.drawn}, {n} resamples{how}"
    )
    return Comparison(*key, difference.point, *limits, test, float("nan"))
