"""``choose``: the one method that inner cross-validation prefers (discrete super learner; van der
Laan et al. 2007).
"""

from typing import Self

import numpy as np

from pathfuse.fusion.base import Fusion
from pathfuse.fusion.expert_table import E, Prediction, Truth
from pathfuse.fusion.fitted import FittedMethods, fit_methods
from pathfuse.fusion.method import Method
from pathfuse.fusion.methods import new_methods
from pathfuse.fusion.works import VANDERLAAN_2007
from pathfuse.types import Weights


class Choice(Fusion[E]):
    """The method with the lowest held-out NLL; of equals the simplest.

    Args:
        endpoint: Whose methods are tried.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Attributes:
        chosen_: That method, fitted on all rows.
        inner_scores_: Mean held-out NLL of every method that may be chosen.
    """

    name = "choose"
    summary = (
        "the one of the methods named next with the lowest held-out negative log-likelihood in "
        "inner cross-validation"
    )
    references = (VANDERLAAN_2007,)
    chosen_: Method[E]
    inner_scores_: dict[str, float]

    def __init__(self, endpoint: str, seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(seed, n_jobs)
        self.endpoint = endpoint

    def fit_experts(self, experts: E, truth: Truth, groups: np.ndarray) -> Self:
        """Fits all methods, then picks."""
        methods: list[Method[E]] = new_methods(self.seed, self.endpoint)
        return self.from_fitted(
            fit_methods(methods, experts, truth, groups, self.seed, self.n_jobs)
        )

    def from_fitted(self, fitted: FittedMethods[E]) -> Self:
        """Picks among methods that are fitted already."""
        self.inner_scores_ = {name: fitted.scores[name] for name in fitted.voting}
        self.chosen_ = fitted.members[
            min(self.inner_scores_, key=lambda name: self.inner_scores_[name])
        ]
        self.certificate_ = self.chosen_.certificate_
        return self

    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """See ``Fusion``."""
        self.chosen_.check_fitted(n_experts, n_columns)

    def combine(self, experts: E) -> Prediction:
        """See ``Fusion``."""
        chosen: Method[E] = self._need("chosen_")
        return chosen.combine(experts)

    def weigh(self, experts: E) -> Weights:
        """See ``Fusion``."""
        chosen: Method[E] = self._need("chosen_")
        return chosen.weigh(experts)
