"""Split-conformal prediction: sets (or intervals) that hold the truth in a stated share of new
cases.

The fusion is fitted on a part of the fit rows; the others, which it never saw, say how improbable
the truth may be (Vovk, Gammerman & Shafer 2005). MAPIE does the conformal step; what it found is
one number per task, which the model keeps, so that predicting needs nothing else. The promise is
marginal, over patients like those of the fit rows.
"""

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.errors import InputError
from pathfuse.types import Index, LogProbs

CALIBRATION_SHARE = 0.25
"""Share of the fit patients that calibrate; the fusion does without them."""
ROUNDING = 1e-9
"""A probability that equals the threshold but for rounding is in the set."""


def calibration_rows(
    strata: Int[np.ndarray, " row"], groups: Int[np.ndarray, " row"], seed: int
) -> Index:
    """Rows of a quarter of the patients: every fourth of a list sorted by kind of truth and
    shuffled inside each.

    So every kind is represented to within one patient, however rare. Patients with several kinds go
    by their rarest, and a kind that one patient has stays with the fusion, which needs every class.
    """
    size = np.bincount(
        np.unique(np.column_stack([groups, strata]), axis=0)[:, 1]
    )  # patients of each kind
    rarest_first = np.lexsort([size[strata]])
    patients, first = np.unique(groups[rarest_first], return_index=True)
    kind = strata[rarest_first][first]
    patients, kind = patients[np.bincount(kind)[kind] > 1], kind[np.bincount(kind)[kind] > 1]
    rng = np.random.default_rng(seed)
    listed = patients[np.lexsort([rng.random(len(patients)), kind])]
    step = round(1 / CALIBRATION_SHARE)
    return np.flatnonzero(np.isin(groups, listed[rng.integers(step) :: step]))


def enough(coverage: float) -> int:
    """Rows that a coverage needs: ``1 / (1 - coverage)`` (and a few more below one half), as MAPIE
    asks.
    """
    return int(np.ceil(1 / (1 - coverage) - 1e-9)) if coverage >= 0.5 else int(1 / coverage) + 1


def check_enough(n: int, coverage: float) -> None:
    """Refuses a coverage that the calibration rows are too few to promise.

    Raises:
        InputError: There are too few.
    """
    if n < enough(coverage):
        raise InputError(
            f"--coverage {coverage:g} needs at least {enough(coverage)} rows to calibrate on, "
            f"but a quarter of the fit patients has {n}; lower it or give more fit rows"
        )


