"""The experts' log-probabilities, ready for pooling: the one input of every fusion method."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import floor_log_prob, log_softmax
from pathfuse.errors import InputError
from pathfuse.types import ExpertLogProbs, Logits, Present


@dataclass(frozen=True)
class Experts:
    """What M experts predicted of n samples, and who scored what."""

    log_prob: ExpertLogProbs
    """Float64, (sample, expert, outcome); 0 where absent, floored and normalised elsewhere."""
    present: Present
    """Bool, (sample, expert); at least one True per row."""
    context: Float[np.ndarray, "sample feature"] | None = None
    """Gate features read around each sample, such as the mean over neighbouring pixels; None: from
    the sample alone."""

    @classmethod
    def from_logits(cls, logits: Logits) -> "Experts":
        """Logits or log-probabilities (NaN = absent) become floored log-probabilities.

        Raises:
            InputError: A row is partly NaN or infinite, or a sample has no expert at all.
        """
        values = np.asarray(logits, dtype=np.float64)
        if values.ndim != 3:
            raise InputError(
                f"logits need the shape (samples, experts, outcomes), not {values.shape}"
            )
        absent: np.ndarray = np.isnan(values)
        present = np.logical_not(absent.all(axis=2))
        broken = (absent.any(axis=2) & present) | np.isposinf(values).any(axis=2)
        if broken.any():
            n, m = np.argwhere(broken)[0]
            raise InputError(f"logits of sample {n}, expert {m} are partly NaN or infinite")
        if not present.any(axis=1).all():
            raise InputError(
                f"sample {int(np.flatnonzero(~present.any(axis=1))[0])} was scored by no expert"
            )
        log_prob = np.zeros_like(values)
        log_prob[present] = floor_log_prob(log_softmax(values[present]))
        return cls(log_prob, present)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(samples, experts, outcomes)."""
        n, m, k = self.log_prob.shape
        return n, m, k

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.log_prob)

    @property
    def n_columns(self) -> int:
        """Number of outcomes."""
        return self.log_prob.shape[2]

    @property
    def scored(self) -> Present:
        """Which experts scored which samples."""
        return self.present

    @property
    def can_hide(self) -> bool:
        """Not with features read around the samples: those know all experts."""
        return self.context is None

    def only(self, index: np.ndarray, shown: Present) -> "Experts":
        """Some of the samples, with all experts hidden that are not shown."""
        return Experts(np.where(shown[:, :, None], self.log_prob[index], 0.0), shown)

    @classmethod
    def joined(cls, parts: "Sequence[Experts]") -> "Experts":
        """Samples of several tables of the same experts, one after the other."""
        return cls(
            np.concatenate([p.log_prob for p in parts]), np.concatenate([p.present for p in parts])
        )

    def rows(self, index: np.ndarray) -> "Experts":
        """The same experts on some of the samples."""
        context = None if self.context is None else self.context[index]
        return Experts(self.log_prob[index], self.present[index], context)
