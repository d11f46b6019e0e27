"""Do intervals cover, and do tests reject as often as they say? Simulated patients with known
truth.

See docs/design/statistics.md, section 5.

Two experts' scores are binormal, so that their true AUROCs are analytic: Phi(shift / sqrt 2).
Labels belong to patients and are drawn anew in every repetition. Target: 95 % intervals cover in 93
to 97 % of 500 repetitions, tests at 5 % reject in 3 to 7 % of 1,000 repetitions of the null. Every
figure stands next to that of a customary one. One seed for all, ``SEED``; smaller runs: ``python
-m benchmarks.intervals 50 100 200`` (repetitions of each table, resamples).
"""

import sys
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import ttest_1samp, ttest_rel
from threadpoolctl import threadpool_limits

from pathfuse.distributions.likelihood import log_softmax, set_nll
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.evaluation.delong import delong
from pathfuse.evaluation.evaluate import evaluate_tasks
from pathfuse.evaluation.intervals import percentile_interval, two_sided_p
from pathfuse.evaluation.judged import Judged, Verdict
from pathfuse.evaluation.metrics.classification import weighted_auroc
from pathfuse.evaluation.resampling import draw
from pathfuse.evaluation.rules import Rules

SEED = 42
N_PATIENTS = 150
PREVALENCE = 0.4
CORRELATION = 0.6
"""Between the experts' noise."""
WITHIN = 0.7
"""Correlation of the noise of two rows of one patient."""
N_FEATURES = 10
"""Of each expert that is trained anew in every fold."""
FOLDS = 5
Row = dict[str, object]


class Drawn(NamedTuple):
    """One repetition: rows of patients, and two experts' log-odds."""

    patients: np.ndarray
    truth: np.ndarray
    log_odds: tuple[np.ndarray, np.ndarray]
    folds: np.ndarray


def interval_rivals(repetitions: int = 500, n_resamples: int = 1000) -> list[Row]:
    """95 % intervals of the difference of two AUROCs, .802 and .714 in truth; one and two rows per
    patient."""
    shifts = (1.2, 0.8)
    truth = auroc_of(shifts[0]) - auroc_of(shifts[1])
    rows = []
    for per_patient in (1, 2):
        rng, limits = np.random.default_rng([SEED, per_patient]), []
        with threadpool_limits(1):
            for seed in range(repetitions):
                found = draw_fixed(rng, shifts, per_patient)
                limits.append(intervals_of(found, n_resamples, seed))
        for name in limits[0]:
            low, high = np.array([each[name] for each in limits]).T
            covered = float(((low <= truth) & (truth <= high)).mean())
            where = {
                "too_high": float((low > truth).mean()),
                "too_low": float((high < truth).mean()),
            }
            rows.append(
                {
                    "rows_per_patient": per_patient,
                    "interval": name,
                    "coverage": covered,
                    "standard_error": float(np.sqrt(covered * (1 - covered) / repetitions)),
                    **where,
                    "mean_width": float((high - low).mean()),
                    "repetitions": repetitions,
                }
            )
    return rows


def null_rejection(repetitions: int = 1000, n_resamples: int = 1000) -> list[Row]:
    """Two exchangeable experts, tests at 5 %: fixed experts with one and two rows per patient, and
    trained in folds.

    Two rates outside of 3 to 7 % are the methods' own. The corrected t presumes that two folds'
    differences correlate by .2; of experts that nothing trained they do not, so that it rejects in
    P(|t_4| > 1.5 x 2.78) = 1.4 %. The
    bootstrap over folds takes the fitted experts as given: it does not know what other fit rows
    would have given.
    """
    cases: dict[str, Callable[[np.random.Generator], Drawn]] = {
        "fixed experts": lambda rng: draw_fixed(rng, (1.2, 1.2), 1),
        "fixed experts, 2 rows per patient": lambda rng: draw_fixed(rng, (1.2, 1.2), 2),
        "experts trained in each of 5 folds": draw_trained,
    }
    rows = []
    for number, (case, new) in enumerate(cases.items()):
        rng = np.random.default_rng([SEED, 10 + number])
        with threadpool_limits(1):
            p_values = [p_values_of(new(rng), n_resamples, seed) for seed in range(repetitions)]
        for test, metric in p_values[0]:
            p = np.array([each[test, metric] for each in p_values])
            rate = float((p < 0.05).mean())
            rows.append(
                {
                    "experts": case,
                    "metric": metric,
                    "test": test,
                    "rejected": rate,
                    "standard_error": float(np.sqrt(rate * (1 - rate) / repetitions)),
                    "undefined": int(np.isnan(p).sum()),
                    "repetitions": repetitions,
                }
            )
    return rows


