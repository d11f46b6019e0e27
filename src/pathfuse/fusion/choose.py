"""``choose``: the one rung that inner cross-validation prefers (discrete super learner; van der Laan et al. 2007)."""

from typing import Self

import numpy as np

from pathfuse.fusion.base import Fusion
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.ladder import Ladder, climb
from pathfuse.fusion.rung import Rung
from pathfuse.fusion.rungs import new_rungs
from pathfuse.fusion.works import VANDERLAAN_2007
from pathfuse.types import LogProbs, Observed, Weights


class Choose(Fusion):
    """The rung with the lowest held-out NLL; of equals the simplest.

    Args:
        endpoint: ``survival`` adds ``hazard_product`` to the ladder; the outcomes are then T bins and a tail.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Attributes:
        chosen_: That rung, fitted on all rows.
        inner_scores_: Mean held-out NLL of every rung that may be chosen.

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
    chosen_: Rung
    inner_scores_: dict[str, float]

    def __init__(self, endpoint: str = "multiclass", seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(seed, n_jobs)
        self.endpoint = endpoint

    def fit_experts(self, experts: Experts, observed: Observed, groups: np.ndarray) -> Self:
        """Fits the whole ladder, then picks."""
        return self.fit_ladder(
            climb(new_rungs(self.seed, self.endpoint), experts, observed, groups, self.seed, self.n_jobs)
        )

    def fit_ladder(self, ladder: Ladder) -> Self:
        """Picks among rungs that are fitted already."""
        self.inner_scores_ = {name: ladder.scores[name] for name, rung in ladder.members.items() if rung.in_council}
        self.chosen_ = ladder.members[min(self.inner_scores_, key=lambda name: self.inner_scores_[name])]
        self.certificate_ = self.chosen_.certificate_
        return self

    def log_pool(self, experts: Experts) -> LogProbs:
        """See ``Fusion``."""
        chosen: Rung = self._need("chosen_")
        return chosen.log_pool(experts)

    def weigh(self, experts: Experts) -> Weights:
        """See ``Fusion``."""
        chosen: Rung = self._need("chosen_")
        return chosen.weigh(experts)
