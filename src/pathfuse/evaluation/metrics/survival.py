"""Metrics of discrete-time survival under row weights.

Orientation is in the names: higher ``risk``, earlier event.

Every pair statistic is ``sum_ij w_i w_j A_ij`` with a matrix A of the judged rows, so thousands of
resamples are two matrix products. Formulas: docs/design/statistics.md, section 9. Values agree with
scikit-survival, which only the tests use.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.distributions.likelihood import set_nll
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values, ratio
from pathfuse.evaluation.metrics.classification import NLL
from pathfuse.evaluation.scales import LOG, SHARE
from pathfuse.types import Index, LogProbs, Observed, PerSample

Pairs = Float[np.ndarray, "sample sample"]

AUC_AT = "auc_at_"
"""How metrics of one horizon are named: this, then the edge."""
TIED_RISK = 1e-8
"""Risks closer than this are tied."""
MAX_WEIGHT = 100.0
"""Where one event weighs more in Uno's C, differences hang on the few patients that are followed
longest: intervals covered .64 to .84 of the true differences of such studies
(docs/concepts/judging.md)."""


def auc_name(edge: float) -> str:
    """Name of the time-dependent AUC at one edge; with digits enough to distinguish edges."""
    return f"{AUC_AT}{edge:.12g}"


@dataclass(frozen=True)
class SurvivalTruth:
    """What was observed of the judged rows, and what else the metrics need."""

    time: PerSample
    event: PerSample
    edges: Float[np.ndarray, " edge"]
    """All bin edges, the last perhaps infinite."""
    censorings: tuple[Censoring, ...]
    """Of the fit rows, one per fold."""

    def of(self, rows: Index, fold: int) -> "SurvivalTruth":
        """Some rows of one fold."""
        return SurvivalTruth(
            self.time[rows], self.event[rows], self.edges, (self.censorings[fold],)
        )

    def at(self, rows: Index) -> "SurvivalTruth":
        """Some rows of all folds."""
        return SurvivalTruth(self.time[rows], self.event[rows], self.edges, self.censorings)

    @property
    def censoring(self) -> Censoring:
        """Of the one fold that these rows belong to."""
        (only,) = self.censorings
        return only

    @property
    def heaviest(self) -> float:
        """The largest weight that Uno's C gives an event of these rows, which are of one fold."""
        counted = (self.event == 1) & (self.time < self.censoring.horizon)
        g = self.censoring.at(self.time[counted])
        return float((1 / g[g > 0] ** 2).max(initial=0.0))

    @property
    def horizons(self) -> dict[int, float]:
        """Finite edges after the first at which patients are still followed: the number of the bin
        that ends there.
        """
        last = min(self.censoring.horizon, float(self.time.max()))
        inner = enumerate(self.edges.tolist())
        return {k: edge for k, edge in inner if k > 0 and np.isfinite(edge) and edge < last}


@dataclass(frozen=True)
class SurvivalScores:
    """What the metrics need of one predictor's rows."""

    log_prob: LogProbs
    observed: Observed
    truth: SurvivalTruth

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of survival, and the AUC at each finite edge."""
        edges = [float(edge) for edge in self.truth.edges[1:] if np.isfinite(edge)]
        return (*METRICS, *(auc_at(auc_name(edge).removeprefix(AUC_AT)) for edge in edges))

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every metric of every resample; NaN where a resample does not define it.

        Args:
            weights: Float, (resample, sample), non-negative.
        """
        weighted = WeightedSurvival(self, weights)
        return {metric.name: metric.function(weighted) for metric in self.metrics}


@dataclass(frozen=True)
class WeightedSurvival:
    """One predictor's rows on some resamples, and what several metrics share."""

    rows: SurvivalScores
    weights: RowWeights

    @cached_property
    def survival(self) -> Float[np.ndarray, "sample bin"]:
        """S at the end of each bin."""
        return survival_at_edges(self.rows.log_prob)

    @cached_property
    def risk(self) -> PerSample:
        """Higher means earlier: minus the sum of S over the bins."""
        return np.asarray(-self.survival.sum(axis=1))

    @property
    def truth(self) -> SurvivalTruth:
        """Follow-up and censoring."""
        return self.rows.truth

    def auc(self, edge: str) -> Values:
        """Time-dependent AUC at an edge; NaN where the follow-up ends before it."""
        for k, horizon in self.truth.horizons.items():
            if auc_name(float(self.truth.edges[k])) == AUC_AT + edge:
                return concordance(
                    -self.survival[:, k - 1], *auc_pairs(self.truth, horizon), self.weights
                )
        return np.full(len(self.weights), np.nan)


def concordance(risk: PerSample, left: PerSample, comparable: Pairs, weights: RowWeights) -> Values:
    """Share of comparable pairs (i before j) whose risks are ordered alike; ties count one half.

        C = Σ_ij w_i w_j l_i A_ij ([r_i > r_j] + ½ [r_i = r_j]) / Σ_ij w_i w_j l_i A_ij

    r is ``risk``, l ``left``, A ``comparable``, w ``weights``.

    Args:
        risk: Float, (sample,), higher = earlier.
        left: Float, (sample,), weight of a pair through its first member.
        comparable: Float, (sample, sample), 1 where i failed before j.
        weights: Float, (resample, sample).

    References:
        Harrell et al. (1982).

    Examples:
        >>> before = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
        >>> concordance(np.array([3.0, 1.0, 2.0]), np.ones(3), before, np.ones((1, 3))).round(3)
        array([0.667])
    """
    difference = risk[:, None] - risk[None, :]
    right = np.where(np.abs(difference) <= TIED_RISK, 0.5, difference > 0) * comparable
    first = weights * left
    top, bottom = first @ right, first @ comparable
    return ratio((top * weights).sum(axis=1), (bottom * weights).sum(axis=1))


