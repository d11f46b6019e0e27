"""Finished predictions as estimators of scikit-learn, which MAPIE asks for."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


class GivenProbabilities(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose input are its probabilities: MAPIE wants an estimator, we have
    predictions.
    """

    def __init__(self, n_outcomes: int) -> None:
        self.n_outcomes = n_outcomes
        self.classes_ = np.arange(n_outcomes)

    def fit(self, X: np.ndarray, y: np.ndarray) -> "GivenProbabilities":
        """Nothing to learn."""
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """What is given."""
        return X

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most probable outcome."""
        return X.argmax(axis=1)


class NoError(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor of standardised errors: predicts 0."""

    def __init__(self) -> None:
        self.fitted_ = True

    def fit(self, X: np.ndarray, y: np.ndarray) -> "NoError":
        """Nothing to learn."""
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """No error."""
        return np.zeros(len(X))
