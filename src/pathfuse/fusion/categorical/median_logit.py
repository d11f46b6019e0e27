"""The median of the experts' log-probabilities: one expert that shouts does not move it.

Nothing is fitted.
"""

from collections.abc import Sequence

import numpy as np

from pathfuse.distributions.lanes import by_sample, normalise
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.presence import equal_weights
from pathfuse.types import LogProbs, Observed, Params, Weights


class MedianLogit(CategoricalMethod):
    """Median over the experts present of the log-probabilities, outcome by outcome, renormalised.

        log q[n, c] = median over m of log p[n, m, c]  -  log Z[n]

    ``p[n, m, c]`` is expert m's probability of outcome c of sample n, (sample, expert, outcome);
    ``Z[n]`` makes the probabilities of a sample sum to 1, (sample,).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> logits = np.log([[[0.8, 0.2], [0.7, 0.3], [0.001, 0.999]]] * 2)  # the third expert shouts
        >>> model = pathfuse.MedianLogit().fit(logits, [0, 1])
        >>> model.predict_proba(logits)[0].round(3).tolist()
        [0.7, 0.3]
    """

    name = "median_logit"
    summary = "the median of the experts' log-probabilities, renormalised"
    richness = 0
    in_council = False
    fits = False

    def fit_path(
        self, experts: Experts, truth: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        return [{} for _ in settings]

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        last = np.inf  # where absent ones go
        ranked = np.sort(np.where(experts.shown[:, None], experts.planes, last), axis=0)
        count = experts.shown.sum(axis=0)[None, None]
        low, high = (
            np.take_along_axis(ranked, np.broadcast_to(rank, (1, *ranked.shape[1:])), axis=0)[0]
            for rank in ((count - 1) // 2, count // 2)
        )
        pooled = (low + high) / 2
        normalise(pooled)
        return by_sample(pooled)

    def share(self, experts: Experts, params: Params) -> Weights:
        """Equal: a summary, since a median has no weights."""
        return equal_weights(experts.present)
