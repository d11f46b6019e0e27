"""``auto`` for continuous targets."""

from collections.abc import Sequence

import numpy as np

from pathfuse.fusion.auto import Council
from pathfuse.fusion.expert_table import Prediction
from pathfuse.fusion.gaussian.experts import GaussianExperts, Targets, as_moments
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.gaussian.product import Cells, GaussianObjective, nothing_seen
from pathfuse.fusion.gaussian.static_product import GaussianStaticProduct
from pathfuse.fusion.product import equal_product
from pathfuse.types import Params


class GaussianAuto(Council[GaussianExperts]):
    """Product of the methods' Gaussians, weighed on their held-out predictions.

        1 / v[n, g] = s Σ_k w[k] / v_k[n, g],        w = softmax(b)
        μ[n, g] = (Σ_k w[k] μ_k[n, g] / v_k[n, g]) / (Σ_k w[k] / v_k[n, g])

    ``μ_k[n, g]`` and ``v_k[n, g]`` are method k's mean and variance of target g of sample n,
    (sample, target). ``b``, (method,), and one sharpness s > 0 for all targets have the lowest
    mean NLL of held-out rows + (|b|² + log² s) / n.

    References:
        van der Laan et al. (2007), with a logarithmic pool in place of the linear one; Huang et al.
        (2026).

    Args:
        endpoint: Whose methods vote.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(12, 1))  # 12 samples, one target
        >>> error = rng.normal(size=(12, 2, 1)) * [[0.1], [1.0]]  # of two experts
        >>> experts = GaussianExperts(truth[:, None] + error, np.full((12, 2, 1), 0.5))
        >>> model = GaussianAuto().fit_experts(experts, truth, groups=np.arange(12) % 2)
        >>> round(sum(model.council_weights_.values()), 6), model.certificate_.holds
        (1.0, True)
    """

    family = GAUSSIAN

    def __init__(
        self, endpoint: str = "regression", seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(endpoint, seed, n_jobs)

    @classmethod
    def product(cls) -> GaussianStaticProduct:
        """See ``Council``."""
        return GaussianStaticProduct()

    @classmethod
    def stacked(cls, predictions: Sequence[Prediction]) -> GaussianExperts:
        """See ``Council``."""
        parts = [as_moments(predicted) for predicted in predictions]
        return GaussianExperts(
            np.stack([p.mean for p in parts], axis=1), np.stack([p.variance for p in parts], axis=1)
        )

    @classmethod
    def weigh_members(cls, held_out: Sequence[np.ndarray], truth: Targets, seed: int) -> Params:
        """See ``Council``."""
        repeats = len(held_out[0])
        experts = cls.stacked([predicted.reshape(-1, predicted.shape[2]) for predicted in held_out])
        cells = Cells.of(experts, np.concatenate([truth] * repeats), nothing_seen(experts), seed)
        product = GaussianObjective(cells, ridge=1 / len(truth)).minimise(
            equal_product(len(held_out))
        )
        return {"bias": product.bias, "sharpness": np.exp(np.array(product.log_sharpness))}

    @classmethod
    def alone(cls) -> Params:
        """See ``Council``."""
        return {"bias": np.zeros(1), "sharpness": np.array(1.0)}