def auroc_of(shift: float) -> float:
    """Of a score that is normal in both classes, with variance 1."""
    return NormalDist().cdf(shift / np.sqrt(2))


def draw_fixed(rng: np.random.Generator, shifts: tuple[float, float], per_patient: int) -> Drawn:
    """Two calibrated experts that were trained elsewhere."""
    y = (rng.random(N_PATIENTS) < PREVALENCE).astype(int)
    cover = np.array([[1, CORRELATION], [CORRELATION, 1]])
    of_patient = rng.multivariate_normal([0, 0], cover, size=N_PATIENTS)
    patients = np.repeat(np.arange(N_PATIENTS), per_patient)
    of_row = rng.multivariate_normal([0, 0], cover, size=len(patients))
    within = WITHIN if per_patient > 1 else 0.0
    score = (
        y[patients, None] * np.array(shifts)
        + np.sqrt(within) * of_patient[patients]
        + np.sqrt(1 - within) * of_row
    )
    log_odds = (
        np.array(shifts) * score - np.array(shifts) ** 2 / 2 + np.log(PREVALENCE / (1 - PREVALENCE))
    )
    return Drawn(
        patients, y[patients], (log_odds[:, 0], log_odds[:, 1]), np.zeros(len(patients), dtype=int)
    )


def draw_trained(rng: np.random.Generator) -> Drawn:
    """Two linear discriminants, each on ten features of its own that say equally much, trained on
    the other folds."""
    y = (rng.random(N_PATIENTS) < PREVALENCE).astype(int)
    folds = np.empty(N_PATIENTS, dtype=int)
    for outcome in (0, 1):
        members = np.flatnonzero(y == outcome)
        folds[members] = rng.permutation(len(members)) % FOLDS
    shared, own = (
        rng.normal(size=(N_PATIENTS, 1, N_FEATURES)),
        rng.normal(size=(N_PATIENTS, 2, N_FEATURES)),
    )
    noise = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
    features = 1.2 / np.sqrt(N_FEATURES) * y[:, None, None] + noise
    log_odds = np.empty((2, N_PATIENTS))
    for fold in range(FOLDS):
        fit, test = folds != fold, folds == fold
        for m in (0, 1):
            log_odds[m, test] = discriminant(features[fit, m], y[fit], features[test, m])
    return Drawn(np.arange(N_PATIENTS), y, (log_odds[0], log_odds[1]), folds)


