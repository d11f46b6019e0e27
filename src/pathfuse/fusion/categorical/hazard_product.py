"""Survival only: the weighted product bin by bin, a weighted mean of hazard logits.

See docs/design/pooling.md, section 8.

Each bin is a Bernoulli logarithmic pool, so the fit is convex in ``sharpness * weights`` and a
censored case adds one logistic term per bin that it outlived.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops
from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.lanes import by_sample, weighted
from pathfuse.distributions.likelihood import floor_log_prob
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS, anchor_of
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.set_likelihood import ByOutcome
from pathfuse.fusion.categorical.static_product import StaticProduct, static_objective
from pathfuse.fusion.product import equal_product
from pathfuse.fusion.works import GENEST_1984
from pathfuse.types import LogProbs, Observed, Params


class HazardProduct(StaticProduct):
    """The static product of hazard logits: constant weights, shared over bins, with one sharpness.

        logit h[n, t] = s Σ_m w[n, m] logit h[n, m, t]
        q[n, t] = h[n, t] Π_{u < t} (1 - h[n, u])
        w[n] = softmax of b over the experts that scored sample n

    ``h[n, m, t]`` is expert m's probability of an event in bin t of a sample without one before,
    (sample, expert, bin); what no bin takes is the tail's. ``b``, (expert,), and the sharpness
    s > 0 are fitted as in ``StaticProduct``.

    References:
        Genest (1984).

    Args:
        ridge: Pull towards equal weights, in units of 1/n; None: chosen by inner cross-validation.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Examples:
        The outcomes are the bins and a tail; the truth is a set of them. A case censored in the
        first of two bins may have its event in the second bin or later.

        >>> import numpy as np
        >>> import pathfuse
        >>> experts = np.log([[[0.6, 0.2, 0.2], [0.4, 0.3, 0.3]], [[0.1, 0.3, 0.6], [0.2, 0.4, 0.4]]])
        >>> observed = np.array([[True, False, False], [False, True, True]])
        >>> model = pathfuse.HazardProduct(ridge=1.0).fit(experts, observed)
        >>> model.predict_proba(experts).shape
        (2, 3)
    """

    name = "hazard_product"
    keeps_agreement = False  # of bins: hazards are pooled, not bins
    constant_powers = False
    summary = "the weighted mean of the experts' hazard logits, bin by bin"
    references = (GENEST_1984,)
    endpoints = ("survival",)

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        logits = hazard_logits(experts)
        likelihood = HazardLikelihood.of(
            observed, anchor_of(experts), PRIOR_ROWS / experts.n_samples
        )
        product, path = equal_product(experts.shape[1]), []
        for ridge in settings:
            objective = static_objective(logits, observed, ridge, likelihood)
            product = objective.minimise(product)
            path.append({"bias": product.bias, "log_sharpness": np.array(product.log_sharpness)})
        return path

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        logits = hazard_logits(experts)
        add_flops(2 * logits.log_prob.size)
        weights = np.ascontiguousarray(self.share(experts, params).T)
        pooled = by_sample(weighted(weights, logits.planes))
        return floor_log_prob(event_distribution(np.exp(params["log_sharpness"]) * pooled))


def hazard_logits(experts: Experts) -> Experts:
    """The experts' hazard logits in place of their event distributions: ``log p_t - log S_t``,
    exact in log space.
    """
    planes = experts.planes
    later, hazard = planes[:, -1], np.empty_like(planes[:, :-1])
    for t in range(planes.shape[1] - 2, -1, -1):
        hazard[:, t] = np.where(experts.shown, planes[:, t] - later, 0.0)
        later = np.logaddexp(later, planes[:, t])
    return Experts(hazard.transpose(2, 0, 1), experts.present)


@dataclass(frozen=True)
class HazardLikelihood:
    """Mean censored NLL of hazard logits, with its gradient; samples along the last axis."""

    observed: Float[np.ndarray, "outcome sample"]
    anchor: Float[np.ndarray, "outcome sample"] | None = None
    """Probabilities that pseudo-observations are drawn from (``fusion.categorical.anchor``); None:
    there are none."""
    pull: float = 0.0
    """How many pseudo-observations there are per row."""

    @classmethod
    def of(
        cls, observed: Observed, anchor: ByOutcome | None = None, pull: float = 0.0
    ) -> "HazardLikelihood":
        """From observed sets over the bins and the tail."""
        return cls(np.ascontiguousarray(observed.T, dtype=np.float64), anchor, pull)

    def __call__(
        self, scores: Float[np.ndarray, "bin sample"]
    ) -> tuple[float, Float[np.ndarray, "bin sample"]]:
        """Mean NLL, and n times its gradient.

        With r the distribution inside the observed set: ``d nll / d logit_j = h_j * sum_{c >= j}
        r_c - r_j``.
        """
        log_q: ByOutcome = event_distribution(scores.T).T
        with np.errstate(divide="ignore"):
            allowed = log_q + np.log(self.observed)
        peak = allowed.max(axis=0)
        inside = np.exp(allowed - peak)
        mass = inside.sum(axis=0)
        inside /= mass
        hazard = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
        value = -float((peak + np.log(mass)).mean())
        slope = hazard * _at_risk(inside) - inside[:-1]
        if self.anchor is None:
            return value, slope
        value -= self.pull * float((self.anchor * log_q).sum()) / scores.shape[1]
        return value, slope + self.pull * (hazard * _at_risk(self.anchor) - self.anchor[:-1])


def _at_risk(prob: ByOutcome) -> Float[np.ndarray, "bin sample"]:
    """Probability of an event in a bin or later."""
    return np.cumsum(prob[::-1], axis=0)[::-1][:-1]
