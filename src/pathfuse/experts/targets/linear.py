"""Linear models of scikit-learn: ridge regression, and logistic regressions of classes or of yes
and no.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops, solve_flops
from pathfuse.experts.targets.base import Linear

Table = Float[np.ndarray, "unit dim"]


def fit_each(
    table: Table, outcomes: Sequence[tuple[np.ndarray, np.ndarray]], strength: float
) -> Linear:
    """One logistic regression per output.

    Args:
        table: Standardised features.
        outcomes: Per output the units that take part, Bool (unit,), and their truth, 0 or 1 (unit,).
        strength: C.
    """
    coefficients, intercepts = np.zeros((table.shape[1], len(outcomes))), np.zeros(len(outcomes))
    for k, (inside, truth) in enumerate(outcomes):
        coefficients[:, k], intercepts[k] = _yes_or_no(table[inside], truth[inside], strength)
    return coefficients, intercepts


def fit_ridge(table: Table, values: np.ndarray, known: np.ndarray, strength: float) -> Linear:
    """Ridge regressions; targets that are known of the same units share one decomposition."""
    from sklearn.linear_model import Ridge  # prediction does without

    coefficients, intercepts = (
        np.zeros((table.shape[1], values.shape[1])),
        np.zeros(values.shape[1]),
    )
    patterns, member = np.unique(known, axis=1, return_inverse=True)
    for number, inside in enumerate(patterns.T):
        if inside.any():
            alike = np.flatnonzero(member.ravel() == number)
            ridge = Ridge(alpha=1 / strength).fit(table[inside], values[np.ix_(inside, alike)])
            rows, small = int(inside.sum()), min(table.shape)
            add_flops(
                2 * rows * table.shape[1] * (small + len(alike)) + solve_flops(small, len(alike))
            )
            coefficients[:, alike], intercepts[alike] = (
                np.atleast_2d(ridge.coef_).T,
                ridge.intercept_,
            )
    return coefficients, intercepts


def fit_classes(table: Table, label: np.ndarray, n: int, strength: float) -> Linear:
    """Multinomial logistic regression; a class that no unit has gets an intercept of -10.

    Args:
        table: Standardised features.
        label: Int, (unit,), class of each unit.
        n: How many classes there are.
        strength: C.
    """
    seen = np.unique(label)
    coefficients, intercepts = np.zeros((table.shape[1], n)), np.full(n, -10.0)
    if n == 2:
        slope, start = _yes_or_no(table, (label == 1).astype(float), strength)
        return np.stack([-slope / 2, slope / 2], axis=1), np.array([-start / 2, start / 2])
    if len(seen) == 1:
        intercepts[seen] = 0.0
        return coefficients, intercepts
    from sklearn.linear_model import LogisticRegression  # prediction does without

    model = LogisticRegression(C=strength, max_iter=2000).fit(table, label)
    add_flops(4 * table.size * len(seen) * int(model.n_iter_.max()))  # loss and gradient
    if len(seen) == 2:
        coefficients[:, seen] = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2], axis=1)
        intercepts[seen] = [-model.intercept_[0] / 2, model.intercept_[0] / 2]
        return coefficients, intercepts
    coefficients[:, seen], intercepts[seen] = model.coef_.T, model.intercept_
    return coefficients, intercepts


def _yes_or_no(table: Table, truth: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Slope and intercept of one logistic regression.

    Of one outcome only, the log-odds of one in n + 2.
    """
    n, hits = len(truth), float(truth.sum())
    if hits in (0.0, float(n)):
        return np.zeros(table.shape[1]), float(np.log((hits + 1) / (n - hits + 1)))
    from sklearn.linear_model import LogisticRegression  # prediction does without

    model = LogisticRegression(C=strength, max_iter=2000).fit(table, truth.astype(int))
    add_flops(4 * table.size * int(model.n_iter_.max()))
    return model.coef_[0], float(model.intercept_[0])
