"""Metrics of classification under row weights, for thousands of resamples at once.

A resample is a vector of row weights (how often each row was drawn), so no row is ever copied. With
all weights 1 the values equal scikit-learn's, which the tests check.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.distributions.likelihood import set_nll
from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values
from pathfuse.evaluation.scales import AGREEMENT, LOG, SHARE
from pathfuse.types import LogProbs, Observed, PerSample

N_BINS = 15
"""Equal-mass bins of the top-label calibration error."""


@dataclass(frozen=True)
class ClassificationScores:
    """What the metrics need to know of one predictor's rows, computed once."""

    log_prob: LogProbs
    observed: Observed
    positive: int = 1
    """Of two classes the one that AUPRC is about."""
    grades: tuple[int, ...] = ()
    """Of classes in order, where each lies; empty: at 0 to K - 1."""
    nll: PerSample = field(init=False)
    truth: Int[np.ndarray, " sample"] = field(init=False)
    predicted: Int[np.ndarray, " sample"] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nll", set_nll(self.log_prob, self.observed))
        object.__setattr__(self, "truth", self.observed.argmax(axis=1))
        object.__setattr__(self, "predicted", self.log_prob.argmax(axis=1))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of classes."""
        return METRICS

    @property
    def places(self) -> Float[np.ndarray, " class"]:
        """Where the classes lie, if they have an order."""
        return np.array(self.grades or range(self.log_prob.shape[1]), dtype=np.float64)

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every metric of every resample; NaN where a resample does not define it.

        Args:
            weights: Float, (resample, sample), non-negative.
        """
        weighted = WeightedClasses(self, weights)
        return {metric.name: metric.function(weighted) for metric in self.metrics}


@dataclass(frozen=True)
class WeightedClasses:
    """One predictor's rows on some resamples, and what several metrics share."""

    rows: ClassificationScores
    weights: RowWeights

    @cached_property
    def total(self) -> Values:
        """Rows drawn."""
        return np.asarray(self.weights.sum(axis=1))

    @cached_property
    def hit(self) -> Bool[np.ndarray, " sample"]:
        """Whether the most probable class is the true one."""
        return np.asarray(self.rows.predicted == self.rows.truth)

    @cached_property
    def means(self) -> Float[np.ndarray, "resample 3"]:
        """NLL, accuracy and Brier score: means over rows, in one product.

            NLL = mean of -log Σ_c o[n, c] p[n, c]        accuracy = mean of [argmax p[n] is true]
            Brier = mean of Σ_c (p[n, c] - o[n, c])²

        ``p`` are the probabilities and ``o`` the observed outcomes, (sample, outcome); means are
        weighted by ``weights``.

        References:
            Brier (1950), in its form for several classes.
        """
        brier = ((np.exp(self.rows.log_prob) - self.rows.observed) ** 2).sum(axis=1)
        rows = np.stack([self.rows.nll, self.hit, brier], axis=1)
        total = self.total[:, None]
        return np.divide(
            self.weights @ rows, total, out=np.full((len(total), 3), np.nan), where=total > 0
        )

    @cached_property
    def counts(self) -> tuple[Float[np.ndarray, "resample class"], ...]:
        """Rows of each true class, of each class that was called, and those that were called right."""
        classes = np.eye(self.rows.log_prob.shape[1])
        true = self.weights @ classes[self.rows.truth]
        called = self.weights @ classes[self.rows.predicted]
        return true, called, self.weights @ (classes[self.rows.truth] * self.hit[:, None])

    @cached_property
    def balanced(self) -> Values:
        """Mean over the true classes of the share recognised: balanced = (1 / K) Σ_k hits_k / n_k."""
        true, _, right = self.counts
        recall = np.divide(right, true, out=np.full_like(right, np.nan), where=true > 0)
        return mean_of_classes(recall, np.isin(np.arange(true.shape[1]), self.rows.truth))

    @cached_property
    def f1(self) -> Values:
        """Macro F1 over the classes that are true or called.

            F1 = (1 / K) Σ_k 2 hits_k / (true_k + called_k)

        The counts are those of ``counts``, (resample, class). Undefined where a true class is
        lacking.
        """
        true, called, right = self.counts
        both = true + called
        f1 = np.divide(2 * right, both, out=np.full_like(right, np.nan), where=both > 0)
        there = np.isin(np.arange(true.shape[1]), [self.rows.truth, self.rows.predicted])
        return np.where(np.isnan(self.balanced), np.nan, mean_of_classes(f1, there))

    @cached_property
    def mcc(self) -> Values:
        """Matthews' correlation: of several classes Gorodkin's R_K.

            MCC = (n Σ_k hits_k - Σ_k true_k called_k) / √((n² - Σ_k true_k²) (n² - Σ_k called_k²))

        n rows, and the counts of ``counts``, (resample, class).

        References:
            Gorodkin (2004), Comput Biol Chem 28, equation 8.
        """
        true, called, right = self.counts
        n = self.total
        covariance = right.sum(axis=1) * n - (true * called).sum(axis=1)
        spreads = (n**2 - (true**2).sum(axis=1)) * (n**2 - (called**2).sum(axis=1))
        flat = spreads <= 1e-9 * np.maximum(n, 1) ** 2
        return np.where(flat, np.nan, covariance / np.sqrt(np.where(flat, 1.0, spreads)))

    @cached_property
    def auprc(self) -> Values:
        """Average precision of the positive class.

        Of several classes the mean of each against the others.
        """
        n_classes = self.rows.log_prob.shape[1]
        wanted = [self.rows.positive] if n_classes == 2 else range(n_classes)
        counted = np.array([(self.rows.truth == k).any() for k in wanted])
        columns = [
            average_precision(
                class_score(self.rows.log_prob, k), self.rows.truth == k, self.weights
            )
            for k in wanted
        ]
        return mean_of_classes(np.stack(columns, axis=1), counted)


