"""Bernstein online aggregation (BOA): weights that follow regret, and how much it varies.

    l[k, t]  =  loss of candidate k  -  the weighted mean loss
    w[k, t+1]  proportional to  sum_e  prior[k] e exp(- sum_{s <= t} e l[k, s] (1 + e l[k, s]))

(Wintenberger, Optimal learning with Bernstein online aggregation, Machine Learning 106, 2017,
section 3; in R's ``opera``). Where that adapts a learning rate e per candidate, here a grid of them is
mixed, as Squint does (Koolen & van Erven, COLT 2015): it costs ln(number of rates), and the bound is
one line (``bounds.boa_bound``). Losses are logarithmic and cut at ``LARGEST_LOSS``, where
probabilities have their floor.
"""

import numpy as np

from pathfuse.distributions.likelihood import LOG_PROB_FLOOR
from pathfuse.online.base import Awake, CandidateWeights, LogLikelihoods, State, Weigher, log_sum

LARGEST_LOSS = -LOG_PROB_FLOOR
"""So that a regret lies within plus and minus this."""
LEARNING_RATES = tuple(1 / (2 * LARGEST_LOSS) / 2**j for j in range(8))
"""From the largest that the bound allows, 1 / (2 x the range), down by halves."""


class BOA(Weigher):
    """Bernstein online aggregation.

    Args:
        prior: Float, (candidate,), positive, sums to 1.

    Examples:
        >>> boa = BOA(np.array([0.5, 0.5]))
        >>> state = boa.start()
        >>> for _ in range(100):
        ...     state = boa.learn(state, np.log([0.9, 0.1]))
        >>> boa.weights(state, np.array([True, True])).round(2).tolist()
        [0.95, 0.05]
    """

    name = "boa"

    def start(self) -> State:
        """See ``Weigher``."""
        n = len(LEARNING_RATES)
        return np.log(self.prior)[None, :] - np.log(n) + np.zeros((n, 1))

    def weights(self, state: State, awake: Awake) -> CandidateWeights:
        """See ``Weigher``."""
        if not awake.any():
            return np.zeros(len(awake))
        tilted = log_sum(state + np.log(LEARNING_RATES)[:, None], axis=0)
        total = np.where(awake, tilted, -np.inf)
        return np.asarray(np.exp(total - log_sum(total)))

    def learn(self, state: State, log_likelihood: LogLikelihoods) -> State:
        """See ``Weigher``."""
        scaled = np.array(LEARNING_RATES)[:, None] * self.regret(state, log_likelihood)
        return np.asarray(state - scaled * (1 + scaled))

    def regret(self, state: State, log_likelihood: LogLikelihoods) -> CandidateWeights:
        """How much more each candidate lost than the weighted mean; 0 of those asleep."""
        awake = ~np.isnan(log_likelihood)
        loss = np.minimum(-np.where(awake, log_likelihood, 0.0), LARGEST_LOSS)
        return np.where(awake, loss - self.weights(state, awake) @ loss, 0.0)
