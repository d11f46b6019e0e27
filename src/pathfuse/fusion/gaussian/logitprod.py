"""LogitProd for continuous targets: the gate reads each expert's stated doubt and its distance from
the consensus.
"""

from typing import ClassVar

import numpy as np

from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    Moments,
    Targets,
    pool,
    sharpness_of,
)
from pathfuse.fusion.gaussian.method import GaussianProduct
from pathfuse.fusion.gaussian.product import Cells, GaussianObjective, gate_input, gaussian_weights
from pathfuse.fusion.product import Product, equal_product
from pathfuse.fusion.works import GENEST_1984, LOGITPROD_2026
from pathfuse.types import Params


class GaussianLogitProd(GaussianProduct):
    """Weights that depend on the sample and the target; settings are ridges on the gate."""

    name = "logitprod"
    summary = "the product of the experts' normal distributions with weights that a gate reads from each sample"
    references = (LOGITPROD_2026, GENEST_1984)
    settings: ClassVar[tuple[float, ...]] = (1.0, 0.1, 0.01)

    def fit_cells(self, experts: GaussianExperts, y: Targets, setting: float) -> Params:
        """See ``GaussianMethod``."""
        raw = gate_input(experts)
        mean, sd = raw.mean(axis=(1, 2)), raw.std(axis=(1, 2))
        scale = np.where(sd > 1e-9, 1 / np.where(sd > 1e-9, sd, 1.0), 0.0)
        phi = (raw - mean[:, None, None]) * scale[:, None, None]
        cells = Cells.of(experts, y, phi, self.seed)
        start = equal_product(experts.mean.shape[1], len(phi))
        product = GaussianObjective(cells, ridge=1 / len(y), rho=setting).minimise(start)
        sharpness = sharpness_of(pool(experts, gaussian_weights(product, phi, experts)), y)
        return {
            "bias": product.bias,
            "gate": product.gate,
            "feature_mean": mean,
            "feature_scale": scale,
            "sharpness": sharpness,
        }

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        return pool(experts, self.share_cells(experts, params), params["sharpness"])

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """The gate's weights."""
        raw = gate_input(experts)
        phi = (raw - params["feature_mean"][:, None, None]) * params["feature_scale"][:, None, None]
        return gaussian_weights(Product(params["bias"], 0.0, params["gate"]), phi, experts)
