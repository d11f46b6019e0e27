"""What the gate of LogitProd sees: 3M + 2 numbers read from the experts' distributions alone.

Source: LogitProd, arXiv 2604.07779 (confidence, margin and entropy per expert; mean entropy; mutual
information).
Two departures, both for cause: features are standardised on the fit rows, and with two outcomes the
margin is a function of the confidence and is dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import added
from pathfuse.fusion.categorical.experts import Experts, row_blocks
from pathfuse.fusion.categorical.logpool import Features
from pathfuse.types import Present


def n_gate_features(n_experts: int, n_outcomes: int) -> int:
    """How many numbers the gate sees."""
    return (2 if n_outcomes == 2 else 3) * n_experts + 2


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
    present = experts.present
    if experts.context is not None:
        n_blocks = (experts.context.shape[1] - 2) // present.shape[1]
        return experts.context, _existing(present, n_blocks)
    n, m, k = experts.shape
    # the entropies: each expert's, and that of their mean
    add_flops(2 * n * m * k + 2 * n * k)
    if "gate_features" in experts.own_notes:
        known: tuple[Features, Bool[np.ndarray, "sample feature"]] = experts.own_notes[
            "gate_features"
        ]
        return known
    n_blocks = 2 if k == 2 else 3
    features = np.empty((n_blocks * m + 2, n), dtype=experts.planes.dtype)
    for rows, block in experts.blocks():
        _write_features(block, features[:, rows])
    result = features.T, _existing(present, n_blocks)
    if n == rows.stop - rows.start:  # of a whole table too large to keep
        experts.own_notes["gate_features"] = result
    return result


def _write_features(experts: Experts, features: Float[np.ndarray, "feature sample"]) -> None:
    """The features of a block."""
    (_, m, k), prob = experts.shape, experts.prob_planes
    entropy = -added((prob * experts.planes).transpose(1, 0, 2))
    features[-2 - m : -2] = entropy
    top, second = prob[:, 0].copy(), np.zeros_like(prob[:, 0])
    for one in prob.transpose(1, 0, 2)[1:]:
        np.maximum(second, np.minimum(top, one), out=second)
        np.maximum(top, one, out=top)
    features[:m] = top
    if k > 2:
        features[m : 2 * m] = top - second
    n_present = experts.shown.sum(axis=0)
    mean_entropy = added(entropy) / n_present
    mean_prob = added(prob) / n_present
    pooled_entropy = -added(mean_prob * np.log(np.maximum(mean_prob, 1e-12)))
    features[-2], features[-1] = mean_entropy, pooled_entropy - mean_entropy


def _existing(present: Present, n_blocks: int) -> Bool[np.ndarray, "sample feature"]:
    """Blocks of one feature per expert, then the two of all experts together."""
    n, m = present.shape
    exists = np.ones((n_blocks * m + 2, n), dtype=bool)
    exists[: n_blocks * m].reshape(n_blocks, m, n)[:] = present.T
    return exists.T


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
        lanes, there = features.T, exists.T

        def summed(of_rows: Callable[[slice], np.ndarray]) -> Float[np.ndarray, " feature"]:
            parts = row_blocks(len(features), len(lanes)) if compact else [slice(None)]
            return np.asarray(sum(of_rows(rows).sum(axis=1) for rows in parts))

        compact = features.dtype == np.float32
        mean = summed(lambda rows: np.where(there[:, rows], lanes[:, rows], 0.0)) / count
        centre = mean[:, None]
        squares = summed(lambda rows: np.where(there[:, rows], lanes[:, rows] - centre, 0.0) ** 2)
        sd = np.sqrt(squares / count)
        varies = sd > 1e-9
        return cls(mean, np.where(varies, 1 / np.where(varies, sd, 1), 0.0))

    def as_read_by(
        self, gate: Float[np.ndarray, "expert feature"], other: "Standardiser"
    ) -> tuple[Float[np.ndarray, "expert feature"], Float[np.ndarray, " expert"]]:
        """A gate on features that another standardised, as gate and bias on these."""
        own = np.where(self.scale > 0, self.scale, 1.0)
        ratio = np.where(self.scale > 0, other.scale / own, 0.0)
        return gate * ratio, gate @ ((self.mean - other.mean) * other.scale)

    def apply(self, features: Features, exists: Bool[np.ndarray, "sample feature"]) -> Features:
        """Standardised features; 0 where they do not exist."""
        if features.dtype == np.float32:  # of a large table that is fitted: nobody else reads it
            for rows in row_blocks(len(features), features.shape[1]):
                features[rows] = self.apply(features[rows].astype(np.float64), exists[rows])
            return features
        scaled = features - self.mean
        scaled *= self.scale
        scaled[~exists] = 0.0
        return scaled
