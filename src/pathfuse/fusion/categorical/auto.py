"""``auto`` for distributions over outcomes."""

from collections.abc import Sequence

import numpy as np

from pathfuse.distributions.likelihood import floor_log_prob, floor_normalised
from pathfuse.fusion.auto import Council
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS
from pathfuse.fusion.categorical.classifier import LogitClassifier
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.static_product import StaticProduct, fit_static
from pathfuse.fusion.product import equal_product
from pathfuse.types import LogProbs, Observed, Params


class Auto(LogitClassifier, Council[Experts]):
    """Weighted product of the methods that vote, weighed on their held-out predictions.

        log q[n, c] = s Σ_k w[k] log q_k[n, c]  -  log Z[n],        w = softmax(b)
        (b, s) = argmin of  mean nll of held-out rows + prior + (1 / n) (|b|² + log² s)

    ``q_k[n, c]`` is method k's probability of outcome c of sample n, (sample, outcome), held out by
    inner cross-validation for the fit of ``b``, (method,), and the sharpness s > 0, and from all n
    fit rows for new samples.

    References:
        van der Laan et al. (2007), with a logarithmic pool in place of the linear one; Huang et al.
        (2026).

    Args:
        endpoint: ``survival`` adds ``hazard_product`` to the methods; the outcomes are then T bins
            and a tail.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Attributes:
        members_: The methods in the council, by name.
        council_: The static product that weighs them.
        inner_scores_: Mean held-out NLL of every method that votes.
        presence_: What absent experts change (``fusion.presence``).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(8) % 2
        >>> logits = np.random.default_rng(0).normal(size=(8, 2, 2))
        >>> logits[np.arange(8), :, y] += 1.5
        >>> model = pathfuse.Auto().fit(logits, y)
        >>> sorted(model.council_weights_)[:3]
        ['best_expert', 'logitprod', 'mean_probability']
        >>> model.certificate_.holds
        True
    """

    def __init__(
        self, endpoint: str = "multiclass", seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(endpoint, seed, n_jobs)

    @classmethod
    def product(cls) -> StaticProduct:
        """See ``Council``."""
        return StaticProduct(ridge=1.0)

    @classmethod
    def stacked(cls, predictions: Sequence[LogProbs]) -> Experts:
        """See ``Council``."""
        n, k = predictions[0].shape
        planes = np.empty((len(predictions), k, n))
        for one, predicted in zip(planes, predictions, strict=True):
            one[:] = predicted.T
        floor_normalised(planes.transpose(1, 0, 2))
        return all_present(planes.transpose(2, 0, 1))

    @classmethod
    def weigh_members(cls, held_out: Sequence[np.ndarray], truth: Observed, seed: int) -> Params:
        """See ``Council``."""
        stacked = np.stack(held_out, axis=2)
        repeats, rows, n_methods, outcomes = stacked.shape
        council = all_present(floor_log_prob(stacked.reshape(repeats * rows, n_methods, outcomes)))
        # A pull of 1/n and a prior of so many rows, with n the distinct rows and not their repeats.
        # No fallback to one method here: the council is checked as a whole, on the fit rows.
        repeated, start = np.concatenate([truth] * repeats), equal_product(n_methods)
        product = fit_static(council, repeated, float(repeats), start, PRIOR_ROWS * repeats)
        return {"bias": product.bias, "log_sharpness": np.array(product.log_sharpness)}

    @classmethod
    def alone(cls) -> Params:
        """See ``Council``."""
        return {"bias": np.zeros(1), "log_sharpness": np.array(0.0)}


def all_present(log_prob: np.ndarray) -> Experts:
    """Predictions without absent experts."""
    return Experts(log_prob, np.ones(log_prob.shape[:2], dtype=bool))
