"""``choose`` for continuous targets."""

from pathfuse.fusion.choose import Choice
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.gaussian.family import GAUSSIAN


class GaussianChoose(Choice[GaussianExperts]):
    """The method with the lowest held-out NLL; of equals the simplest.

    Args:
        endpoint: Whose methods are tried.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).
    """

    family = GAUSSIAN

    def __init__(
        self, endpoint: str = "regression", seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(endpoint, seed, n_jobs)
