"""scikit-learn's usual models on a table of features, as a user would call them.

None is tuned but the strength of the linear one, which inner cross-validation chooses.
"""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

INNER = 3
"""Folds whose held-out rows tell a regression's standard deviation."""


def classifiers() -> dict[str, Any]:
    """Models of classes, by name."""
    logistic = LogisticRegressionCV(Cs=np.logspace(-4, 1, 6), cv=5, scoring="neg_log_loss")
    return {
        "logistic regression": _scaled(logistic.set_params(max_iter=3000)),
        "random forest": RandomForestClassifier(500, random_state=0),
        "extra trees": ExtraTreesClassifier(500, random_state=0),
        "boosting": HistGradientBoostingClassifier(random_state=0),
        "support vectors": _scaled(SVC(probability=True, random_state=0)),
    }


def regressors() -> dict[str, Any]:
    """Models of numbers, by name; one model per target, of forests one for all."""
    return {
        "ridge": _scaled(RidgeCV(alphas=np.logspace(-1, 5, 13), alpha_per_target=True)),
        "random forest": RandomForestRegressor(100, max_features=1 / 3, random_state=0),
        "extra trees": ExtraTreesRegressor(100, max_features=1 / 3, random_state=0),
        "boosting": MultiOutputRegressor(HistGradientBoostingRegressor(random_state=0)),
        "support vectors": _scaled(MultiOutputRegressor(SVR())),
    }


def rivals(of_numbers: bool) -> dict[str, Any]:
    """The models of numbers or of classes, with blanks filled by the mean of the fit rows."""
    models = regressors() if of_numbers else classifiers()
    return {name: make_pipeline(SimpleImputer(), model) for name, model in models.items()}


def class_probability(model: Any, fit: np.ndarray, label: np.ndarray, test: np.ndarray) -> Any:
    """Probabilities of the test rows, (row, class).

    Args:
        model: Of ``rivals``.
        fit: Features of the fit rows.
        label: Their classes.
        test: Features of the test rows.
    """
    return model.fit(fit, label).predict_proba(test)


def moments(
    model: Any, fit: np.ndarray, values: np.ndarray, groups: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the test rows, (row, target), and each target's standard deviation.

    The latter is the root mean squared error of inner folds, which keep groups whole.
    """
    inner = cross_val_predict(clone(model), fit, values, groups=groups, cv=GroupKFold(INNER))
    sd = np.sqrt(((inner - values) ** 2).mean(axis=0))
    return np.asarray(model.fit(fit, values).predict(test)), sd


def _scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)
