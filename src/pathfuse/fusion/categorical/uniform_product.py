"""The product of experts with equal weights: nothing is fitted.

Never worse than the average expert, sample by sample (weighted AM-GM; Wood et al., arXiv
2301.03962).
"""

from collections.abc import Sequence

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import by_sample
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.presence import equal_weights
from pathfuse.fusion.works import GENEST_1984
from pathfuse.types import LogProbs, Observed, Params, Weights


class UniformProduct(CategoricalMethod):
    """Normalised geometric mean of the experts' distributions.

        log q[n, c] = (1 / M_n) Σ_m log p[n, m, c]  -  log Z[n]

    ``p[n, m, c]`` is expert m's probability of outcome c of sample n, (sample, expert, outcome);
    the sum runs over the M_n experts that scored the sample, and ``Z[n]`` makes its probabilities
    sum to 1. It is the logarithmic opinion pool with equal weights.

    References:
        Genest (1984).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> logits = np.log([[[0.8, 0.2], [0.2, 0.8]], [[0.9, 0.1], [0.5, 0.5]]])
        >>> pathfuse.UniformProduct().fit(logits, [0, 1]).predict_proba(logits).round(3)
        array([[0.5 , 0.5 ],
               [0.75, 0.25]])
    """

    name = "uniform_product"
    summary = "the product of the experts' probabilities with equal weights"
    references = (GENEST_1984,)
    richness = 0
    constant_powers = True
    fits = False

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        return [{} for _ in settings]

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        add_flops(2 * experts.log_prob.size)
        return by_sample(experts.even)

    def share(self, experts: Experts, params: Params) -> Weights:
        """Equal."""
        return equal_weights(experts.present)
