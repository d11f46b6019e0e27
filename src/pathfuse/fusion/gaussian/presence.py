"""Absent experts of a regression: ``fusion.presence`` for a product of Gaussians.

    precision = a_S / v_S + b_S / u_S,     and the mean weighed by the two terms

with v_S the variance that the method states and u_S that of the equal product of the experts
present.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops
from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Targets, equal_share, pool
from pathfuse.fusion.presence import MIN_ROWS, PRIOR_ROWS, lacks_one, numbers_of
from pathfuse.types import Params


def fit_pair(predicted: Gaussian, even: Gaussian, y: Targets) -> tuple[float, float]:
    """The two numbers of one view: a, of what was predicted, and b, of the equal product."""
    from scipy.optimize import minimize  # not at the top: predict does without

    known = ~np.isnan(y) & ~np.isnan(predicted.mean) & ~np.isnan(even.mean)
    n_rows = int(known.any(axis=1).sum())
    if n_rows < MIN_ROWS:
        return 0.0, 1.0
    truth, pull = y[known], PRIOR_ROWS / n_rows
    mean = np.stack([predicted.mean[known], even.mean[known]])
    precision = 1 / np.stack([predicted.variance[known], even.variance[known]])
    stated, weighted = precision[1], precision * mean
    inverse = pull * 0.5 / stated

    def value(theta: Float[np.ndarray, " part"]) -> tuple[float, Float[np.ndarray, " part"]]:
        # The prior: further rows whose squared residual is the variance of the equal product.
        total = np.maximum(theta @ precision, 1e-300)
        middle = (theta @ weighted) / total
        residual = truth - middle
        squared = residual**2
        loss = 0.5 * total * squared + total * inverse - 0.5 * (1 + pull) * np.log(total)
        slope = 0.5 * squared + inverse - 0.5 * (1 + pull) / total
        gradient = precision * (slope - residual * (mean - middle))
        return float(loss.mean()), gradient.mean(axis=1)

    found = minimize(
        value, np.array([0.5, 0.5]), jac=True, method="L-BFGS-B", bounds=[(0, None), (1e-6, None)]
    )
    add_flops(12 * mean.size * found.nfev)
    return float(found.x[0]), float(found.x[1])


def corrected_gaussian(predicted: Gaussian, experts: GaussianExperts, params: Params) -> Gaussian:
    """The predictions of samples that lack an expert, as sure as the others deserve.

    The rest as they are.

    Args:
        predicted: Of the method as it is.
        experts: With variances wherever present.
        params: From ``fusion.presence.fit_presence``; empty: nothing is changed.
    """
    lacking = lacks_one(experts.scored, params)
    if not lacking.any():
        return predicted
    few = experts.rows(np.flatnonzero(lacking))
    own, equal = numbers_of(params, few.scored)
    even = pool(few, equal_share(few))
    parts = (own[:, None] / predicted.variance[lacking], equal[:, None] / even.variance)
    total = parts[0] + parts[1]
    mean, variance = predicted.mean.copy(), predicted.variance.copy()
    mean[lacking] = (parts[0] * predicted.mean[lacking] + parts[1] * even.mean) / total
    variance[lacking] = 1 / total
    return Gaussian(mean, variance)
