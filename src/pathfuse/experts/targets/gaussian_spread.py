"""Continuous targets with a spread of their own in every sample: a mean and a log-variance each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.experts.targets.base import Scales
from pathfuse.experts.targets.regression import RegressionTargets

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 12.0
"""Largest log-variance to either side, in the unit of standardised targets."""


class GaussianSpreadTargets(RegressionTargets):
    """Heteroscedastic regression: outputs are means, then log-variances, of standardised targets.

    loss = ½ mean over known targets of  (y - μ)² exp(-s) + s
    """

    name: ClassVar[str] = "gaussian_spread"
    measure: ClassVar[str] = "negative log-likelihood of a normal distribution, minus its constant"
    likelihoods: ClassVar[Mapping[str, str]] = {}

    def n_outputs(self, n_names: int) -> int:
        """See ``TargetKind``: two per target."""
        return 2 * n_names

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """See the class."""
        mean, log_variance = outputs.chunk(2, dim=1)
        log_variance = log_variance.clamp(-LIMIT, LIMIT)
        each = (values - mean) ** 2 * (-log_variance).exp() + log_variance
        return 0.5 * (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def scale_outputs(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``."""
        mean, sd = np.split(outputs, 2, axis=1)
        log_variance = 2 * np.log(sd / scales["target_sd"])
        return np.concatenate([super().scale_outputs(mean, scales), log_variance], axis=1)

    def in_own_unit(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``: means, then standard deviations."""
        mean, log_variance = np.split(outputs, 2, axis=1)
        sd = np.exp(0.5 * np.clip(log_variance, -LIMIT, LIMIT)) * scales["target_sd"]
        return np.concatenate([super().in_own_unit(mean, scales), sd], axis=1)
