"""The product of experts with equal weights: nothing is fitted.

Never worse than the average expert, sample by sample (weighted AM-GM; Wood et al., arXiv 2301.03962).
"""

from collections.abc import Sequence

from pathfuse.fusion.experts import Experts
from pathfuse.fusion.logpool import weighted_product
from pathfuse.fusion.rung import Rung
from pathfuse.types import LogProbs, Observed, Params, Weights


def equal_weights(experts: Experts) -> Weights:
    """1 / (number of experts present), 0 for absent ones."""
    return experts.present / experts.present.sum(axis=1, keepdims=True)


class UniformProduct(Rung):
    """Normalised geometric mean of the experts' distributions."""

    name = "uniform_product"

    def fit_path(self, experts: Experts, observed: Observed, settings: Sequence[float]) -> list[Params]:
        """See ``Rung``."""
        return [{} for _ in settings]

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Rung``."""
        return weighted_product(experts, equal_weights(experts))

    def share(self, experts: Experts, params: Params) -> Weights:
        """Equal."""
        return equal_weights(experts)
