"""The Bayes mixture: every candidate weighs what it has proved so far.

    w[k, t+1]  proportional to  w[k, t] p_k(y_t)

the aggregating algorithm for the log loss with learning rate 1 (Vovk, A game of prediction with
expert advice, Journal of Computer and System Sciences 56, 1998; docs/design/pooling.md, section
11). Whatever happens, its cumulative loss is above that of candidate k by no more than ln(1 / prior_k).
"""

import numpy as np

from pathfuse.online.base import (
    Awake,
    CandidateWeights,
    LogLikelihoods,
    State,
    Weigher,
    conditioned,
    shares,
)


class BayesMixture(Weigher):
    """One candidate is the best for ever; which one is found out.

    Args:
        prior: Float, (candidate,), positive, sums to 1.

    Examples:
        Two candidates gave what happened 0.9 and 0.1.

        >>> mixture = BayesMixture(np.array([0.5, 0.5]))
        >>> state = mixture.learn(mixture.start(), np.log([0.9, 0.1]))
        >>> mixture.weights(state, np.array([True, True])).round(3).tolist()
        [0.9, 0.1]
    """

    name = "bayes"

    def start(self) -> State:
        """See ``Weigher``."""
        return np.log(self.prior)[None, :]

    def weights(self, state: State, awake: Awake) -> CandidateWeights:
        """See ``Weigher``."""
        return shares(state, awake)

    def learn(self, state: State, log_likelihood: LogLikelihoods) -> State:
        """See ``Weigher``."""
        return conditioned(state, log_likelihood)
