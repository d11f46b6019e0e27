"""``choose``: the one method that inner cross-validation prefers (discrete super learner; van der Laan et al. 2007)."""

from typing import Self

import numpy as np

from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.fitted import FittedMethods, fit_methods
from pathfuse.fusion.method import Method
from pathfuse.fusion.methods import new_methods
from pathfuse.fusion.works import VANDERLAAN_2007
from pathfuse.types import LogProbs, Observed, Weights


class Choose(Fusion):
    """The method with the lowest held-out NLL; of equals the simplest.

    Args:
        endpoint: ``survival`` adds ``hazard_product`` to the methods; the outcomes are then T bins and a tail.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Attributes:
        chosen_: That method, fitted on all rows.
        inner_scores_: Mean held-out NLL of every method that may be chosen.

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(8) % 2
        >>> logits = np.random.default_rng(0).normal(size=(8, 2, 2))
        >>> logits[np.arange(8), :, y] += 1.5
        >>> model = pathfuse.Choose().fit(logits, y)
        >>> model.chosen_.name == min(model.inner_scores_, key=model.inner_scores_.get)
        True
    """

    name = "choose"
    summary = (
        "the one of the methods named next with the lowest held-out negative log-likelihood in inner cross-validation"
    )
    references = (VANDERLAAN_2007,)
    chosen_: Method
    inner_scores_: dict[str, float]

    def __init__(self, endpoint: str = "multiclass", seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(seed, n_jobs)
        self.endpoint = endpoint

    def fit_experts(self, experts: Experts, observed: Observed, groups: np.ndarray) -> Self:
        """Fits all methods, then picks."""
        return self.from_fitted(
            fit_methods(new_methods(self.seed, self.endpoint), experts, observed, groups, self.seed, self.n_jobs)
        )

    def from_fitted(self, fitted: FittedMethods) -> Self:
        """Picks among methods that are fitted already."""
        self.inner_scores_ = {name: fitted.scores[name] for name, method in fitted.members.items() if method.in_council}
        self.chosen_ = fitted.members[min(self.inner_scores_, key=lambda name: self.inner_scores_[name])]
        self.certificate_ = self.chosen_.certificate_
        return self

    def log_pool(self, experts: Experts) -> LogProbs:
        """See ``Fusion``."""
        chosen: Method = self._need("chosen_")
        return chosen.log_pool(experts)

    def weigh(self, experts: Experts) -> Weights:
        """See ``Fusion``."""
        chosen: Method = self._need("chosen_")
        return chosen.weigh(experts)
