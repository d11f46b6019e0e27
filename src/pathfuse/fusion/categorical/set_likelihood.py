"""The likelihood that every fit of classes and bins goes down: of softmax scores, over observed
sets.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.types import Observed

ByOutcome = Float[np.ndarray, "outcome sample"]


@dataclass(frozen=True)
class SetLikelihood:
    """Mean NLL of ``softmax(scores)`` over observed sets, with its gradient.

    Samples lie along the last axis: with few outcomes and many samples every operation runs along
    memory.
    """

    observed: Float[np.ndarray, "outcome sample"]
    """1 where the truth allows the outcome, 0 elsewhere; a share in between where it says only
    that."""
    anchor: Float[np.ndarray, "outcome sample"] | None = None
    """Probabilities that pseudo-observations are drawn from (``fusion.categorical.anchor``); None:
    there are none."""
    pull: float = 0.0
    """How many pseudo-observations there are per row."""
    target: Float[np.ndarray, "outcome sample"] | None = None
    """Where every truth is one outcome: the rows and their pseudo-observations together, which is
    all that value and gradient need."""

    @classmethod
    def of(
        cls,
        observed: Observed,
        anchor: ByOutcome | None = None,
        pull: float = 0.0,
        *,
        as_given: bool = False,
    ) -> "SetLikelihood":
        """From observed sets with samples along the first axis.

        Args:
            observed: The sets.
            anchor: See above.
            pull: See above.
            as_given: Keep the sets as they are, truth values in a byte.
        """
        if as_given:
            return cls(observed.T, anchor, pull)
        sets = np.ascontiguousarray(observed.T, dtype=np.float64)
        if not ((sets == 1).sum(axis=0) == 1).all() or sets.sum() != sets.shape[1]:
            return cls(sets, anchor, pull)
        return cls(sets, anchor, pull, sets if anchor is None else sets + pull * anchor)

    def __call__(
        self, scores: Float[np.ndarray, "outcome sample"]
    ) -> tuple[float, Float[np.ndarray, "outcome sample"]]:
        """Mean NLL, and n times its gradient: ``q - q(. | observed)`` for each sample."""
        if self.target is not None:
            return self._of_one_outcome(scores, self.target)
        value, slope, log_prob = self._fit(scores)
        if self.anchor is None:
            return value, slope
        value -= self.pull * float((self.anchor * log_prob).sum()) / scores.shape[1]
        return value, slope + self.pull * (np.exp(log_prob) - self.anchor)

    def _of_one_outcome(self, scores: ByOutcome, target: ByOutcome) -> tuple[float, ByOutcome]:
        """The same where every truth is one outcome: a cross-entropy, with one exponential."""
        mass = 1.0 if self.anchor is None else 1.0 + self.pull  # of each row of the target
        shifted = scores - scores.max(axis=0)
        value = -float(np.einsum("kn,kn->", target, shifted))
        slope = np.exp(shifted, out=shifted)
        total = slope.sum(axis=0)
        value += mass * float(np.log(total).sum())
        slope *= mass / total
        slope -= target
        return value / scores.shape[1], slope

    def _fit(self, scores: ByOutcome) -> tuple[float, ByOutcome, ByOutcome]:
        """Mean NLL of the rows, n times its gradient, and the log-probabilities."""
        shifted = scores - scores.max(axis=0)
        powers = np.exp(shifted)
        total = powers.sum(axis=0)
        conditional = powers * self.observed
        mass = conditional.sum(axis=0)
        if not mass.min() > 0:  # the observed outcomes lie hundreds of nats below the largest
            with np.errstate(divide="ignore"):
                allowed = shifted + np.log(self.observed.astype(np.float64))
            peak = allowed.max(axis=0)
            conditional = np.exp(allowed - peak)
            share = conditional.sum(axis=0)
            value = float((np.log(total) - peak - np.log(share)).mean())
            return value, powers / total - conditional / share, shifted - np.log(total)
        value = float((np.log(total) - np.log(mass)).mean())
        return value, powers / total - conditional / mass, shifted - np.log(total)
