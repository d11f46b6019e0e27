"""The sequential test: from which patient on are new ones unlike those of the fit rows?

Patients are looked at in order. For every feature, in both directions and for several sizes of a
shift, a cumulative sum (CUSUM) grows while patients lie further out than half the shift, and falls
back to 0 otherwise; the alarm is given when the largest of all passes a threshold. That threshold
is simulated: streams of the same length, drawn from the fit patients, pass it at the stated rate.

References:
    Page, Continuous inspection schemes, Biometrika (1954).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pathfuse.drift.batch import Maxima, Pool, drawn
from pathfuse.drift.patients import Features

ALLOWANCE = (0.25, 0.5, 1.0)
"""Half of the shifts that are looked for, in standard deviations of a patient. Less than the first
never adds up, however long the stream: that much the experts may differ between their fit rows and
new samples."""
MOST_STEPS = 1000
"""Longer streams are looked at in so many groups of consecutive patients."""
FURTHEST = 3.0
"""Standard deviations that one step counts at most: a single patient gives no alarm."""
N_STREAMS = 1000
EULER = 0.5772156649

Sums = Float[np.ndarray, "side allowance stream feature"]


@dataclass(frozen=True)
class Watch:
    """What a stream showed."""

    path: Float[np.ndarray, " step"]
    """The largest cumulative sum after each step, on the scale of the threshold."""
    peak: Float[np.ndarray, " feature"]
    """The largest that each feature reached."""
    alarm: Int[np.ndarray, " feature"]
    """The patient (from 0) at which the feature passed the threshold; -1: never."""
    onset: Int[np.ndarray, " feature"]
    """The patient from which on it had grown without falling back to 0; -1: no alarm."""
    step: int
    """Consecutive patients in a step."""

    @property
    def first(self) -> int:
        """The feature that gave the first alarm; -1: none did. Of several the largest."""
        there = np.flatnonzero(self.alarm >= 0)
        if not len(there):
            return -1
        earliest = there[self.alarm[there] == self.alarm[there].min()]
        return int(earliest[np.argmax(self.peak[earliest])])


def step_of(n_patients: int) -> int:
    """How many consecutive patients make a step."""
    return -(-n_patients // MOST_STEPS)


def watch(pool: Pool, new: Features, limit: float, step: int) -> Watch:
    """Looks at patients in order.

    Args:
        pool: The fit patients.
        new: The new ones, in order.
        limit: The threshold, from ``limit_of``.
        step: Consecutive patients in a step, as in the simulation.
    """
    sd = _sd(pool)
    starts = np.arange(0, len(new), step)
    count = np.diff(np.append(starts, len(new)))
    means = np.add.reduceat(new, starts, axis=0) / count[:, None]
    scale = np.sqrt(count)[:, None] / sd
    slack = _slack(pool, step)
    above, below = (means - pool.high) * scale - slack, (pool.low - means) * scale - slack
    n = new.shape[1]
    sums = np.zeros((2, len(ALLOWANCE), 1, n))
    since, path, peak = np.zeros(sums.shape, dtype=np.int64), [], np.zeros(n)
    alarm, onset = np.full(n, -1), np.full(n, -1)
    for t in range(len(starts)):
        _add(sums, above[t][None], below[t][None])
        since[sums <= 0] = t + 1
        scaled = _scaled(sums).reshape(-1, n)
        largest = scaled.max(axis=0)
        peak = np.maximum(peak, largest)
        path.append(float(largest.max(initial=0.0)))
        new_alarm = (largest > limit) & (alarm < 0)
        which = since.reshape(-1, n)[scaled.argmax(axis=0), np.arange(n)]
        alarm[new_alarm] = min((t + 1) * step, len(new)) - 1
        onset[new_alarm] = which[new_alarm] * step
    return Watch(np.array(path), peak, alarm, onset, step)


def simulate_streams(pool: Pool, n_patients: int, seed: int, n_streams: int = N_STREAMS) -> Maxima:
    """The largest cumulative sum of streams that are like the fit rows.

    The fit rows are drawn anew for each stream as well: what they say of the mean is uncertain.

    Args:
        pool: The fit patients.
        n_patients: Length of the streams.
        seed: The same seed gives the same draws.
        n_streams: How many.
    """
    rng, step = np.random.default_rng([seed, n_patients]), step_of(n_patients)
    values = ((pool.features - pool.mean) / _sd(pool)).astype(np.float32)
    n_old = max(2, round(pool.n_effective))
    centre = np.stack([values[drawn(pool, rng, n_old)].mean(axis=0) for _ in range(n_streams)])
    slack = np.float32(_slack(pool, step))
    sums = np.zeros((2, len(ALLOWANCE), n_streams, values.shape[1]), dtype=np.float32)
    largest = np.zeros(n_streams, dtype=np.float32)
    for _ in range(-(-n_patients // step)):
        x = values[drawn(pool, rng, n_streams * step)].reshape(n_streams, step, -1).mean(axis=1)
        x = (x - centre) * np.float32(np.sqrt(step))
        _add(sums, x - slack, -x - slack)
        largest = np.maximum(largest, _scaled(sums).max(axis=(0, 1, 3), initial=0.0))
    return largest.astype(np.float64)


def limit_of(maxima: Maxima, rate: float) -> float:
    """What the largest cumulative sum of a stream exceeds at this rate.

    The maxima of cumulative sums in long streams have a Gumbel distribution, here with the mean and
    the standard deviation of the simulated ones: steadier than a quantile far out, which counts
    where it is larger.
    """
    scale = maxima.std() * np.sqrt(6) / np.pi
    gumbel = maxima.mean() - EULER * scale - scale * np.log(-np.log1p(-rate))
    return float(max(gumbel, np.quantile(maxima, 1 - rate)))


def _sd(pool: Pool) -> Float[np.ndarray, " feature"]:
    """Standard deviation of a patient.

    What never varies among the fit rows may do so in three patients of them more: the most that
    their number lets us rule out (95 %).
    """
    variance = pool.weight @ (pool.features - pool.mean) ** 2
    return np.sqrt(np.maximum(variance, 0.75 / (len(pool.features) + 3)))


def _slack(pool: Pool, step: int) -> float:
    """Two standard errors of the fit rows' mean, in standard deviations of a step: what they leave
    open is no drift.
    """
    return float(2 * np.sqrt(step / pool.n_effective))


def _add(
    sums: Sums,
    above: Float[np.ndarray, "stream feature"],
    below: Float[np.ndarray, "stream feature"],
) -> None:
    """One step of all cumulative sums, in place."""
    for k, allowance in enumerate(ALLOWANCE):
        for side, x in enumerate((above, below)):
            own = sums[side, k]
            own += np.minimum(x, FURTHEST)
            own -= allowance
            np.maximum(own, 0.0, out=own)


def _scaled(sums: Sums) -> Sums:
    """On one scale for all sizes of a shift: a sum passes h by chance about as often as exp(-h)."""
    return sums * (2 * np.array(ALLOWANCE, dtype=sums.dtype))[:, None, None]
