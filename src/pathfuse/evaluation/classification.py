"""Metrics of classification under row weights, for thousands of resamples at once.

A resample is a vector of row weights (how often each row was drawn), so no row is ever copied. With all weights 1 the
values equal scikit-learn's, which the tests check.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from pathfuse.endpoints.likelihood import set_nll
from pathfuse.types import LogProbs, Observed, PerSample

RowWeights = Float[np.ndarray, "resample sample"]
Values = Float[np.ndarray, " resample"]

N_BINS = 15
"""Equal-mass bins of the top-label calibration error."""


@dataclass(frozen=True)
class ClassificationScores:
    """What the metrics need to know of one predictor's rows, computed once."""

    log_prob: LogProbs
    observed: Observed
    nll: PerSample = field(init=False)
    truth: Int[np.ndarray, " sample"] = field(init=False)
    predicted: Int[np.ndarray, " sample"] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nll", set_nll(self.log_prob, self.observed))
        object.__setattr__(self, "truth", self.observed.argmax(axis=1))
        object.__setattr__(self, "predicted", self.log_prob.argmax(axis=1))

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every metric of every resample; NaN where a resample does not define it.

        Args:
            weights: Float, (resample, sample), non-negative.

        Returns:
            ``nll`` (nats), ``auroc`` (macro one-vs-rest over classes with both outcomes), ``accuracy``,
            ``balanced_accuracy``, ``f1`` (macro), ``brier`` (0 to 2), ``ece`` (top-label, 15 equal-mass bins).
        """
        total = weights.sum(axis=1)
        prob = np.exp(self.log_prob)
        hit = self.predicted == self.truth
        brier = ((prob - self.observed) ** 2).sum(axis=1)
        rows = np.stack([self.nll, hit, brier], axis=1)
        means = np.divide(
            weights @ rows, total[:, None], out=np.full((len(total), 3), np.nan), where=total[:, None] > 0
        )
        balanced, f1 = self._class_rates(weights)
        return {
            "nll": means[:, 0],
            "auroc": macro_auroc(self.log_prob, self.truth, weights),
            "accuracy": means[:, 1],
            "balanced_accuracy": balanced,
            "f1": f1,
            "brier": means[:, 2],
            "ece": calibration_error(prob.max(axis=1), hit, weights),
        }

    def _class_rates(self, weights: RowWeights) -> tuple[Values, Values]:
        classes, hit = np.eye(self.log_prob.shape[1]), self.predicted == self.truth
        in_truth = weights @ classes[self.truth]
        in_calls = weights @ classes[self.predicted]
        right = weights @ (classes[self.truth] * hit[:, None])
        recall = np.divide(right, in_truth, out=np.full_like(right, np.nan), where=in_truth > 0)
        both = in_truth + in_calls
        f1 = np.divide(2 * right, both, out=np.full_like(right, np.nan), where=both > 0)
        true, called = (np.isin(np.arange(len(classes)), which) for which in (self.truth, self.predicted))
        balanced = mean_of_classes(recall, true)
        return balanced, np.where(np.isnan(balanced), np.nan, mean_of_classes(f1, true | called))


def f1_of_class(truth: Int[np.ndarray, " sample"], predicted: Int[np.ndarray, " sample"], positive: int) -> float:
    """F1 of one class, 0 to 1; NaN where it is neither true nor predicted anywhere."""
    true, called = truth == positive, predicted == positive
    both = int(true.sum() + called.sum())
    return float(2 * (true & called).sum() / both) if both else float("nan")


def mean_of_classes(table: Float[np.ndarray, "resample class"], counted: Bool[np.ndarray, " class"]) -> Values:
    """Mean over the classes that the rows define; NaN in a resample that lacks one of them.

    The mean over the others would be that of another figure.
    """
    return table[:, counted].mean(axis=1) if counted.any() else np.full(len(table), np.nan)


def macro_auroc(
    scores: Float[np.ndarray, "sample outcome"], truth: Int[np.ndarray, " sample"], weights: RowWeights
) -> Values:
    """Mean one-vs-rest AUROC over the classes that have both outcomes; with two classes that of the second."""
    n_classes = scores.shape[1]
    # With two classes the log-odds order rows without the rounding of probabilities near 1.
    columns = [(1, scores[:, 1] - scores[:, 0])] if n_classes == 2 else [(k, scores[:, k]) for k in range(n_classes)]
    counted = np.array([0 < (truth == k).sum() < len(truth) for k, _ in columns])
    return mean_of_classes(np.stack([weighted_auroc(s, truth == k, weights) for k, s in columns], axis=1), counted)


def weighted_auroc(score: PerSample, positive: Bool[np.ndarray, " sample"], weights: RowWeights) -> Values:
    """AUROC (Mann-Whitney; ties count one half) of each resample; NaN where one side has no weight."""
    above, below = np.flatnonzero(positive), np.flatnonzero(~positive)
    levels, level_of = np.unique(score[above], return_inverse=True)
    # Negatives below level i land in a slot up to 2i, those tied with it in 2i + 1: one sparse sum, then short cumsums.
    slot = np.searchsorted(levels, score[below], "left") + np.searchsorted(levels, score[below], "right")
    collect = csr_array((np.ones(len(below)), (slot, below)), shape=(2 * len(levels) + 1, len(score)))
    beaten_by = np.cumsum(collect @ weights.T, axis=0)
    drawn = weights.T[above]
    beaten = (drawn * (beaten_by[2 * level_of] + beaten_by[2 * level_of + 1])).sum(axis=0) / 2
    pairs = drawn.sum(axis=0) * beaten_by[-1]
    return np.divide(beaten, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def calibration_error(confidence: PerSample, hit: Bool[np.ndarray, " sample"], weights: RowWeights) -> Values:
    """Expected calibration error of the top label: mean |accuracy - confidence| over equal-mass bins of the rows.

    Rows of equal confidence share a bin, so the order of rows does not matter.
    """
    ranked = np.sort(confidence)
    starts = [part[0] for part in np.array_split(np.arange(len(ranked)), N_BINS)[1:] if len(part)]
    bin_of = np.searchsorted(ranked[starts], confidence, side="right")
    gap = weights @ (np.eye(N_BINS)[bin_of] * (hit - confidence)[:, None])
    total = weights.sum(axis=1)
    return np.divide(np.abs(gap).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