def f1_of_class(
    truth: Int[np.ndarray, " sample"], predicted: Int[np.ndarray, " sample"], positive: int
) -> float:
    """F1 of one class, 0 to 1; NaN where it is neither true nor predicted anywhere.

    Examples:
        >>> f1_of_class(np.array([0, 1, 1]), np.array([1, 1, 1]), positive=1)
        0.8
    """
    true, called = truth == positive, predicted == positive
    both = int(true.sum() + called.sum())
    return float(2 * (true & called).sum() / both) if both else float("nan")


def mean_of_classes(
    table: Float[np.ndarray, "resample class"], counted: Bool[np.ndarray, " class"]
) -> Values:
    """Mean over the classes that the rows define; NaN in a resample that lacks one of them.

    The mean over the others would be that of another figure.
    """
    return table[:, counted].mean(axis=1) if counted.any() else np.full(len(table), np.nan)


def macro_auroc(
    scores: Float[np.ndarray, "sample outcome"],
    truth: Int[np.ndarray, " sample"],
    weights: RowWeights,
) -> Values:
    """Mean one-vs-rest AUROC over the classes that have both outcomes: (1 / K) Σ_k AUROC_k.

    With two classes that of the second.

    Examples:
        >>> log_prob = np.log([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
        >>> macro_auroc(log_prob, np.array([0, 1, 1]), np.ones((1, 3))).tolist()
        [0.5]
    """
    n_classes = scores.shape[1]
    columns = [(k, class_score(scores, k)) for k in ([1] if n_classes == 2 else range(n_classes))]
    counted = np.array([0 < (truth == k).sum() < len(truth) for k, _ in columns])
    return mean_of_classes(
        np.stack([weighted_auroc(s, truth == k, weights) for k, s in columns], axis=1), counted
    )


def class_score(log_prob: LogProbs, k: int) -> PerSample:
    """What orders rows by one class.

    Of two the log-odds, free of the rounding of probabilities near 1.
    """
    return log_prob[:, k] - log_prob[:, 1 - k] if log_prob.shape[1] == 2 else log_prob[:, k]


