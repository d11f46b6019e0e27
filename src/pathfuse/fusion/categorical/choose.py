"""``choose`` for distributions over outcomes."""

from pathfuse.fusion.categorical.classifier import LogitClassifier
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.choose import Choice


class Choose(LogitClassifier, Choice[Experts]):
    """The method with the lowest held-out NLL; of equals the simplest.

        q[n, c] = q_k*[n, c]        k* = argmin over k of  mean held-out nll of method k

    ``q_k[n, c]`` is method k's probability of outcome c of sample n, (sample, outcome).

    References:
        van der Laan et al. (2007): the discrete super learner.

    Args:
        endpoint: ``survival`` adds ``hazard_product`` to the methods; the outcomes are then T bins
            and a tail.
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

    def __init__(
        self, endpoint: str = "multiclass", seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(endpoint, seed, n_jobs)
