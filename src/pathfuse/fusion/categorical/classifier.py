"""The door for arrays: a fusion of class probabilities as a scikit-learn classifier."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float

from pathfuse.errors import InputError
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.types import Logits, LogProbs, Observed, Weights

if TYPE_CHECKING:
    from sklearn.utils import Tags


class LogitClassifier(Fusion[Experts]):
    """What every fusion of logits can do with arrays: a classifier of scikit-learn whose input has
    three axes.

    It is recognised as a classifier, so that ``cross_val_score(..., cv=3)`` is stratified, and its
    tags say that input has three axes and may hold NaN. ``score`` is the accuracy.

    Attributes:
        classes_: Labels in the order of the last axis of ``logits``.
    """

    family = CATEGORICAL
    classes_: np.ndarray
    n_features_in_: int
    """Experts: the second axis, as scikit-learn counts features."""
    shape_: tuple[int, ...]
    """Experts and outcomes."""

    def __sklearn_tags__(self) -> "Tags":
        """A classifier whose input (sample, expert, outcome) may hold NaN."""
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        tags.target_tags.required = True
        tags.input_tags = replace(
            tags.input_tags, two_d_array=False, three_d_array=True, allow_nan=True
        )
        return tags

    def fit(self, logits: Logits, y: Any, groups: Any = None) -> Self:
        """Fits on held-out expert outputs.

        Args:
            logits: Float, (sample, expert, outcome): logits or log-probabilities of rows that the
                experts were **not** trained on. NaN where an expert did not score the sample.
            y: (sample,) class indices 0..K-1 or K distinct labels (sorted order = order of
                outcomes); or Bool, (sample, outcome), the observed sets.
            groups: (sample,) patients, of any type; default: every sample its own.

        Raises:
            InputError: Shapes disagree, a sample has no expert, or the truth does not fit the
                outcomes.

        Examples:
            Labels may be text; the order of outcomes is their sorted order.

            >>> import numpy as np
            >>> import pathfuse
            >>> logits = np.array([[[2.0, 0.0]], [[0.0, 1.0]]])  # two samples, one expert, two classes
            >>> model = pathfuse.UniformProduct().fit(logits, ["normal", "tumor"], groups=["p1", "p2"])
            >>> model.predict(logits).tolist()
            ['normal', 'tumor']
        """
        from threadpoolctl import threadpool_limits  # not at the top: predict does without

        experts = Experts.from_logits(numbers(logits), compact=True)
        observed, self.classes_ = observed_sets(targets(self, y), experts.shape[2])
        self.shape_, self.n_features_in_ = experts.shape[1:], experts.shape[1]
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
        outcome = self.predict_log_proba(logits).argmax(axis=1)
        return np.asarray(self.classes_[outcome])

    def score(self, logits: Logits, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: how many samples have the right label, or an outcome inside their observed set.

        Args:
            logits: As in ``fit``.
            y: As in ``fit``.
            sample_weight: Float, (sample,); default: equal.
        """
        truth = np.asarray(y)
        if truth.ndim != 2:
            from sklearn.metrics import accuracy_score

            return float(accuracy_score(truth, self.predict(logits), sample_weight=sample_weight))
        outcome = self.predict_log_proba(logits).argmax(axis=1)
        return float(np.average(truth[np.arange(len(truth)), outcome], weights=sample_weight))

    def weights(self, logits: Logits) -> Weights:
        """Weights of the experts, Float, (sample, expert); rows sum to 1, absent experts have 0."""
        return self.weigh(self._experts(logits))

    def _experts(self, logits: Logits) -> Experts:
        self._need("certificate_")
        experts = Experts.from_logits(numbers(logits))
        fitted = getattr(self, "shape_", experts.shape[1:])
        if experts.shape[1:] != fitted:
            given = f"{experts.shape[1]} experts and {experts.shape[2]} outcomes"
            raise InputError(
                f"fitted on {fitted[0]} experts and {fitted[1]} outcomes, but these logits have {given}"
            )
        return experts


def numbers(logits: Any) -> np.ndarray:
    """Logits as an array of floats.

    Raises:
        InputError: They are sparse, complex, or no numbers.
    """
    from sklearn.utils import check_array  # not at the top: predict does without

    try:
        return np.asarray(
            check_array(
                logits,
                dtype=(np.float64, np.float32),  # anything else becomes the first
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=False,
            )
        )
    except TypeError as error:  # scikit-learn's sentence
        raise InputError(str(error)) from error


def targets(classifier: Any, y: Any) -> np.ndarray:
    """Labels, or observed sets, as an array.

    Raises:
        InputError: There are none, or they are blank, infinite or continuous.
    """
    from sklearn.utils import column_or_1d  # not at the top: predict does without
    from sklearn.utils.multiclass import (
        check_classification_targets,
    )  # not at the top: predict does without

    if y is None:
        raise InputError(
            f"{type(classifier).__name__} requires y to be passed, but the target y is None"
        )
    truth = np.asarray(y)
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = column_or_1d(truth, warn=True)
    if np.issubdtype(truth.dtype, np.floating) and not np.isfinite(truth).all():
        raise InputError("Input y contains NaN or infinity; every sample needs a label")
    if truth.ndim == 1:
        check_classification_targets(truth)
    return truth


def observed_sets(y: Any, n_outcomes: int) -> tuple[Observed, np.ndarray]:
    """Labels as observed sets, and the labels in the order of outcomes.

    Raises:
        InputError: The labels do not fit the number of outcomes.
    """
    truth = np.asarray(y)
    if (
        truth.ndim == 2
        and truth.dtype == bool
        and truth.shape[1] == n_outcomes
        and truth.any(axis=1).all()
    ):
        return truth, np.arange(n_outcomes)
    if truth.ndim != 1:
        raise InputError(
            f"y needs one label per sample, or a boolean (samples, {n_outcomes}) array of observed sets"
        )
    if np.issubdtype(truth.dtype, np.integer) and truth.min() >= 0 and truth.max() < n_outcomes:
        classes, index = np.arange(n_outcomes), truth
    else:
        classes, index = np.unique(truth, return_inverse=True)
    if len(classes) != n_outcomes:
        raise InputError(
            f"y has {len(classes)} distinct labels but logits have {n_outcomes} outcomes"
        )
    return np.eye(n_outcomes, dtype=bool)[index], classes


def group_numbers(groups: Any, n_samples: int) -> np.ndarray:
    """Patients of any type as integers; default: every sample its own."""
    if groups is None:
        return np.arange(n_samples)
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    if len(numbers) != n_samples:
        raise InputError(f"groups has {len(numbers)} entries but there are {n_samples} samples")
    return numbers