def average_precision(
    score: PerSample, positive: Bool[np.ndarray, " sample"], weights: RowWeights
) -> Values:
    """Average precision: the sum over the recalls gained of the precision there, ties together.

        AP = Σ_t (R_t - R_{t-1}) P_t

    ``P_t`` and ``R_t`` are precision and recall of the rows with a score of at least t, for each
    score t of a positive row, from the highest down. NaN where no positive row is drawn. As
    scikit-learn's ``average_precision_score`` with sample weights.

    Args:
        score: Float, (sample,), higher = more likely positive.
        positive: Bool, (sample,).
        weights: Float, (resample, sample).

    Examples:
        >>> score, positive = np.array([3.0, 2.0, 1.0]), np.array([True, False, True])
        >>> average_precision(score, positive, np.ones((1, 3))).round(3).tolist()
        [0.833]
    """
    from scipy.sparse import csr_array  # not at the top: predict does without

    levels, level_of = np.unique(score[positive], return_inverse=True)
    if not len(levels):
        return np.full(len(weights), np.nan)
    below = (
        np.searchsorted(levels, score, side="right") - 1
    )  # the highest level that each row reaches
    reached = np.flatnonzero(below >= 0)
    shape = (len(levels), len(score))
    above = (
        csr_array((np.ones(len(level_of)), (level_of, np.flatnonzero(positive))), shape=shape)
        @ weights.T
    )
    everybody = (
        csr_array((np.ones(len(reached)), (below[reached], reached)), shape=shape) @ weights.T
    )
    found, seen = (np.cumsum(table[::-1], axis=0)[::-1] for table in (above, everybody))
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    return np.divide(
        (above * precision).sum(axis=0),
        found[0],
        out=np.full(len(weights), np.nan),
        where=found[0] > 0,
    )


def quadratic_kappa(weighted: WeightedClasses) -> Values:
    """Cohen's kappa with quadratic weights, of classes in order: disagreement against chance's.

        κ = 1 - n Σ_i (g(true_i) - g(called_i))² / Σ_{t, c} true_t called_c (g(t) - g(c))²

    ``g`` is where a class lies, (class,); true_t and called_c count the rows of each class.

    References:
        Cohen (1968).
    """
    rows, weights = weighted.rows, weighted.weights
    true, called, _ = weighted.counts
    places = rows.places
    apart = (places[rows.truth] - places[rows.predicted]) ** 2
    by_chance = np.einsum("rt,tc,rc->r", true, (places[:, None] - places) ** 2, called)
    total = np.maximum(weighted.total, 1e-300)
    flat = by_chance <= 1e-9
    return np.where(flat, np.nan, 1 - (weights @ apart) * total / np.where(flat, 1.0, by_chance))


