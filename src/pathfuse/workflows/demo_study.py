"""The demo's study: real data that ships with a dependency, cross-fitted as a lab should do it.

569 fine-needle aspirates of breast masses (Wisconsin Diagnostic Breast Cancer; Street, Wolberg &
Mangasarian 1993; scikit-learn's ``load_breast_cancer``). Five experts of different kinds, each on
features of its own.
"""

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pathfuse.files.write import write_table

MISSED_BY = "texture_svm"
"""This expert scored nine samples in ten: absence is normal."""


def _experts(names: list[str]) -> dict[str, tuple[ClassifierMixin, list[int]]]:
    def columns(*parts: str) -> list[int]:
        return [i for i, name in enumerate(names) if any(part in name for part in parts)]

    return {
        "error_neighbours": (
            make_pipeline(StandardScaler(), KNeighborsClassifier(15)),
            columns("error"),
        ),
        "mean_logistic": (
            make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
            columns("mean"),
        ),
        "shape_bayes": (
            make_pipeline(StandardScaler(), GaussianNB()),
            columns("smooth", "symm", "fractal", "concave"),
        ),
        "size_forest": (
            RandomForestClassifier(100, random_state=0),
            columns("radius", "perimeter", "area"),
        ),
        "texture_svm": (
            make_pipeline(StandardScaler(), SVC(kernel="rbf")),
            columns("texture", "compact"),
        ),
    }


def write_demo_study(folder: Path) -> tuple[Path, Path]:
    """Writes ``samples.csv`` and ``predictions/``: fit rows out of fold, test rows by experts
    refitted on all fit rows.

    Returns:
        The samples file and the folder of predictions.
    """
    data = load_breast_cancer()
    labels = np.array(data.target_names)[data.target]
    ids = np.array([f"fna{n:03d}" for n in range(len(labels))])
    fit, test = train_test_split(
        np.arange(len(labels)), test_size=0.4, stratify=labels, random_state=0
    )
    split = np.full(len(labels), "fit", dtype=object)
    split[test] = "test"
    predictions = folder / "predictions"
    predictions.mkdir(parents=True)
    samples = folder / "samples.csv"
    write_table(pl.DataFrame({"sample_id": ids, "split": split, "label": labels}), samples)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for name, (model, columns) in _experts(list(data.feature_names)).items():
        features = data.data[:, columns]
        score = "decision_function" if name == MISSED_BY else "predict_proba"
        held_out = cross_val_predict(model, features[fit], labels[fit], cv=folds, method=score)
        model.fit(features[fit], labels[fit])
        scores = np.concatenate([held_out, getattr(model, score)(features[test])])
        rows = np.concatenate([fit, test])
        if (
            score == "decision_function"
        ):  # one margin: the log-odds of the second class, up to scale
            columns_out = {"logit_benign": np.zeros(len(rows)), "logit_malignant": scores}
        else:
            columns_out = {"prob_benign": scores[:, 0], "prob_malignant": scores[:, 1]}
        frame = pl.DataFrame({"sample_id": ids[rows], **columns_out}).sort("sample_id")
        if name == MISSED_BY:
            frame = frame.filter(pl.int_range(pl.len()) % 10 != 3)
        write_table(frame, predictions / f"{name}.csv")
    return samples, predictions
