"""The calibration slope b: how much further apart, or closer together, predictions should lie.

1: as they are. Below 1 the predictions are too extreme (too sure), above 1 too close together (too
timid). One definition per kind of prediction, each a maximum-likelihood estimate under row weights,
so that a bootstrap is a few matrix products:

    two outcomes    logit P = a + b logit p         logistic recalibration
    more classes    P ∝ p ** b                      the reciprocal of a temperature
    survival        logit h' = a + b logit h        over the bins that a case was at risk in
    a number        truth = a + b prediction        least squares

P is the probability that fits the truth best, p the predicted one, (sample, outcome); h the
predicted hazard, (sample, bin).

References:
    Cox (1958); Van Calster et al. (2019); Guo et al. (2017) for the temperature.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from pathfuse.distributions.discrete_time import hazards
from pathfuse.distributions.likelihood import log_softmax, set_nll
from pathfuse.evaluation.estimates import Estimate, estimate
from pathfuse.evaluation.judged import EndpointLike, Judged, Scores, predicted
from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values
from pathfuse.evaluation.resampling import MIN_PATIENTS, Resamples, draw
from pathfuse.types import Index, LogProbs, Observed, PerSample

SLOPE = "slope"
STEPS = 5
"""Newton steps of a resample, from the estimate of all rows: each doubles the correct digits."""
CONVERGED = 1e-6
"""A largest step of all resamples below this ends them: the next one would be its square."""
BLOCK = 2**15
"""Cells that are worked on at a time: few enough for the processor's cache."""
MAX_STEPS = 200
STEEPEST = 50.0
"""A slope beyond this says that the rows are separated and have no finite one."""
SCALE = np.linspace(-4, 4, 161)
POWERS = np.sinh(SCALE)
"""Slopes that are tried for several classes, densest around 0; between them a parabola."""
FLATTEST = 1e-9
FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 500
"""Fewer make no 95 % interval; more are not needed for one."""


class SlopeScores(ABC):
    """Rows whose only metric is their calibration slope."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The slope alone."""
        return (CALIBRATION_SLOPE,)

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """The slope of every resample."""
        return {SLOPE: self.slope(weights)}

    @abstractmethod
    def slope(self, weights: RowWeights) -> Values:
        """The slope of every resample; NaN where it does not define one."""


CALIBRATION_SLOPE = Metric(
    SLOPE,
    "calibration slope",
    "below 1 predictions are too extreme, above 1 too close together",
    lambda weighted: weighted[0].slope(weighted[1]),
)


