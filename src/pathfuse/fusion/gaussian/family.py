"""Means and variances of continuous targets."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pathfuse.fusion.expert_table import Prediction, View
from pathfuse.fusion.family import Family
from pathfuse.fusion.gaussian.chains import chain_nll
from pathfuse.fusion.gaussian.experts import (
    GaussianExperts,
    Targets,
    as_moments,
    equal_share,
    mean_nll,
    pool,
    residual_variance,
)
from pathfuse.fusion.gaussian.presence import corrected_gaussian, fit_pair
from pathfuse.types import Params

MAX_TARGETS = 50
"""Settings and council weights are shared by all targets, and chosen on at most so many of them,
evenly spaced."""


class GaussianFamily(Family[GaussianExperts]):
    """Predictions are means, then variances (sample, 2 G).

    Truths are values (sample, G), NaN where blank.
    """

    name = "gaussian"
    endpoints = ("regression",)
    may_be_flat = False

    def score(self, predicted: Prediction, truth: Targets) -> float:
        """See ``Family``; over the cells that have both a truth and a prediction."""
        return mean_nll(as_moments(predicted), truth)

    def chain_scores(
        self, experts: GaussianExperts, truth: Targets
    ) -> Float[np.ndarray, " expert"]:
        """See ``Family``; an expert without variances has those of its residuals."""
        return chain_nll(experts.with_variance(residual_variance(experts, truth)), truth)

    def strata(self, truth: Targets) -> Int[np.ndarray, " sample"]:
        """None: continuous targets have no kinds."""
        return np.zeros(len(truth), dtype=np.int64)

    def narrow(self, experts: GaussianExperts, truth: Targets) -> tuple[GaussianExperts, Targets]:
        """See ``Family``; at most ``MAX_TARGETS``, evenly spaced."""
        n_targets = truth.shape[1]
        if n_targets <= MAX_TARGETS:
            return experts, truth
        kept = np.unique(np.linspace(0, n_targets - 1, MAX_TARGETS).astype(int))
        return experts.targets(kept), truth[:, kept]

    def fit_pairs(
        self,
        seen: Sequence[View[GaussianExperts]],
        predictions: Sequence[Prediction],
        experts: GaussianExperts,
        truth: Targets,
    ) -> list[tuple[float, float]]:
        """See ``Family``."""
        residual, pairs = residual_variance(experts, truth), []
        for view, predicted in zip(seen, predictions, strict=True):
            even = pool(view.experts.with_variance(residual), equal_share(view.experts))
            pairs.append(fit_pair(as_moments(predicted), even, truth[view.rows]))
        return pairs

    def corrected(
        self, predicted: Prediction, experts: GaussianExperts, presence: Params
    ) -> Prediction:
        """See ``Family``; the experts have variances wherever present."""
        if not len(presence.get("group", ())):
            return predicted
        return corrected_gaussian(as_moments(predicted), experts, presence).flat()


GAUSSIAN = GaussianFamily()
