"""LogitProd for continuous targets: the gate reads each expert's stated sd and its distance from
the consensus.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

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
    GateInput,
    GaussianObjective,
    gate_input,
    gaussian_weights,
)
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.product import Product, equal_product
from pathfuse.fusion.works import GENEST_1984, LOGITPROD_2026
from pathfuse.types import Params


@dataclass(frozen=True)
class Prepared:
    """What the fits at all ridges have in common."""

    mean: Float[np.ndarray, " feature"]
    """Of the gate's input, before it is standardised."""
    scale: Float[np.ndarray, " feature"]
    phi: GateInput
    cells: Cells


class GaussianLogitProd(GaussianProduct):
    """Product with weights that depend on sample and target; settings are ridges on the gate.

        1 / v[n, g] = s[g] Σ_m w[n, m, g] / v[n, m, g]
        μ[n, g] = (Σ_m w[n, m, g] μ[n, m, g] / v[n, m, g]) / (Σ_m w[n, m, g] / v[n, m, g])
        w[n, :, g] = softmax of (b + A φ[n, g]) over the experts that predict the cell

    ``μ[n, m, g]`` and ``v[n, m, g]`` are expert m's mean and variance of target g of sample n,
    (sample, expert, target). ``φ`` are
    the standardised features of ``gate_input``, (feature, sample, target); ``b``, (expert,), and
    ``A``, (expert, feature), are shared by all targets and have the lowest
    mean NLL + |b|² / n + rho |A|². The sharpness ``s[g]``, (target,), is as in the static product.

    References:
        Huang et al. (2026), here for Gaussians; Genest (1984) for constant weights.

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(12, 1))  # 12 samples, one target
        >>> error = rng.normal(size=(12, 2, 1)) * [[0.1], [1.0]]  # of two experts
        >>> experts = GaussianExperts(truth[:, None] + error, np.full((12, 2, 1), 0.5))
        >>> model = GaussianLogitProd().fit_experts(experts, truth, groups=np.arange(12) % 2)
        >>> weights = model.weigh(experts).mean(axis=0)  # (expert,)
        >>> bool(weights[0] > weights[1])
        True
    """

    name = "logitprod"
    summary = "the product of the experts' normal distributions with weights that a gate reads from each sample"
    references = (LOGITPROD_2026, GENEST_1984)
    settings: ClassVar[tuple[float, ...]] = (1.0, 0.1, 0.01)

    def own_layout(self, n_experts: int, n_targets: int) -> Layout:
        """See ``GaussianMethod``."""
        n_features = 2 * n_experts + 1
        return {
            "bias": (n_experts,),
            "gate": (n_experts, n_features),
            "feature_mean": (n_features,),
            "feature_scale": (n_features,),
            "sharpness": (n_targets,),
        }

    def prepare(self, experts: GaussianExperts, y: Targets) -> Prepared:
        """See ``GaussianMethod``."""
        raw = gate_input(experts)
        mean, sd = raw.mean(axis=(1, 2)), raw.std(axis=(1, 2))
        scale = np.where(sd > 1e-9, 1 / np.where(sd > 1e-9, sd, 1.0), 0.0)
        phi = (raw - mean[:, None, None]) * scale[:, None, None]
        return Prepared(mean, scale, phi, Cells.of(experts, y, phi, self.seed))

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: Prepared
    ) -> Params:
        """See ``GaussianMethod``."""
        phi, cells = prepared.phi, prepared.cells
        start = equal_product(experts.mean.shape[1], len(phi))
        product = GaussianObjective(cells, ridge=1 / len(y), rho=setting).minimise(start)
        sharpness = sharpness_of(pool(experts, gaussian_weights(product, phi, experts)), y)
        return {
            "bias": product.bias,
            "gate": product.gate,
            "feature_mean": prepared.mean,
            "feature_scale": prepared.scale,
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
