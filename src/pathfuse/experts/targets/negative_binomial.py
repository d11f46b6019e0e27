"""Counts that vary more than Poisson's: a negative-binomial likelihood with a dispersion per
target.
"""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.experts.targets.base import Scales
from pathfuse.experts.targets.counts import CountsTargets
from pathfuse.types import Index

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 6.0
"""Largest log-dispersion to either side: from nearly Poisson to nearly all zeros."""
HIGHEST = 15.0
"""Largest logarithm of a mean over the target's mean."""


class NegativeBinomialTargets(CountsTargets):
    """Counts with mean μ and variance μ + α μ²; outputs are logarithms of μ over the target's mean,
    then of α, which a target has once for all samples.

        -log P(y) = lgamma(r) + lgamma(y + 1) - lgamma(y + r) - r log(r / (r + μ)) - y log(μ / (r + μ))

    with r = 1 / α.
    """

    name: ClassVar[str] = "negative_binomial"
    measure: ClassVar[str] = "negative log-likelihood of a negative-binomial distribution"

    def n_shared(self, n_names: int) -> int:
        """See ``TargetKind``: a log-dispersion per target."""
        return n_names

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Mean over the known counts.

        Args:
            outputs: Float, (sample, 2 G).
            values: Float, (sample, 2 G): counts, then the target's mean in every row.
            known: Bool, (sample, G).
        """
        log_ratio, log_dispersion = outputs.chunk(2, dim=1)
        count, usual = values.chunk(2, dim=1)
        log_mean = log_ratio.clamp(max=HIGHEST) + usual.log()
        log_r = -log_dispersion.clamp(-LIMIT, LIMIT)
        r = log_r.exp()
        log_sum = (r + log_mean.exp()).log()
        each = r.lgamma() + (count + 1).lgamma() - (count + r).lgamma()
        each = each - r * (log_r - log_sum) - count * (log_mean - log_sum)
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def scale(
        self, values: np.ndarray, known: np.ndarray, rows: Index
    ) -> tuple[np.ndarray, Scales]:
        """Counts as they are, then the mean of the training rows: the likelihood needs both."""
        _, scales = super().scale(values, known, rows)
        usual = np.broadcast_to(scales["target_mean"], values.shape)
        return np.concatenate([np.where(known, values, 0.0), usual], axis=1), scales

    def scale_outputs(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``."""
        mean, sd = np.split(outputs, 2, axis=1)
        dispersion = np.maximum((sd**2 - mean) / mean**2, np.exp(-LIMIT))
        return np.concatenate([super().scale_outputs(mean, scales), np.log(dispersion)], axis=1)

    def in_own_unit(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``: means, then standard deviations."""
        log_ratio, log_dispersion = np.split(outputs, 2, axis=1)
        mean = super().in_own_unit(np.minimum(log_ratio, HIGHEST), scales)
        dispersion = np.exp(np.clip(log_dispersion, -LIMIT, LIMIT))
        return np.concatenate([mean, np.sqrt(mean + dispersion * mean**2)], axis=1)
