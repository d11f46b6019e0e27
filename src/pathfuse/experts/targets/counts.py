"""Counts: regression with a Poisson likelihood."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.experts.targets.base import Scales
from pathfuse.experts.targets.regression import RegressionTargets, target_moments
from pathfuse.types import Index

if TYPE_CHECKING:
    from torch import Tensor


class CountsTargets(RegressionTargets):
    """Counts with a Poisson likelihood; outputs are logarithms of the mean.

    A Poisson loss of counts over their mean has the same best rate as that of the counts, and every
    target weighs the same.
    """

    name: ClassVar[str] = "poisson"
    of_counts: ClassVar[bool] = True
    likelihoods: ClassVar[Mapping[str, str]] = {}

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Mean over the known counts of the negative log-likelihood, minus its constant."""
        from torch.nn import functional

        each = functional.poisson_nll_loss(outputs, values, log_input=True, reduction="none")
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def scale(
        self, values: np.ndarray, known: np.ndarray, rows: Index
    ) -> tuple[np.ndarray, Scales]:
        """By the mean of the training rows."""
        mean, sd = target_moments(values, known, rows)
        mean = np.where(mean > 0, mean, 1.0)
        return np.where(known, values / mean, 0.0), {"target_mean": mean, "target_sd": sd}

    def scale_outputs(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``."""
        return np.asarray(np.log(outputs / scales["target_mean"]))

    def in_own_unit(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``."""
        return np.asarray(np.exp(outputs) * scales["target_mean"])