@dataclass(frozen=True)
class LogisticSlope(SlopeScores):
    """Slope of a logistic recalibration; for survival a row has several cells, one per bin."""

    logit: Float[np.ndarray, " cell"]
    happened: Float[np.ndarray, " cell"]
    share: Float[np.ndarray, " cell"]
    """Weight of a cell inside its row."""
    row: Int[np.ndarray, " cell"]
    start: Float[np.ndarray, " two"] = field(init=False)
    """Intercept and slope of all rows; NaN where there is no finite slope."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self._of_all())

    def slope(self, weights: RowWeights) -> Values:
        """The slope of every resample; NaN where it does not define one."""
        return self.line(weights)[:, 1]

    def line(self, weights: RowWeights) -> Float[np.ndarray, "resample two"]:
        """Intercept and slope of every resample; NaN where it does not define them."""
        found = np.tile(self.start, (len(weights), 1))
        if np.isnan(self.start).any():
            return found
        cells = weights[:, self.row] * self.share
        for _ in range(STEPS if (weights != 1).any() else 0):
            step = self._step(found, cells)
            found = found + step
            if np.abs(step[np.isfinite(step)]).max(initial=0.0) < CONVERGED:
                break
        found[:, 1] = np.clip(found[:, 1], -STEEPEST, STEEPEST)
        return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, np.nan)

    def level(self, weights: RowWeights) -> Values:
        """Intercept of every resample with the slope fixed at 1: calibration in the large.

            Σ w (happened - expit(a + logit)) = 0

        Above 0 the outcome is more frequent than predicted. NaN where a resample has one outcome.
        """
        start = np.zeros(1)
        everything = np.ones((1, len(self.share))) * self.share
        for _ in range(MAX_STEPS):
            step = self._shift(start, everything)
            start = start + step
            if not np.abs(step).max() > 1e-10:
                break
        found = np.repeat(start, len(weights))
        if np.isnan(start).any() or not (weights != 1).any():
            return found
        cells = weights[:, self.row] * self.share
        for _ in range(STEPS):
            step = self._shift(found, cells)
            found = found + step
            if np.abs(step[np.isfinite(step)]).max(initial=0.0) < CONVERGED:
                break
        return found

    def _shift(
        self, at: Float[np.ndarray, " resample"], cells: Float[np.ndarray, "resample cell"]
    ) -> Values:
        """One Newton step of each resample's level, at most 2; NaN where all or none happened."""
        from scipy.special import expit  # not at the top: predict does without

        if (at == at[0]).all():
            p = expit(at[0] + self.logit)
            residual, spread = cells @ (self.happened - p), cells @ (p * (1 - p))
        else:
            residual, spread = np.empty(len(at)), np.empty(len(at))
            size = max(1, BLOCK // len(self.logit))
            for start in range(0, len(at), size):
                own = slice(start, start + size)
                p = expit(at[own, None] + self.logit)
                residual[own] = np.einsum("rc,rc->r", cells[own], self.happened - p)
                p -= p * p
                spread[own] = np.einsum("rc,rc->r", cells[own], p)
        happened, total = cells @ self.happened, cells.sum(axis=1)
        both = (happened > 0) & (happened < total)
        step = np.divide(residual, spread, out=np.full(len(at), np.nan), where=both & (spread > 0))
        return np.clip(step, -2, 2)

    def _of_all(self) -> Float[np.ndarray, " two"]:
        undefined = np.full(2, np.nan)
        if np.ptp(self.happened) == 0 or np.ptp(self.logit) < FLATTEST:
            return undefined
        at, cells = np.array([[0.0, 1.0]]), self.share[None]
        for _ in range(MAX_STEPS):
            step = self._step(at, cells)
            if not np.isfinite(step).all():
                return undefined
            before, size = self._loss(at), 1.0
            rounded = before + 1e-13 * abs(before)
            while size > 1e-6 and self._loss(at + size * step) > rounded:
                size /= 2
            at = at + size * step
            if np.abs(at[0, 1]) > STEEPEST:
                return undefined
            if np.abs(step).max() < 1e-10:
                break
        return np.asarray(at[0])

    def _loss(self, at: Float[np.ndarray, "one two"]) -> float:
        score = at[0, 0] + at[0, 1] * self.logit
        return float(self.share @ (np.logaddexp(0, score) - self.happened * score))

    def _step(
        self, at: Float[np.ndarray, "resample two"], cells: Float[np.ndarray, "resample cell"]
    ) -> np.ndarray:
        """One Newton step of each resample."""
        from scipy.special import expit  # not at the top: predict does without

        powers = np.stack([np.ones_like(self.logit), self.logit, self.logit**2], axis=1)
        if (at == at[0]).all():  # as on the first step: one product for all resamples
            p = expit(at[0, 0] + at[0, 1] * self.logit)
            g0, g1 = (cells @ ((self.happened - p)[:, None] * powers[:, :2])).T
            h0, h1, h2 = (cells @ ((p * (1 - p))[:, None] * powers)).T
        else:
            found = np.empty((len(at), 5))
            size = max(1, BLOCK // len(self.logit))
            for start in range(0, len(at), size):
                own = slice(start, start + size)
                p = expit(at[own, :1] + at[own, 1:] * self.logit)
                residual = (self.happened - p) * cells[own]
                p -= p * p
                p *= cells[own]
                found[own, :2], found[own, 2:] = residual @ powers[:, :2], p @ powers
            g0, g1, h0, h1, h2 = found.T
        determinant = h0 * h2 - h1**2
        safe = np.where(determinant > FLATTEST * h0 * h2, determinant, np.nan)
        return np.stack([(h2 * g0 - h1 * g1) / safe, (h0 * g1 - h1 * g0) / safe], axis=1)


def two_outcomes(log_prob: LogProbs, observed: Observed) -> LogisticSlope:
    """Of the probability of the second outcome; that of the first has the same slope.

    Examples:
        >>> prob = np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9])  # of which one in four is wrong
        >>> truth = np.array([0, 0, 0, 1, 1, 1, 1, 0])
        >>> log_prob = np.log(np.stack([1 - prob, prob], axis=1))
        >>> two_outcomes(log_prob, np.eye(2)[truth]).slope(np.ones((1, 8))).round(3)  # too sure
        array([0.5])
    """
    n = len(log_prob)
    return LogisticSlope(
        log_prob[:, 1] - log_prob[:, 0], observed[:, 1].astype(np.float64), np.ones(n), np.arange(n)
    )


def of_hazards(log_prob: LogProbs, observed: Observed) -> LogisticSlope:
    """Of the hazards of the bins that each case was at risk in.

    A bin that a case saw half of counts half.

    Args:
        log_prob: Float, (sample, T + 1), the event distribution.
        observed: The observed sets: the bin of the event, or all bins that a censored case may yet
            have it in.
    """
    hazard = np.clip(hazards(log_prob), 1e-12, 1 - 1e-12)
    whole = observed >= 1
    first, bins = whole.argmax(axis=1)[:, None], np.arange(hazard.shape[1])
    event = (whole.sum(axis=1)[:, None] == 1) & (bins == first)
    share = np.where(event | (bins < first), np.where(event, 1.0, 1.0 - observed[:, :-1]), 0.0)
    row, column = np.nonzero(share)
    logit = np.log(hazard) - np.log1p(-hazard)
    return LogisticSlope(
        logit[row, column], event[row, column].astype(np.float64), share[row, column], row
    )


@dataclass(frozen=True)
class PowerSlope(SlopeScores):
    """Slope of several classes: the power of the probabilities with the highest likelihood."""

    log_prob: LogProbs
    observed: Observed
    nll: Float[np.ndarray, "sample power"] = field(init=False)

    def __post_init__(self) -> None:
        nll = np.stack(
            [set_nll(log_softmax(b * self.log_prob), self.observed) for b in POWERS], axis=1
        )
        object.__setattr__(self, "nll", nll)

    def slope(self, weights: RowWeights) -> Values:
        """The slope of every resample; NaN where it lies at the end of what is tried."""
        loss = weights @ self.nll
        best = loss.argmin(axis=1)
        inside = np.clip(best, 1, len(POWERS) - 2)
        low, middle, high = (
            np.take_along_axis(loss, (inside + d)[:, None], axis=1)[:, 0] for d in (-1, 0, 1)
        )
        bend = low - 2 * middle + high
        shift = np.where(bend > 0, (low - high) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
        at = SCALE[inside] + (SCALE[1] - SCALE[0]) * np.clip(shift, -1, 1)
        return np.where(best == inside, np.sinh(at), np.nan)


def of_classes(log_prob: LogProbs, observed: Observed) -> SlopeScores:
    """Of two classes the logistic slope, of several the power."""
    return (
        two_outcomes(log_prob, observed)
        if log_prob.shape[1] == 2
        else PowerSlope(log_prob, observed)
    )


@dataclass(frozen=True)
class LinearSlope(SlopeScores):
    """Slope of the truth on the predicted mean."""

    mean: PerSample
    truth: PerSample

    def slope(self, weights: RowWeights) -> Values:
        """The slope of every resample; NaN where the predictions do not vary."""
        return self.line(weights)[:, 1]

    def line(self, weights: RowWeights) -> Float[np.ndarray, "resample two"]:
        """Intercept and slope of every resample; NaN where the predictions do not vary."""
        x, y = self.mean - self.mean.mean(), self.truth - self.truth.mean()
        total = np.maximum(weights.sum(axis=1), 1e-300)
        mx, my, xy, xx = (weights @ np.stack([x, y, x * y, x * x], axis=1) / total[:, None]).T
        spread = xx - mx**2
        flat = spread <= FLATTEST * max(float(np.var(x)), 1e-300)
        slope = np.where(flat, np.nan, (xy - mx * my) / np.where(flat, 1.0, spread))
        intercept = self.truth.mean() + my - slope * (self.mean.mean() + mx)
        return np.stack([intercept, slope], axis=1)


def slope_resamples(judged: Judged, n_resamples: int, seed: int) -> Resamples:
    """What ``calibration_slope`` draws: the same for outputs of the same rows.

    Args:
        judged: The rows.
        n_resamples: How many there may be.
        seed: Of the draw.
    """
    numbers = np.unique(judged.patients, return_inverse=True)[1]
    enough = numbers.max(initial=-1) + 1 >= MIN_PATIENTS and n_resamples >= FEWEST_RESAMPLES
    return draw(numbers, judged.folds, min(n_resamples, MOST_RESAMPLES) if enough else 0, seed)


def calibration_slope(
    endpoint: EndpointLike,
    judged: Judged,
    name: str,
    n_resamples: int,
    seed: int,
    drawn: Resamples | None = None,
) -> Estimate:
    """The slope of one method's judged rows, with resamples of patients, drawn with replacement
    inside folds.

    Rows of different folds are taken together: a probability means the same in all of them.

    Args:
        endpoint: Says what the slope is of.
        judged: The rows.
        name: The method.
        n_resamples: How many there may be.
        seed: Of the draw.
        drawn: From ``slope_resamples``, if there already.

    Returns:
        NaN where the rows define no slope; no interval for fewer than 10 patients or 100 resamples.
    """
    drawn = drawn or slope_resamples(judged, n_resamples, seed)

    def scorer(rows: Index, _fold: int) -> Scores:
        return endpoint.slope_scores(judged.predictions[name][rows], judged.observed[rows])

    together = replace(judged, folds=np.zeros_like(judged.folds))
    return estimate(scorer, (SLOPE,), together, predicted(judged.predictions[name]), drawn)[SLOPE]