def weighted_auroc(
    score: PerSample, positive: Bool[np.ndarray, " sample"], weights: RowWeights
) -> Values:
    """AUROC of each resample; NaN where one side has no weight.

        AUROC = Σ_{i+, j-} w_i w_j ([s_i > s_j] + ½ [s_i = s_j]) / Σ_{i+, j-} w_i w_j

    The sums run over pairs of a positive row i and a negative row j.

    Args:
        score: Float, (sample,), higher = more likely positive.
        positive: Bool, (sample,).
        weights: Float, (resample, sample).

    References:
        Hanley and McNeil (1982).

    Examples:
        >>> score, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
        >>> weighted_auroc(score, positive, np.ones((1, 4))).tolist()
        [0.875]
    """
    from scipy.sparse import csr_array  # not at the top: predict does without

    above, below = np.flatnonzero(positive), np.flatnonzero(~positive)
    levels, level_of = np.unique(score[above], return_inverse=True)
    # Negatives below level i land in a slot up to 2i, those tied with it in 2i + 1: one sparse sum,
    # then short cumsums.
    slot = np.searchsorted(levels, score[below], "left") + np.searchsorted(
        levels, score[below], "right"
    )
    collect = csr_array(
        (np.ones(len(below)), (slot, below)), shape=(2 * len(levels) + 1, len(score))
    )
    beaten_by = np.cumsum(collect @ weights.T, axis=0)
    drawn = weights.T[above]
    beaten = (drawn * (beaten_by[2 * level_of] + beaten_by[2 * level_of + 1])).sum(axis=0) / 2
    pairs = drawn.sum(axis=0) * beaten_by[-1]
    return np.divide(beaten, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def calibration_error(
    confidence: PerSample, hit: Bool[np.ndarray, " sample"], weights: RowWeights
) -> Values:
    """Expected calibration error of the top label, over equal-mass bins of the rows.

        ECE = Σ_b |Σ_{i in b} w_i (hit_i - confidence_i)| / Σ_i w_i

    Rows of equal confidence share a bin, so the order of rows does not matter.

    Args:
        confidence: Float, (sample,), probability of the most probable class.
        hit: Bool, (sample,), whether that class is the true one.
        weights: Float, (resample, sample).

    References:
        Naeini, Cooper and Hauskrecht (2015), with bins of equal mass.

    Examples:
        >>> calibration_error(np.array([0.8, 0.8]), np.array([True, False]), np.ones((1, 2))).round(3)
        array([0.3])
    """
    ranked = np.sort(confidence)
    starts = [part[0] for part in np.array_split(np.arange(len(ranked)), N_BINS)[1:] if len(part)]
    bin_of = np.searchsorted(ranked[starts], confidence, side="right")
    gap = weights @ (np.eye(N_BINS)[bin_of] * (hit - confidence)[:, None])
    total = weights.sum(axis=1)
    return np.divide(
        np.abs(gap).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0
    )


ONE_CALL = "is undefined: {one_call}"

NLL = Metric(
    "nll", "NLL", "negative log-likelihood in nats: how surprised the method was by the truth",
    lambda w: w.means[:, 0], lower_is_better=True, scale=LOG, principal=True, on_a_scale=True,
)  # fmt: skip
AUROC = Metric(
    "auroc", "AUROC", "area under the ROC curve; with several classes the mean of each class against the others",
    lambda w: macro_auroc(w.rows.log_prob, w.rows.truth, w.weights), scale=SHARE, principal=True, chance=0.5,
    undefined_at_site="one class only: no AUROC",
)  # fmt: skip
ACCURACY = Metric(
    "accuracy", "accuracy", "share of samples whose most probable class is the true one",
    lambda w: w.means[:, 1], scale=SHARE,
)  # fmt: skip
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", "balanced accuracy", "mean over the classes of the share recognised",
    lambda w: w.balanced, scale=SHARE,
)  # fmt: skip
F1 = Metric(
    "f1",
    "F1",
    "harmonic mean of precision and recall, mean over classes",
    lambda w: w.f1,
    scale=SHARE,
)
BRIER = Metric(
    "brier", "Brier", "squared distance between probabilities and truth, 0 to 2",
    lambda w: w.means[:, 2], lower_is_better=True, scale=LOG, highest=2.0,
)  # fmt: skip
ECE = Metric(
    "ece", "ECE", "expected calibration error: how far the stated confidence is from the share that was right",
    lambda w: calibration_error(np.exp(w.rows.log_prob).max(axis=1), w.hit, w.weights), lower_is_better=True,
    no_interval="its value on a sample lies above that of all patients, the more so the fewer rows",
)  # fmt: skip
AUPRC = Metric(
    "auprc", "AUPRC", "average precision of the positive class; of several classes the mean of each against the others",
    lambda w: w.auprc, scale=SHARE, brief=False,
)  # fmt: skip
MCC = Metric(
    "mcc", "MCC", "Matthews' correlation of predicted and true class, -1 to 1",
    lambda w: w.mcc, undefined=ONE_CALL, scale=AGREEMENT, brief=False,
)  # fmt: skip
QUADRATIC_KAPPA = Metric(
    "quadratic_kappa", "quadratic kappa", "agreement of predicted and true grade beyond chance; far misses weigh most",
    quadratic_kappa, undefined=ONE_CALL, scale=AGREEMENT, principal=True, chance=0.0,
)  # fmt: skip

METRICS = (NLL, AUROC, ACCURACY, BALANCED_ACCURACY, F1, BRIER, ECE, AUPRC, MCC)
