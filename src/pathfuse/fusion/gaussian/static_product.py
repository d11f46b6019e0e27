"""The product of Gaussians with constant weights, shared by all targets, and a sharpness per
target.
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
from pathfuse.fusion.gaussian.product import (
    Cells,
    GaussianObjective,
    gaussian_weights,
    nothing_seen,
)
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.product import Product, equal_product
from pathfuse.fusion.works import GENEST_1984
from pathfuse.types import Params


class GaussianStaticProduct(GaussianProduct):
    """Product with constant weights, shrunk towards equal; settings are ridges in units of 1/n.

        1 / v[n, g] = s[g] Σ_m w[n, m, g] / v[n, m, g]
        μ[n, g] = (Σ_m w[n, m, g] μ[n, m, g] / v[n, m, g]) / (Σ_m w[n, m, g] / v[n, m, g])
        w[n, :, g] = softmax of b over the experts that predict the cell

    ``μ[n, m, g]`` and ``v[n, m, g]`` are expert m's mean and variance of target g of sample n,
    (sample, expert, target). ``b``,
    (expert,), is shared by all targets and has the lowest mean NLL + ridge |b|² / n; the sharpness
    ``s[g]``, (target,), is the one with the highest likelihood, shrunk towards 1 by five rows.

    References:
        Genest (1984).

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(12, 1))  # 12 samples, one target
        >>> error = rng.normal(size=(12, 2, 1)) * [[0.1], [1.0]]  # of two experts
        >>> experts = GaussianExperts(truth[:, None] + error, np.full((12, 2, 1), 0.5))
        >>> model = GaussianStaticProduct().fit_experts(experts, truth, groups=np.arange(12) % 2)
        >>> weights = model.weigh(experts)  # (sample, expert)
        >>> bool((weights[:, 0] > weights[:, 1]).all())
        True
    """

    name = "static_product"
    summary = (
        "the product of the experts' normal distributions with constant weights and a sharpness"
    )
    references = (GENEST_1984,)
    open_end = False  # the weakest pull is that of one row: hardly any
    settings: ClassVar[tuple[float, ...]] = (100.0, 10.0, 1.0)

    def own_layout(self, n_experts: int, n_targets: int) -> Layout:
        """See ``GaussianMethod``."""
        return {"bias": (n_experts,), "sharpness": (n_targets,)}

    def layouts(self, n_experts: int, n_columns: int) -> tuple[Layout, ...]:
        """See ``MethodBase``: that of a council has one sharpness."""
        council = {"bias": (n_experts,), "sharpness": ()}
        return *super().layouts(n_experts, n_columns), council

    def prepare(self, experts: GaussianExperts, y: Targets) -> Cells:
        """See ``GaussianMethod``."""
        return Cells.of(experts, y, nothing_seen(experts), self.seed)

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: Cells
    ) -> Params:
        """See ``GaussianMethod``."""
        product = GaussianObjective(prepared, ridge=setting / len(y)).minimise(
            equal_product(experts.mean.shape[1])
        )
        share = gaussian_weights(product, nothing_seen(experts), experts)
        return {"bias": product.bias, "sharpness": sharpness_of(pool(experts, share), y)}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        return pool(experts, self.share_cells(experts, params), params["sharpness"])

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Constant, renormalised over the experts present."""
        bias = params["bias"]
        return gaussian_weights(
            Product(bias, 0.0, np.zeros((len(bias), 0))), nothing_seen(experts), experts
        )
