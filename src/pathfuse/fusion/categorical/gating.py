"""What the gate of LogitProd sees: 3M + 2 numbers read from the experts' distributions alone.

Source: LogitProd, arXiv 2604.07779 (confidence, margin and entropy per expert; mean entropy; mutual
information).
Two departures, both for cause: features are standardised on the fit rows, and with two outcomes the
margin is a function of the confidence and is dropped.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.costs import add_flops
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logpool import Features
from pathfuse.types import Present


def gate_features(experts: Experts) -> tuple[Features, Bool[np.ndarray, "sample feature"]]:
    """The gate's features and where they exist.

    Args:
        experts: Log-probabilities of n samples, M experts, C outcomes.

    Returns:
        Float, (sample, 3M + 2), or 2M + 2 for two outcomes: largest probability, margin to the
        second, entropy in nats, each per expert; then the mean entropy and the mutual information
        of the experts present. And a mask of the
        same shape: False where the feature belongs to an absent expert. Features that the experts
        bring along, read from around the samples, take the place of the samples' own.
    """
    log_prob, present = experts.log_prob, experts.present
    if experts.context is not None:
        n_blocks = (experts.context.shape[1] - 2) // present.shape[1]
        return experts.context, _existing(present, n_blocks)
    prob = np.exp(log_prob) * present[:, :, None]
    entropy = -(prob * log_prob).sum(axis=2)
    add_flops(
        2 * prob.size + 2 * prob[:, 0].size
    )  # the entropies: each expert's, and that of their mean
    ordered = np.sort(prob, axis=2)
    blocks = [ordered[:, :, -1], entropy]
    if log_prob.shape[2] > 2:
        blocks.insert(1, ordered[:, :, -1] - ordered[:, :, -2])
    n_present = present.sum(axis=1, keepdims=True)
    mean_entropy = entropy.sum(axis=1, keepdims=True) / n_present
    mean_prob = prob.sum(axis=1) / n_present
    pooled_entropy = -(mean_prob * np.log(np.maximum(mean_prob, 1e-12))).sum(axis=1, keepdims=True)
    features = np.concatenate([*blocks, mean_entropy, pooled_entropy - mean_entropy], axis=1)
    return features, _existing(present, len(blocks))


def _existing(present: Present, n_blocks: int) -> Bool[np.ndarray, "sample feature"]:
    """Blocks of one feature per expert, then the two of all experts together."""
    return np.concatenate([present] * n_blocks + [np.ones((len(present), 2), dtype=bool)], axis=1)


@dataclass(frozen=True)
class Standardiser:
    """Centre and scale of the gate's features on the fit rows."""

    mean: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    """1 / standard deviation; 0 for a constant feature, which drops it."""

    @classmethod
    def fit(cls, features: Features, exists: Bool[np.ndarray, "sample feature"]) -> "Standardiser":
        """Moments over the rows where a feature exists."""
        count = np.maximum(exists.sum(axis=0), 1)
        mean = np.where(exists, features, 0).sum(axis=0) / count
        sd = np.sqrt((np.where(exists, features - mean, 0) ** 2).sum(axis=0) / count)
        varies = sd > 1e-9
        return cls(mean, np.where(varies, 1 / np.where(varies, sd, 1), 0.0))

    def apply(self, features: Features, exists: Bool[np.ndarray, "sample feature"]) -> Features:
        """Standardised features; 0 where they do not exist."""
        return np.where(exists, (features - self.mean) * self.scale, 0.0)
