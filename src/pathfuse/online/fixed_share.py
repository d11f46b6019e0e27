"""Fixed share: a Bayes mixture over sequences of candidates, so that the best one may change.

Before each label the best candidate stays with probability 1 - a, and with probability a a new one
is drawn from the prior:

    w[k, t+1]  =  (1 - a) v[k, t] + a prior[k],        v[k, t]  proportional to  w[k, t] p_k(y_t)

(Herbster & Warmuth, Tracking the best expert, Machine Learning 32, 1998, with the draw of Bousquet &
Warmuth, JMLR 3, 2002, from the prior). The rate a is not tuned: a Bayes mixture over a few rates,
with "never" among them, finds the one that fits, at a price of ln(number of rates) over all time.
"""

from collections.abc import Sequence

import numpy as np

from pathfuse.errors import InputError
from pathfuse.online.base import (
    Awake,
    CandidateWeights,
    LogLikelihoods,
    State,
    Weigher,
    conditioned,
    log_sum,
    shares,
)

RATES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
"""Never, or once in ten thousand, a thousand, a hundred or ten labels: one for each order of
magnitude that a hospital will see, so that nobody has to choose."""


class FixedShare(Weigher):
    """The best candidate may change now and then.

    Args:
        prior: Float, (candidate,), positive, sums to 1.
        rates: How often it may change, per label, each in [0, 1); their mixture is taken.

    Raises:
        InputError: A rate is out of range.

    Examples:
        The first candidate is right ten times, then wrong ten times.

        >>> said = np.log([[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 10)
        >>> share = FixedShare(np.array([0.5, 0.5]))
        >>> state = share.start()
        >>> for label in said:
        ...     state = share.learn(state, label)
        >>> share.weights(state, np.array([True, True])).round(2).tolist()
        [0.05, 0.95]
    """

    name = "fixed_share"

    def __init__(self, prior: CandidateWeights, rates: Sequence[float] = RATES) -> None:
        super().__init__(prior)
        self.rates = np.array(rates, dtype=np.float64)
        if not len(self.rates) or not ((self.rates >= 0) & (self.rates < 1)).all():
            raise InputError("rates of change must be at least 0 and below 1")

    def start(self) -> State:
        """See ``Weigher``."""
        return (
            np.log(self.prior)[None, :] - np.log(len(self.rates)) + np.zeros((len(self.rates), 1))
        )

    def weights(self, state: State, awake: Awake) -> CandidateWeights:
        """See ``Weigher``."""
        return shares(state, awake)

    def learn(self, state: State, log_likelihood: LogLikelihoods) -> State:
        """See ``Weigher``."""
        if np.isnan(log_likelihood).all():
            return state
        proved = conditioned(state, log_likelihood)
        of_rate = log_sum(proved, axis=1)[:, None]
        with np.errstate(divide="ignore"):
            drawn = np.log(self.rates)[:, None] + of_rate + np.log(self.prior)
        return np.asarray(np.logaddexp(np.log1p(-self.rates)[:, None] + proved, drawn))
