"""``choose`` for continuous targets."""

from pathfuse.fusion.choose import Choice
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.gaussian.family import GAUSSIAN


class GaussianChoose(Choice[GaussianExperts]):
    """The method with the lowest held-out NLL; of equals the simplest.

        μ[n, g], v[n, g] = μ_k*[n, g], v_k*[n, g]
        k* = argmin over k of  mean held-out nll of method k

    ``μ_k[n, g]`` and ``v_k[n, g]`` are method k's mean and variance of target g of sample n,
    (sample, target).

    References:
        van der Laan et al. (2007): the discrete super learner.

    Args:
        endpoint: Whose methods are tried.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(12, 1))  # 12 samples, one target
        >>> error = rng.normal(size=(12, 2, 1)) * [[0.1], [1.0]]  # of two experts
        >>> experts = GaussianExperts(truth[:, None] + error, np.full((12, 2, 1), 0.5))
        >>> model = GaussianChoose().fit_experts(experts, truth, groups=np.arange(12) % 2)
        >>> model.chosen_.name == min(model.inner_scores_, key=model.inner_scores_.get)
        True
    """

    family = GAUSSIAN

    def __init__(
        self, endpoint: str = "regression", seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(endpoint, seed, n_jobs)
