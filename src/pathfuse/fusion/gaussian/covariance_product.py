"""Weights from the shrunk covariance of the experts' errors (Bates & Granger 1969; Ledoit & Wolf
2004).
"""

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops, solve_flops
from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets
from pathfuse.fusion.gaussian.method import GaussianMethod
from pathfuse.fusion.layout import Layout
from pathfuse.references import article
from pathfuse.types import Params

BATES_1969 = article(
    "bates1969",
    "Bates, J. M. and Granger, C. W. J.",
    "The combination of forecasts",
    "Operational Research Quarterly",
    "20",
    "451--468",
    "1969",
)
LEDOIT_2004 = article(
    "ledoit2004",
    "Ledoit, O. and Wolf, M.",
    "A well-conditioned estimator for large-dimensional covariance matrices",
    "Journal of Multivariate Analysis",
    "88",
    "365--411",
    "2004",
)
Square = Float[np.ndarray, "expert expert"]


class GaussianCovarianceProduct(GaussianMethod):
    """Minimum-variance weights from the covariance of the experts' errors, without negative ones.

        w[g] ∝ S[g]⁻¹ 1
        μ[n, g] = Σ_m w[m, g] μ[n, m, g],        v[n, g] = w[g]ᵀ S[g] w[g]

    ``μ[n, m, g]`` is expert m's mean of target g of sample n, (sample, expert, target); ``S[g]``,
    (target, expert, expert), are the second moments of the errors on the fit rows, shrunk as Ledoit
    and Wolf do. Experts with a negative weight leave, the most negative first; the weights sum to 1
    over the experts that predict the cell.

    References:
        Bates and Granger (1969); Ledoit and Wolf (2004).

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(12, 1))  # 12 samples, one target
        >>> error = rng.normal(size=(12, 2, 1)) * [[0.1], [1.0]]  # of two experts
        >>> experts = GaussianExperts(truth[:, None] + error, np.full((12, 2, 1), 0.5))
        >>> model = GaussianCovarianceProduct().fit_experts(experts, truth, groups=np.arange(12) % 2)
        >>> weights = model.weigh(experts)  # (sample, expert)
        >>> bool((weights[:, 0] > weights[:, 1]).all())
        True
    """

    name = "covariance_product"
    summary = "a product with weights from the covariance of the experts' errors"
    references = (BATES_1969, LEDOIT_2004)

    def own_layout(self, n_experts: int, n_targets: int) -> Layout:
        """See ``GaussianMethod``."""
        square = (n_targets, n_experts, n_experts)
        return {"weights": (n_experts, n_targets), "covariance": square}

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: None
    ) -> Params:
        """See ``GaussianMethod``."""
        errors = y[:, None] - experts.mean
        _, n_experts, n_targets = errors.shape
        covariance = np.empty((n_targets, n_experts, n_experts))
        # The moments and the spread of their shrinkage, then the weights; solving again without an
        # expert is left out.
        add_flops(n_targets * (4 * len(errors) * n_experts**2 + solve_flops(n_experts, 1)))
        complete = ~np.isnan(errors).any(axis=(0, 1))
        covariance[complete] = error_covariances(errors[:, :, complete])
        for g in np.flatnonzero(~complete):
            covariance[g] = error_covariance(errors[:, :, g])
        weights = np.stack([minimum_variance(s) for s in covariance], axis=1)
        return {"weights": weights, "covariance": covariance}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        share = self.share_cells(experts, params)
        add_flops((2 + 3 * share.shape[1]) * share.size)
        mean = (share * np.where(experts.present, experts.mean, 0.0)).sum(axis=1)
        variance = np.einsum("nmg,gmk,nkg->ng", share, params["covariance"], share)
        predicted = experts.present.any(axis=1)
        return Gaussian(np.where(predicted, mean, np.nan), np.where(predicted, variance, np.nan))

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Constant per target, renormalised over the experts present.

        Equal if those have no weight.
        """
        shown = np.where(experts.present, params["weights"] + 1e-9, 0.0)
        return shown / np.maximum(shown.sum(axis=1, keepdims=True), 1e-300)


def error_covariances(
    errors: Float[np.ndarray, "sample expert target"],
) -> Float[np.ndarray, "target expert expert"]:
    """``error_covariance`` of targets without blanks, all at once.

        shrunk = (1 - δ) S + δ μ I        μ = tr S / M        δ = min(β, d²) / d²
        d² = |S - μ I|² / M,    β = (Σ_jk Σ_n x[n, j]² x[n, k]² / N - |S|²) / (M N)

    Args:
        errors: x, N samples, M experts.

    References:
        Ledoit and Wolf (2004); equal to ``sklearn.covariance.ledoit_wolf``, means taken as 0.
    """
    n, m, _ = errors.shape
    by_target = np.ascontiguousarray(errors.transpose(2, 0, 1))
    moments = by_target.transpose(0, 2, 1) @ by_target / n
    squares = (by_target**2).sum(axis=2)
    size = np.einsum("gmm->g", moments) / m
    energy = (moments**2).sum(axis=(1, 2))
    noise = ((squares**2).sum(axis=1) / n - energy) / (m * n)
    distance = (energy - 2 * size * np.einsum("gmm->g", moments) + m * size**2) / m
    shrinkage = np.zeros_like(size)
    far = np.minimum(noise, distance) != 0
    shrinkage[far] = np.minimum(noise, distance)[far] / distance[far]
    shrunk = (1 - shrinkage)[:, None, None] * moments
    return np.asarray(shrunk + (shrinkage * size + 1e-12)[:, None, None] * np.eye(m))


def error_covariance(errors: Float[np.ndarray, "sample expert"]) -> Square:
    """Shrunk second moments of the errors; blanks are filled with the row's mean error."""
    from sklearn.covariance import ledoit_wolf  # not at the top: predict does without

    known = ~np.isnan(errors)
    kept = known.any(axis=1)
    count = known[kept].sum(axis=1, keepdims=True)
    mean = np.where(known[kept], errors[kept], 0.0).sum(axis=1, keepdims=True) / count
    filled = np.where(known[kept], errors[kept], mean)
    return np.asarray(ledoit_wolf(filled, assume_centered=True)[0]) + 1e-12 * np.eye(
        errors.shape[1]
    )


def minimum_variance(covariance: Square) -> Float[np.ndarray, " expert"]:
    """Non-negative weights that sum to 1: experts with a negative weight leave, the most negative
    first.
    """
    kept = np.arange(len(covariance))
    while True:
        solved = np.linalg.solve(covariance[np.ix_(kept, kept)], np.ones(len(kept)))
        if len(kept) == 1 or (solved >= 0).all():
            weights = np.zeros(len(covariance))
            weights[kept] = solved / solved.sum()
            return weights
        kept = np.delete(kept, int(solved.argmin()))
