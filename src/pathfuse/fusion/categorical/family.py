"""Distributions over outcomes: classes, two states of a label, bins of time and a tail."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.chains import chain_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.presence import corrected_log_prob, fit_pair
from pathfuse.fusion.expert_table import View
from pathfuse.fusion.family import Family
from pathfuse.fusion.inner_cv import strata_of
from pathfuse.types import LogProbs, Observed, Params


class CategoricalFamily(Family[Experts]):
    """Predictions are log-probabilities (sample, outcome), truths are observed sets (sample,
    outcome).
    """

    name = "categorical"
    endpoints = ()
    may_be_flat = True

    def score(self, predicted: LogProbs, truth: Observed) -> float:
        """See ``Family``."""
        return float(set_nll(predicted, truth).mean())

    def chain_scores(self, experts: Experts, truth: Observed) -> Float[np.ndarray, " expert"]:
        """See ``Family``."""
        return chain_nll(experts, truth)

    def strata(self, truth: Observed) -> Int[np.ndarray, " sample"]:
        """The class, or the (bin, censored) pair."""
        return strata_of(truth)

    def fit_pairs(
        self,
        seen: Sequence[View[Experts]],
        predictions: Sequence[LogProbs],
        experts: Experts,
        truth: Observed,
    ) -> list[tuple[float, float]]:
        """See ``Family``."""
        return [
            fit_pair(view.experts, one, truth[view.rows])
            for view, one in zip(seen, predictions, strict=True)
        ]

    def corrected(self, predicted: LogProbs, experts: Experts, presence: Params) -> LogProbs:
        """See ``Family``."""
        return corrected_log_prob(predicted, experts, presence)


CATEGORICAL = CategoricalFamily()
