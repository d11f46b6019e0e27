"""The paired bootstrap: whole patients are drawn, once for all methods and metrics (statistics.md, section 5)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri

MIN_PATIENTS = 10
"""Fewer patients than this get point values without intervals."""
CHUNK = 2**20
"""Row weights per chunk: few enough for the processor's cache, whatever the number of resamples."""


@dataclass(frozen=True)
class Resamples:
    """How often each patient is drawn in each resample, stratified by outcome and fold."""

    counts: Int[np.ndarray, "resample patient"]
    patient_of_row: Int[np.ndarray, " sample"]
    leave_out: bool = False
    """Whether each patient is left out in turn as well, for BCa intervals."""

    def row_weights(self) -> Iterator[Float[np.ndarray, "resample sample"]]:
        """Weights of the rows, in chunks of resamples."""
        step = max(1, CHUNK // max(1, len(self.patient_of_row)))
        for start in range(0, len(self.counts), step):
            yield self.counts[start : start + step][:, self.patient_of_row].astype(np.float64)

    def left_out_weights(self) -> Iterator[Float[np.ndarray, "patient sample"]]:
        """Weights of the rows without each patient in turn, in chunks of patients; nothing unless ``leave_out``."""
        step = max(1, CHUNK // max(1, len(self.patient_of_row)))
        patients = np.arange(self.counts.shape[1] if self.leave_out else 0)
        for start in range(0, len(patients), step):
            yield (patients[start : start + step, None] != self.patient_of_row).astype(np.float64)


def draw(
    patient_of_row: Int[np.ndarray, " sample"], strata_of_row: Int[np.ndarray, " sample"], n_resamples: int, seed: int
) -> Resamples:
    """Draws patients with replacement inside each stratum (a patient's stratum is that of its first row).

    Args:
        patient_of_row: Patients as 0..P-1.
        strata_of_row: Outcome and fold as integers.
        n_resamples: How many.
        seed: The same seed gives the same draw.
    """
    patients, first = np.unique(patient_of_row, return_index=True)
    strata = strata_of_row[first]
    rng = np.random.default_rng(seed)
    counts = np.zeros((n_resamples, len(patients)), dtype=np.int32)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n_resamples)
    return Resamples(counts, patient_of_row)


@dataclass(frozen=True)
class Interval:
    """A confidence interval; NaN limits where it is refused."""

    low: float
    high: float
    n_undefined: int
    """Resamples that did not define the value; they are left out."""


def percentile_interval(resampled: Float[np.ndarray, " resample"], level: float = 0.95) -> Interval:
    """Percentile interval of the defined resamples."""
    defined = resampled[~np.isnan(resampled)]
    missing = len(resampled) - len(defined)
    if len(defined) < len(resampled) / 2 or not len(defined):
        return Interval(np.nan, np.nan, missing)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), missing)


def bca_interval(
    point: float,
    resampled: Float[np.ndarray, " resample"],
    left_out: Float[np.ndarray, " patient"],
    level: float = 0.95,
) -> Interval:
    """Bias-corrected and accelerated interval (Efron 1987), with a leave-one-patient-out jackknife.

    Args:
        point: The value on all rows.
        resampled: Float, (resample,); NaN is left out and counted.
        left_out: Float, (patient,), the value without each patient.
        level: Nominal coverage.
    """
    defined = resampled[~np.isnan(resampled)]
    missing = len(resampled) - len(defined)
    pulls = left_out[~np.isnan(left_out)]
    if len(defined) < len(resampled) / 2 or not len(defined) or not len(pulls):
        return Interval(np.nan, np.nan, missing)
    below = ((defined < point).mean() + (defined <= point).mean()) / 2
    pulls = pulls.mean() - pulls
    spread = (pulls**2).sum()
    if not 0 < below < 1 or spread == 0:  # all resamples on one side, or no patient matters
        return percentile_interval(resampled, level)
    shift, acceleration = ndtri(below), (pulls**3).sum() / (6 * spread**1.5)
    z = shift + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(defined, ndtr(shift + z / (1 - acceleration * z)))
    return Interval(float(low), float(high), missing)


def two_sided_p(difference: Float[np.ndarray, " resample"]) -> float:
    """Bootstrap p-value: twice the smaller share of resampled differences on either side of 0, at least 2/(B+1).

    Examples:
        >>> two_sided_p(np.array([0.1, 0.2, -0.1, 0.3, 0.2, 0.4, 0.1, 0.2, 0.3]))
        0.4
    """
    defined = difference[~np.isnan(difference)]
    if not len(defined):
        return float("nan")
    n = len(defined) + 1
    return float(min(1.0, 2 * min((1 + (defined <= 0).sum()) / n, (1 + (defined >= 0).sum()) / n)))