@dataclass(frozen=True)
class PredictionSets:
    """Sets of outcomes: every outcome whose probability reaches a threshold (LAC; Sadinle, Lei &
    Wasserman 2019).

    The most probable outcome is always in the set. Without it an easy task would leave sure cases
    with empty sets; with it the coverage can only exceed the promise.
    """

    coverage: float
    """The promised share of cases whose set holds the truth."""
    threshold: float
    """Probability that an outcome needs."""
    n_calibration: int
    """Rows that the threshold was learned from."""
    n_patients: int

    @classmethod
    def fit(
        cls, log_prob: LogProbs, truth: Index, coverage: float, n_patients: int
    ) -> "PredictionSets":
        """Learns the threshold from rows that the fusion was not fitted on.

        Args:
            log_prob: Float, (row, outcome).
            truth: Int, (row,), the observed outcome.
            coverage: In (0, 1).
            n_patients: Whose rows these are.

        Raises:
            InputError: There are too few rows.
        """
        from mapie.classification import SplitConformalClassifier
        from mapie.conformity_scores import LACConformityScore

        from pathfuse.calibration.for_mapie import GivenProbabilities  # imports scikit-learn

        check_enough(len(truth), coverage)
        score, prob = LACConformityScore(), np.exp(log_prob)
        prob /= prob.sum(axis=1, keepdims=True)
        sets = SplitConformalClassifier(
            GivenProbabilities(prob.shape[1]), coverage, score, prefit=True
        )
        with warnings.catch_warnings():  # a rare class may have no calibration row
            warnings.filterwarnings(
                "ignore",
                message=".*your conformalization dataset has less labels",
                category=UserWarning,
            )
            sets.conformalize(prob, truth).predict_set(prob[:1])
        return cls(coverage, 1 - float(score.quantiles_[0]), len(truth), n_patients)

    def of(self, log_prob: LogProbs) -> Bool[np.ndarray, "sample outcome"]:
        """Which outcomes are in each sample's set."""
        top = log_prob >= log_prob.max(axis=1, keepdims=True)
        return top | (np.exp(log_prob) >= self.threshold - ROUNDING)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class PredictionIntervals:
    """Intervals of continuous targets: the fused mean, plus and minus a number of fused standard
    deviations.
    """

    coverage: float
    width_sd: Float[np.ndarray, " target"]
    """Half the interval's width, in fused standard deviations; NaN for targets with too few values
    to learn it."""
    n_calibration: int
    """Values that the widths were learned from, of the target with the fewest."""
    n_patients: int

    @classmethod
    def fit(
        cls,
        moments: Float[np.ndarray, "row twice"],
        y: np.ndarray,
        coverage: float,
        n_patients: int,
    ) -> "PredictionIntervals":
        """Learns the widths from rows that the fusion was not fitted on.

        Args:
            moments: Float, (row, 2 target): means, then variances.
            y: Float, (row, target), NaN where unknown.
            coverage: In (0, 1).
            n_patients: Whose rows these are.
        """
        from mapie.regression import SplitConformalRegressor

        from pathfuse.calibration.for_mapie import NoError  # imports scikit-learn

        mean, variance = np.split(moments, 2, axis=1)
        errors = (y - mean) / np.sqrt(variance)
        counts = (~np.isnan(errors)).sum(axis=0)
        widths = np.full(y.shape[1], np.nan)
        for g in np.flatnonzero(counts >= enough(coverage)):
            known = errors[:, g][~np.isnan(errors[:, g])]
            rows = np.zeros((len(known), 1))
            intervals = SplitConformalRegressor(NoError(), coverage, "absolute", prefit=True)
            widths[g] = intervals.conformalize(rows, known).predict_interval(rows[:1])[1][0, 1, 0]
        return cls(coverage, widths, int(counts[~np.isnan(widths)].min(initial=len(y))), n_patients)

    def of(self, moments: Float[np.ndarray, "sample twice"]) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, each (sample, target)."""
        mean, variance = np.split(moments, 2, axis=1)
        reach = self.width_sd * np.sqrt(variance)
        return mean - reach, mean + reach

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        widths = [None if np.isnan(width) else width for width in self.width_sd.tolist()]
        return {**asdict(self), "width_sd": widths}


def sets_from_dict(
    content: dict[str, Any], n_targets: int | None
) -> PredictionSets | PredictionIntervals:
    """The inverse of ``as_dict`` of either kind.

    Args:
        content: From a model file.
        n_targets: Of a regression; None for sets.

    Raises:
        ValueError: A number is out of range or of the wrong kind.
    """
    counts = {name: int(content[name]) for name in ("n_calibration", "n_patients")}
    coverage = float(content["coverage"])
    if not 0 < coverage < 1:
        raise ValueError(f"the promised coverage is {coverage}")
    if n_targets is None:
        threshold = float(content["threshold"])
        if not 0 <= threshold <= 1:
            raise ValueError(f"the threshold of the prediction sets is {threshold}")
        return PredictionSets(coverage, threshold, **counts)
    widths = np.array([np.nan if width is None else float(width) for width in content["width_sd"]])
    if len(widths) != n_targets or (widths < 0).any() or np.isinf(widths).any():
        raise ValueError("the widths of the prediction intervals do not fit the targets")
    return PredictionIntervals(coverage, widths, **counts)