def harrell_pairs(truth: SurvivalTruth) -> tuple[PerSample, Pairs]:
    """Pairs of Harrell's C: i had its event before j's follow-up ended.

        l_i = 1        A_ij = [i had its event] ([T_i < T_j] or [T_i = T_j and j is censored])

    References:
        Harrell et al. (1982).
    """
    earlier = truth.time[:, None] < truth.time[None, :]
    tied = (truth.time[:, None] == truth.time[None, :]) & (truth.event[None, :] == 0)
    return np.ones(len(truth.time)), ((earlier | tied) & (truth.event[:, None] == 1)).astype(
        np.float64
    )


def uno_pairs(truth: SurvivalTruth) -> tuple[PerSample, Pairs]:
    """Pairs of Uno's C, weighted for censoring, up to the end τ of the fit rows' follow-up.

        l_i = 1 / G(T_i)²        A_ij = Harrell's, where T_i < τ

    ``G(t)`` is the probability of not being censored until t (``evaluation.censoring``).

    References:
        Uno et al. (2011).
    """
    inside = truth.time < truth.censoring.horizon
    g = truth.censoring.at(truth.time)
    left = np.where(inside & (g > 0), 1 / np.maximum(g, 1e-12) ** 2, 0.0)
    return left, harrell_pairs(truth)[1] * inside[:, None]


def auc_pairs(truth: SurvivalTruth, horizon: float) -> tuple[PerSample, Pairs]:
    """Pairs of the time-dependent AUC: cases had their event by the horizon h, controls outlived it.

        l_i = 1 / G(T_i)        A_ij = [i had its event, T_i ≤ h] [T_j > h]

    References:
        Uno et al. (2007).
    """
    cases = (truth.time <= horizon) & (truth.event == 1)
    g = truth.censoring.at(truth.time)
    left = np.where(cases & (g > 0), 1 / np.maximum(g, 1e-12), 0.0)
    return left, (cases[:, None] & (truth.time > horizon)[None, :]).astype(np.float64)


def integrated_brier(
    survival: Float[np.ndarray, "sample bin"], truth: SurvivalTruth, weights: RowWeights
) -> Values:
    """Brier score weighted for censoring, averaged over the followed edges by trapezoids.

        BS(t) = mean of  S_i(t)² [event by t] / G(T_i)  +  (1 - S_i(t))² [T_i > t] / G(t)
        IBS = ∫ BS(t) dt / (t_last - t_first)

    ``S_i(t)`` is the predicted survival, (sample, bin); ``G(t)`` the probability of not being
    censored until t.

    References:
        Graf et al. (1999).
    """
    horizons = truth.horizons
    if not horizons:
        return np.full(len(weights), np.nan)
    scores = []
    for k, horizon in horizons.items():
        alive = survival[:, k - 1]
        dead = (truth.time <= horizon) & (truth.event == 1)
        g = np.where(
            dead,
            truth.censoring.at(truth.time),
            truth.censoring.at(np.full(len(truth.time), horizon)),
        )
        counted = dead | (truth.time > horizon)
        row = np.where(
            counted, np.where(dead, alive**2, (1 - alive) ** 2) / np.maximum(g, 1e-12), 0.0
        )
        scores.append(ratio(weights @ row, weights.sum(axis=1)))
    if len(scores) == 1:
        return scores[0]
    times = np.array(list(horizons.values()))
    return np.trapezoid(np.stack(scores, axis=1), times, axis=1) / (times[-1] - times[0])


TOO_LITTLE = "is undefined on the {rows} judged rows: too few events or too short a follow-up"

SURVIVAL_NLL = replace(
    NLL, function=lambda w: ratio(w.weights @ set_nll(w.rows.log_prob, w.rows.observed), w.weights.sum(axis=1)),
    undefined=TOO_LITTLE,
)  # fmt: skip
C_INDEX = Metric(
    "c_index", "C-index", "Harrell's C: share of pairs of patients whose risks are in the right order",
    lambda w: concordance(w.risk, *harrell_pairs(w.truth), w.weights), undefined=TOO_LITTLE, scale=SHARE,
    principal=True, chance=0.5,
)  # fmt: skip
UNOS_C = Metric(
    "c_index_ipcw", "C-index, IPCW", "Uno's C: the same, weighted for censoring",
    lambda w: concordance(w.risk, *uno_pairs(w.truth), w.weights), undefined=TOO_LITTLE, scale=SHARE,
)  # fmt: skip
IBS = Metric(
    "ibs", "IBS", "integrated Brier score, weighted for censoring",
    lambda w: integrated_brier(w.survival, w.truth, w.weights), undefined=TOO_LITTLE, lower_is_better=True, scale=LOG,
)  # fmt: skip

METRICS = (SURVIVAL_NLL, C_INDEX, UNOS_C, IBS)
"""Of every survival endpoint; the AUC at each edge comes on top."""


def auc_at(edge: str) -> Metric:
    """The metric of one horizon, by the edge as it stands in the metric's name."""
    return Metric(
        AUC_AT + edge, f"AUC at {edge}",
        f"area under the ROC curve of who had the event by {edge}, weighted for censoring",
        lambda w: w.auc(edge), undefined=TOO_LITTLE, scale=SHARE,
    )  # fmt: skip
