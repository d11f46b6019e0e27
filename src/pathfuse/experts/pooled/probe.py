"""The linear probe: logistic or ridge regression on the mean of a bag's tiles, strength by inner
cross-validation.

With principal components before it, it is ``pca_ridge``, the reference of every fusion of features.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops, pca_flops
from pathfuse.experts.targets.linear import Table
from pathfuse.experts.targets.table import Targets
from pathfuse.types import Index

STRENGTHS = tuple(10.0**k for k in range(-4, 2))
"""Candidates of C for standardised features; ridge takes 1 / C."""
N_FOLDS, REPEATS, FEW = 5, 3, 500
"""Inner folds, how often they are drawn anew, and below how many units."""


def fit_reduced(
    table: Table, rows: Index, targets: Targets, groups: np.ndarray, seed: int, components: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """``fit_probe`` on principal components, given back in the features' own coordinates.

    The components see all training rows, also those that the inner folds hold out, but no truth.
    """
    from sklearn.decomposition import PCA  # prediction does without

    pca = PCA(min(components, len(table) - 1, table.shape[1]), random_state=seed).fit(table)
    add_flops(pca_flops(table.shape, pca.n_components_))
    coefficients, intercepts, chosen = fit_probe(pca.transform(table), rows, targets, groups, seed)
    back = pca.components_.T @ coefficients
    return back, intercepts - pca.mean_ @ back, chosen


def fit_probe(
    table: Table,
    rows: Index,
    targets: Targets,
    groups: np.ndarray,
    seed: int,
    *,
    tolerance: float = 1.0,
    strengths: Sequence[float] | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Fits one linear model per output.

    Which one says ``TargetKind.fit_linear``.

    Args:
        table: Standardised features of the units.
        rows: Sample of each unit.
        targets: The truth of all samples.
        groups: Patient of each unit; inner folds keep patients whole.
        seed: Of the inner folds.
        tolerance: Standard errors of the held-out loss that a stronger penalty may be worse by and
            still be chosen.
        strengths: Candidates of C, ascending, ``STRENGTHS`` by default; with too few patients for
            inner folds the one after a third of them is taken.

    Returns:
        Coefficients (dim, output), intercepts (output,), and the chosen C.
    """
    table, back = _rotated(table)
    strengths = strengths or STRENGTHS
    if len(np.unique(groups)) < 2 * N_FOLDS:
        strengths = (strengths[len(strengths) // 3],)
    loss = np.zeros((len(strengths), len(rows)))
    names, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    repeats = REPEATS if len(rows) < FEW else 1
    for _ in range(repeats if len(strengths) > 1 else 0):
        fold = rng.permutation(np.arange(len(names)) % N_FOLDS)[member]
        for k in range(N_FOLDS):
            inside = fold != k
            for i, strength in enumerate(strengths):
                coefficients, intercepts = _fit(table[inside], rows[inside], targets, strength)
                loss[i, ~inside] += loss_of(
                    table[~inside] @ coefficients + intercepts, targets, rows[~inside]
                )
    chosen = strengths[_simplest(loss / repeats, tolerance)]
    coefficients, intercepts = _fit(table, rows, targets, chosen)
    return back @ coefficients if back is not None else coefficients, intercepts, chosen


def _rotated(table: Table) -> tuple[Table, Float[np.ndarray, "dim axis"] | None]:
    """Units in the axes of their own span, where these are fewer than the features.

    A ridge penalty does not see a rotation, so that every fit is the same and costs far less.
    """
    if table.shape[1] <= len(table):
        return table, None
    left, size, axes = np.linalg.svd(table, full_matrices=False)
    return left * size, axes.T


def held_out_error(
    table: Table,
    rows: Index,
    targets: Targets,
    groups: np.ndarray,
    seed: int,
    strength: float,
    components: int | None,
) -> Float[np.ndarray, " target"]:
    """Root mean squared error of each regression target on units whose patient was left out of the
    fit.

    Args:
        table: Standardised features of the units.
        rows: Sample of each unit.
        targets: The truth of all samples.
        groups: Patient of each unit.
        seed: Of the folds.
        strength: C, as chosen on all units.
        components: Principal components before the fit, found without the units left out; None:
            none.

    Returns:
        NaN for a target that is nowhere known, and of one patient alone.
    """
    names, member = np.unique(groups, return_inverse=True)
    n_folds = min(N_FOLDS, len(names))
    fold = np.random.default_rng(seed).permutation(np.arange(len(names)) % n_folds)[member]
    square, count = np.zeros(targets.n_outputs), np.zeros(targets.n_outputs)
    for k in range(n_folds if n_folds > 1 else 0):
        inside, basis, mean = fold != k, None, np.zeros(table.shape[1])
        part = table[inside]
        if components is not None:
            from sklearn.decomposition import PCA

            pca = PCA(
                max(1, min(components, len(part) - 1, table.shape[1])), random_state=seed
            ).fit(part)
            add_flops(pca_flops(part.shape, pca.n_components_))
            basis, mean = pca.components_.T, pca.mean_
        seen, unseen = part - mean, table[~inside] - mean
        if basis is not None:
            seen, unseen = seen @ basis, unseen @ basis
        coefficients, intercepts = _fit(seen, rows[inside], targets, strength)
        known = targets.known[rows[~inside]]
        error = (unseen @ coefficients + intercepts - targets.values[rows[~inside]]) * known
        square, count = square + (error**2).sum(axis=0), count + known.sum(axis=0)
    return np.asarray(np.where(count > 0, np.sqrt(square / np.maximum(count, 1)), np.nan))


def _simplest(loss: Float[np.ndarray, "strength unit"], tolerance: float) -> int:
    """The strongest penalty whose held-out loss is within some standard errors of the best
    (strengths ascend).

    Few units make the best one a matter of luck, and a weak penalty costs far more than a strong
    one.
    """
    best = int(loss.mean(axis=1).argmin())
    excess = loss - loss[best]
    error = excess.std(axis=1) / np.sqrt(loss.shape[1])
    return int(np.argmax(excess.mean(axis=1) <= tolerance * error))


def _fit(
    table: Table, rows: Index, targets: Targets, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    return targets.way.fit_linear(table, targets.values[rows], targets.known[rows], strength)


def loss_of(outputs: np.ndarray, targets: Targets, rows: Index) -> Float[np.ndarray, " unit"]:
    """Loss of each unit, the one that training minimises too."""
    import torch

    values, known = (torch.from_numpy(part[rows]) for part in (targets.values, targets.known))
    return np.asarray(targets.way.loss(torch.from_numpy(outputs), values, known).numpy())
