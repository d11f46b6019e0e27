"""The door for arrays: a fusion of class probabilities as a scikit-learn classifier."""

from typing import Any, Self

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.types import Logits, LogProbs, Observed, Weights


class LogitClassifier(Fusion[Experts]):
    """What every fusion of logits can do with arrays.

    Attributes:
        classes_: Labels in the order of the last axis of ``logits``.
    """

    family = CATEGORICAL
    classes_: np.ndarray
    shape_: tuple[int, ...]
    """Experts and outcomes."""

    def fit(self, logits: Logits, y: Any, groups: Any = None) -> Self:
        """Fits on held-out expert outputs.

        Args:
            logits: Float, (sample, expert, outcome): logits or log-probabilities of rows that the experts were **not**
                trained on. NaN where an expert did not score the sample.
            y: (sample,) class indices 0..K-1 or K distinct labels (sorted order = order of outcomes); or Bool,
                (sample, outcome), the observed sets.
            groups: (sample,) patients, of any type; default: every sample its own.

        Raises:
            InputError: Shapes disagree, a sample has no expert, or the truth does not fit the outcomes.

        Examples:
            Labels may be text; the order of outcomes is their sorted order.

            >>> import numpy as np
            >>> import pathfuse
            >>> logits = np.array([[[2.0, 0.0]], [[0.0, 1.0]]])  # two samples, one expert, two classes
            >>> model = pathfuse.UniformProduct().fit(logits, ["normal", "tumor"], groups=["p1", "p2"])
            >>> model.predict(logits).tolist()
            ['normal', 'tumor']
        """
        experts = Experts.from_logits(logits)
        observed, self.classes_ = observed_sets(y, experts.shape[2])
        self.shape_ = experts.shape[1:]
        if len(observed) != experts.n_samples:
            raise InputError(f"logits have {experts.n_samples} samples but y has {len(observed)}")
        with threadpool_limits(1):  # small matrices: threads cost time, and must not change a bit
            return self.fit_experts(experts, observed, group_numbers(groups, experts.n_samples))

    def predict_log_proba(self, logits: Logits) -> LogProbs:
        """Fused log-probabilities, Float, (sample, outcome)."""
        return self.combine(self._experts(logits))

    def predict_proba(self, logits: Logits) -> Float[np.ndarray, "sample outcome"]:
        """Fused probabilities, Float, (sample, outcome); rows sum to 1."""
        return np.exp(self.predict_log_proba(logits))

    def predict(self, logits: Logits) -> np.ndarray:
        """The most probable label of each sample."""
        return np.asarray(self.classes_[self.predict_log_proba(logits).argmax(axis=1)])

    def weights(self, logits: Logits) -> Weights:
        """Weights of the experts, Float, (sample, expert); rows sum to 1, absent experts have 0."""
        return self.weigh(self._experts(logits))

    def _experts(self, logits: Logits) -> Experts:
        experts = Experts.from_logits(logits)
        fitted = getattr(self, "shape_", experts.shape[1:])
        if experts.shape[1:] != fitted:
            given = f"{experts.shape[1]} experts and {experts.shape[2]} outcomes"
            raise InputError(f"fitted on {fitted[0]} experts and {fitted[1]} outcomes, but these logits have {given}")
        return experts


def observed_sets(y: Any, n_outcomes: int) -> tuple[Observed, np.ndarray]:
    """Labels as observed sets, and the labels in the order of outcomes.

    Raises:
        InputError: The labels do not fit the number of outcomes.
    """
    truth = np.asarray(y)
    if truth.ndim == 2 and truth.dtype == bool and truth.shape[1] == n_outcomes and truth.any(axis=1).all():
        return truth, np.arange(n_outcomes)
    if truth.ndim != 1:
        raise InputError(f"y needs one label per sample, or a boolean (samples, {n_outcomes}) array of observed sets")
    if np.issubdtype(truth.dtype, np.integer) and truth.min() >= 0 and truth.max() < n_outcomes:
        classes, index = np.arange(n_outcomes), truth
    else:
        classes, index = np.unique(truth, return_inverse=True)
    if len(classes) != n_outcomes:
        raise InputError(f"y has {len(classes)} distinct labels but logits have {n_outcomes} outcomes")
    return np.eye(n_outcomes, dtype=bool)[index], classes


def group_numbers(groups: Any, n_samples: int) -> np.ndarray:
    """Patients of any type as integers; default: every sample its own."""
    if groups is None:
        return np.arange(n_samples)
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    if len(numbers) != n_samples:
        raise InputError(f"groups has {len(numbers)} entries but there are {n_samples} samples")
    return numbers