def discriminant(x: np.ndarray, y: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Log-odds of a linear discriminant with a pooled covariance."""
    means = np.stack([x[y == c].mean(axis=0) for c in (0, 1)])
    centred = x - means[y]
    slope = np.linalg.solve(centred.T @ centred / (len(x) - 2), means[1] - means[0])
    return (unseen - means.mean(axis=0)) @ slope + np.log(y.mean() / (1 - y.mean()))


def judge_both(found: Drawn, rules: Rules, by_patient: bool = True) -> Verdict:
    """Through pathfuse; ``by_patient=False``: as if every row were a patient of its own."""
    predictions = {
        name: log_probs(s) for name, s in zip(("one", "other"), found.log_odds, strict=True)
    }
    patients = found.patients if by_patient else np.arange(len(found.truth))
    judged = Judged(np.eye(2, dtype=bool)[found.truth], patients, found.folds, predictions)
    return evaluate_tasks(Multiclass(("no", "yes")), {"all": judged}, [("one", "other")], rules)


def log_probs(log_odds: np.ndarray) -> np.ndarray:
    return log_softmax(np.stack([np.zeros(len(log_odds)), log_odds], axis=1))


def intervals_of(found: Drawn, n_resamples: int, seed: int) -> dict[str, tuple[float, float]]:
    """Ours and the rivals', of the difference of the AUROCs."""
    result = {}
    several = len(np.unique(found.patients)) < len(found.patients)
    ways = [
        ("auto", True),
        ("percentile", True),
        ("bca", True),
        *([("percentile", False)] if several else []),
    ]
    for kind, by_patient in ways:
        verdict = judge_both(found, Rules(n_resamples, seed, kind), by_patient)
        (row,) = [c for c in verdict.comparisons if c.metric == "auroc"]
        name = f"pathfuse, {kind}" if by_patient else "rival: paired bootstrap of rows"
        result[name] = row.ci_low, row.ci_high
    apart = percentile_interval(unpaired(found, n_resamples, seed))
    result["rival: unpaired bootstrap of rows"] = apart.low, apart.high
    theirs = delong(*found.log_odds, found.truth == 1)
    half = 1.959964 * np.sqrt(
        theirs.covariance[0, 0] + theirs.covariance[1, 1] - 2 * theirs.covariance[0, 1]
    )
    what = "rival: DeLong's normal interval" + (" of rows" if several else "")
    result[what] = theirs.difference - half, theirs.difference + half
    return result


def unpaired(found: Drawn, n_resamples: int, seed: int) -> np.ndarray:
    """Differences of AUROCs, each resampled on its own, row by row."""
    values = []
    for number, score in enumerate(found.log_odds):
        counts = draw(
            np.arange(len(score)), np.zeros(len(score), dtype=int), n_resamples, 2 * seed + number
        ).counts
        values.append(weighted_auroc(score, found.truth == 1, counts.astype(float)))
    return values[0] - values[1]


def p_values_of(found: Drawn, n_resamples: int, seed: int) -> dict[tuple[str, str], float]:
    """By test and metric: pathfuse's, then the rivals'."""
    verdict, result = judge_both(found, Rules(n_resamples, seed)), {}
    several, in_folds = len(np.unique(found.patients)) < len(found.patients), found.folds.any()
    for metric in ("auroc", "nll"):
        (row,) = [c for c in verdict.comparisons if c.metric == metric]
        result["pathfuse, paired bootstrap by patient", metric] = row.p_value
    for test in verdict.tests:
        if test.metric in ("auroc", "nll"):
            result[f"pathfuse, {test.test}", test.metric] = test.p_value
    if in_folds:
        for metric, differences in differences_by_fold(found).items():
            result["rival: naive t over folds", metric] = float(ttest_1samp(differences, 0).pvalue)
        return result
    if several:
        naive = judge_both(found, Rules(n_resamples, seed), by_patient=False)
        for row in naive.comparisons:
            if row.metric in ("auroc", "nll"):
                result["rival: paired bootstrap of rows", row.metric] = row.p_value
        result["rival: DeLong of rows", "auroc"] = delong(*found.log_odds, found.truth == 1).p_value
    else:
        split = found._replace(folds=np.arange(len(found.truth)) % FOLDS)
        for test in judge_both(split, Rules(0)).tests:
            if test.metric in ("auroc", "nll"):
                result[f"pathfuse, {test.test} (nothing was trained)", test.metric] = test.p_value
    nll = [set_nll(log_probs(s), np.eye(2, dtype=bool)[found.truth]) for s in found.log_odds]
    result["rival: unpaired bootstrap of rows", "auroc"] = two_sided_p(
        unpaired(found, n_resamples, seed)
    )
    result["rival: scipy's paired t of rows", "nll"] = float(ttest_rel(*nll).pvalue)
    return result


def differences_by_fold(found: Drawn) -> dict[str, np.ndarray]:
    """Of the two metrics inside each fold."""
    values: dict[str, list[float]] = {"auroc": [], "nll": []}
    for fold in range(FOLDS):
        inside = found.folds == fold
        y, scores = found.truth[inside], [s[inside] for s in found.log_odds]
        aurocs = [weighted_auroc(s, y == 1, np.ones((1, len(y))))[0] for s in scores]
        nlls = [set_nll(log_probs(s), np.eye(2, dtype=bool)[y]).mean() for s in scores]
        values["auroc"].append(float(aurocs[0] - aurocs[1]))
        values["nll"].append(float(nlls[0] - nlls[1]))
    return {metric: np.array(each) for metric, each in values.items()}


if __name__ == "__main__":
    n_coverage, n_null, n_resamples = (
        int(a) for a in (*sys.argv[1:], *("500", "1000", "1000")[len(sys.argv) - 1 :])
    )
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=80, tbl_width_chars=160):
        print(pl.DataFrame(interval_rivals(n_coverage, n_resamples)))
        print(pl.DataFrame(null_rejection(n_null, n_resamples)))
