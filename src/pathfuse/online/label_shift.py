"""Outcomes that have become more or less frequent since the fit: found, then corrected for.

If only the frequencies of outcomes change, and what each outcome looks like stays, the new
frequencies pi are those that make the predictions most likely, and

    q'(c | x)  proportional to  q(c | x) pi_c / pi0_c

(Saerens, Latinne & Decaestecker, Adjusting the outputs of a classifier to new a priori
probabilities, Neural Computation 14, 2002; EM, no labels needed). Without a shift that costs, so a
test comes first: with well calibrated predictions the mean of q(c | x) is pi0_c, which is the score
of pi at pi0; its variance is taken over patients, and that of pi0 over the fit rows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.types import LogProbs

LEVEL = 0.05
"""Share of streams without a shift in which one is found, over all looks."""
EVERY, WINDOW = 50, 500
"""A look after so many samples, at so many of the latest."""
FEWEST_PATIENTS = 30
"""Fewer than this, or than five per outcome, show no covariance to test with."""
PSEUDO_ROWS = 10.0
"""Rows of the old frequencies that EM adds: an outcome that a window lacks does not vanish."""
MOST_STEPS, CLOSE = 500, 1e-7
Frequencies = Float[np.ndarray, " outcome"]


@dataclass(frozen=True)
class Shift:
    """What a look found."""

    p_value: float
    """Of no shift; 1 where there were too few patients to look."""
    frequencies: Frequencies
    """By EM."""


def em_frequencies(log_prob: LogProbs, frequency: Frequencies) -> Frequencies:
    """The frequencies that make predictions most likely, by EM.

    Args:
        log_prob: Float, (sample, outcome).
        frequency: Float, (outcome,), on the fit rows.

    Examples:
        >>> sure = np.log([[0.99, 0.01]] * 90 + [[0.01, 0.99]] * 10)
        >>> em_frequencies(sure, np.array([0.5, 0.5])).round(2).tolist()
        [0.87, 0.13]
    """
    ratio = np.exp(log_prob) / frequency
    found = frequency
    for _ in range(MOST_STEPS):
        joint = ratio * found
        counts = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0)
        updated = (counts + PSEUDO_ROWS * frequency) / (len(log_prob) + PSEUDO_ROWS)
        moved, found = np.abs(updated - found).max(), updated
        if moved < CLOSE:
            break
    return found


def shift_in(
    log_prob: LogProbs, frequency: Frequencies, patients: Int[np.ndarray, " sample"], n_fit: int
) -> Shift:
    """Whether outcomes are as frequent as on the fit rows.

    Args:
        log_prob: Float, (sample, outcome), predictions that were well calibrated on the fit rows.
        frequency: Float, (outcome,), on the fit rows; positive.
        patients: Int, (sample,), which samples belong together.
        n_fit: How many rows the frequencies come from.
    """
    from scipy.stats import f as f_distribution  # not at the top: predict does without

    n, n_outcomes = log_prob.shape
    groups, of_row = np.unique(patients, return_inverse=True)
    n_patients = len(groups)
    if n_patients < max(FEWEST_PATIENTS, 5 * n_outcomes):
        return Shift(1.0, frequency)
    off = (np.exp(log_prob) - frequency)[:, :-1]
    sums = np.zeros((n_patients, n_outcomes - 1))
    np.add.at(sums, of_row, off)
    own = sums.T @ sums / n**2 * n_patients / (n_patients - 1)
    few = frequency[:-1]
    of_fit = (np.diag(few) - np.outer(few, few)) / max(n_fit, 1)
    mean = off.mean(axis=0)
    squared = float(mean @ np.linalg.pinv(own + of_fit, hermitian=True) @ mean)
    freedom = n_outcomes - 1
    left = n_patients - freedom
    statistic = squared * left / ((n_patients - 1) * freedom)
    p_value = float(f_distribution.sf(statistic, freedom, left))
    return Shift(p_value, em_frequencies(log_prob, frequency))


def corrected(log_prob: LogProbs, frequency: Frequencies, now: Frequencies) -> LogProbs:
    """Predictions for outcomes that are as frequent as ``now``."""
    return log_softmax(log_prob + np.log(now / frequency))


def shifted(
    log_prob: LogProbs, frequency: Frequencies, patients: Int[np.ndarray, " sample"], n_fit: int
) -> tuple[LogProbs, Int[np.ndarray, " look"]]:
    """A stream's predictions, corrected from where a shift has been found.

    After every ``EVERY`` samples the latest ``WINDOW`` are looked at, and what is found holds for
    the next ``EVERY``. Look j has the level ``LEVEL / (j (j + 1))``, so that all looks together find
    a shift where there is none in at most ``LEVEL`` of streams.

    Args:
        log_prob: Float, (sample, outcome), in the order of the stream; NaN: nobody predicted.
        frequency: Float, (outcome,), on the fit rows.
        patients: Int, (sample,).
        n_fit: How many rows the frequencies come from.

    Returns:
        The predictions, and the first sample after each look that found a shift.
    """
    result, found = np.array(log_prob), list[int]()
    for look, start in enumerate(range(EVERY, len(log_prob), EVERY), start=1):
        rows = np.arange(max(0, start - WINDOW), start)
        rows = rows[~np.isnan(log_prob[rows, 0])]
        if not len(rows):
            continue
        shift = shift_in(log_prob[rows], frequency, patients[rows], n_fit)
        if shift.p_value < LEVEL / (look * (look + 1)):
            found.append(start)
            following = slice(start, start + EVERY)
            result[following] = corrected(log_prob[following], frequency, shift.frequencies)
    return result, np.array(found, dtype=np.int64)
