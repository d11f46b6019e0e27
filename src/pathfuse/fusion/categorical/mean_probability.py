"""The plain average of probabilities (linear pool, equal weights): the baseline that every fitted
fusion must beat.
"""

from collections.abc import Sequence

import numpy as np

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import by_sample, normalise, weighted
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.presence import equal_weights
from pathfuse.types import LogProbs, Observed, Params, Weights


class MeanProbability(CategoricalMethod):
    """Arithmetic mean of the distributions of the experts present.

        q[n, c] = (1 / M_n) Σ_m p[n, m, c]

    ``p[n, m, c]`` is expert m's probability of outcome c of sample n, (sample, expert, outcome);
    the sum runs over the M_n experts that scored the sample.

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> logits = np.log([[[0.8, 0.2], [0.2, 0.8]], [[0.9, 0.1], [0.5, 0.5]]])
        >>> pathfuse.MeanProbability().fit(logits, [0, 1]).predict_proba(logits).round(3)
        array([[0.5, 0.5],
               [0.7, 0.3]])
    """

    name = "mean_probability"
    summary = "the average of the experts' probabilities"
    richness = 0
    fits = False

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        return [{} for _ in settings]

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        add_flops(2 * experts.log_prob.size)
        pooled = np.log(weighted(experts.even_weights, experts.prob_planes))
        normalise(pooled)
        return by_sample(pooled)

    def share(self, experts: Experts, params: Params) -> Weights:
        """Equal."""
        return equal_weights(experts.present)
