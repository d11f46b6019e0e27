"""Pooled heads against scikit-learn's usual models on the same features and folds.

Bag sets (minimum, mean, maximum and standard deviation of the tiles), and of 400 rows each, which
keeps every set below three minutes of one core: texture features of colorectal tiles (``kather``,
eight classes), colour, texture and random convolutions of lung tiles (``lc25000_lung``, folds by
group), colour and texture of spots (``her2st``, expression of two genes, folds by block of 4 x 4
neighbours). Five stratified folds, one seed. Rivals are ``pooled_rivals``; nothing of them is
tuned, and nothing of ours is either.

The product needs no fit: equal weights, of Gaussians the precision-weighted mean.
``less_best_rival`` is against the best rival of each figure, found with hindsight. Regression: NLL
of normal distributions with one standard deviation per target, Pearson over the spots of a fold,
mean over genes.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.feature_fusion import on_one_core
from benchmarks.pooled_rivals import class_probability, moments, rivals
from benchmarks.pooled_sets import PooledSet, pooled_sets
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.experts.fit import scaled_targets
from pathfuse.experts.pooled.base import PooledUnits
from pathfuse.experts.pooled.make import make_model
from pathfuse.experts.pooled.statistics import standard_of
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, equal_share, pool
from pathfuse.fusion.gaussian.experts import nll as gaussian_nll

HEADS = ("pooled_linear", "pooled_kernel", "pooled_forest")
PRODUCT = "product of the three"
FLOOR = 1e-4
"""Probabilities of all methods are kept this far from 0 and 1."""
Row = dict[str, object]
Fold = tuple[np.ndarray, np.ndarray]
Prediction = np.ndarray
"""Log-probabilities (row, class), or means and then variances (row, 2 x target)."""


@on_one_core
def pooled_heads() -> list[Row]:
    """AUROC or Pearson, NLL and CPU seconds of a fit, per set and method."""
    with tempfile.TemporaryDirectory() as folder:
        found = [row for given in pooled_sets(Path(folder)) for row in of_set(given)]
    return found or [{"set": "not run: no public data next to the repository"}]


def of_set(given: PooledSet) -> list[Row]:
    """Every method on one set."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for fold in given.folds():
        start, ours = time.process_time(), dict[str, Prediction]()
        for head in HEADS:
            ours[head] = _own(head, given, fold)
            found.setdefault(head, []).append(_figures(given, fold, ours[head], start))
            start = time.process_time()
        for rival in rivals(given.of_numbers):
            start = time.process_time()
            predicted = _rival(rival, given, fold)
            found.setdefault(rival, []).append(_figures(given, fold, predicted, start))
        start = time.process_time()
        found.setdefault(PRODUCT, []).append(_figures(given, fold, _product(given, ours), start))
    return _rows(given, {method: np.mean(rows, axis=0) for method, rows in found.items()})


def _rows(given: PooledSet, means: Mapping[str, np.ndarray]) -> list[Row]:
    figure = "pearson" if given.of_numbers else "auroc"
    of_rivals = [means[rival] for rival in rivals(given.of_numbers)]
    best, best_nll = max(r[0] for r in of_rivals), min(r[1] for r in of_rivals)
    return [
        {
            "set": given.name,
            "method": method,
            "auroc": None if given.of_numbers else float(high),
            "pearson": float(high) if given.of_numbers else None,
            "nll": float(nll),
            "cpu_seconds": float(seconds),
            "auroc_less_best_rival": float(high - best) if figure == "auroc" else None,
            "pearson_less_best_rival": float(high - best) if figure == "pearson" else None,
            "nll_to_best_rival": float(nll / best_nll),
        }
        for method, (high, nll, seconds) in means.items()
    ]


def _figures(
    given: PooledSet, fold: Fold, predicted: Prediction, start: float
) -> tuple[float, float, float]:
    """AUROC or Pearson, NLL, and seconds since the start."""
    seconds, test = time.process_time() - start, fold[1]
    if given.of_numbers:
        truth, one = given.targets.values[test], _gaussian(predicted)
        pearson = [np.corrcoef(one.mean[:, k], truth[:, k])[0, 1] for k in range(truth.shape[1])]
        return float(np.mean(pearson)), float(gaussian_nll(one, truth).mean()), seconds
    label, prob = given.label[test], np.exp(predicted)
    two = prob.shape[1] == 2
    auroc = roc_auc_score(label, prob[:, 1] if two else prob, multi_class="ovr")
    return float(auroc), float(-predicted[np.arange(len(test)), label].mean()), seconds


def _own(head: str, given: PooledSet, fold: Fold) -> Prediction:
    """What a head says of the rows that were left out."""
    recipe = TrainingRecipe.of(head)
    model, (fit, test) = make_model(recipe.facts), fold
    standard = standard_of(given.table[fit], recipe.clip)
    targets, scales = scaled_targets(given.targets, fit, recipe.likelihood)
    units = PooledUnits(standard.apply(given.table[fit]), fit, targets, given.groups[fit], 0)
    found = model.fit(units, recipe)
    raw = model.predict(standard.apply(given.table[test]), found.weights, units.way)
    if found.error is None:
        return _floored(log_softmax(raw))
    return _with_sd(units.way.in_own_unit(raw, scales), found.error * scales["target_sd"])


def _rival(name: str, given: PooledSet, fold: Fold) -> Prediction:
    model, (fit, test), table = rivals(given.of_numbers)[name], fold, given.table
    if given.of_numbers:
        values = given.targets.values[fit]
        return _with_sd(*moments(model, table[fit], values, given.groups[fit], table[test]))
    prob = class_probability(model, table[fit], given.label[fit], table[test])
    return _floored(np.log(np.maximum(prob, FLOOR)))


def _product(given: PooledSet, ours: Mapping[str, Prediction]) -> Prediction:
    """Equal weights."""
    if given.of_numbers:
        experts = _experts(ours)
        return pool(experts, equal_share(experts)).flat()
    return log_softmax(np.mean([ours[head] for head in HEADS], axis=0))


def _stacked(predicted: Mapping[str, Prediction]) -> np.ndarray:
    return np.stack([predicted[head] for head in HEADS], axis=1)


def _experts(predicted: Mapping[str, Prediction]) -> GaussianExperts:
    return GaussianExperts(*np.split(_stacked(predicted), 2, axis=2))


def _gaussian(predicted: Prediction) -> Gaussian:
    return Gaussian(*np.split(predicted, 2, axis=1))


def _with_sd(mean: np.ndarray, sd: np.ndarray) -> Prediction:
    return np.hstack([mean, np.broadcast_to(sd**2, mean.shape)])


def _floored(log_prob: np.ndarray) -> Prediction:
    """Log-probabilities kept away from 0 and 1."""
    prob = np.clip(np.exp(log_prob), FLOOR, 1 - FLOOR)
    return np.asarray(np.log(prob / prob.sum(axis=1, keepdims=True)))
