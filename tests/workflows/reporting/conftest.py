"""Small studies with columns that name groups, fused by a method that fits nothing."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.study.study import Study

N_FIT, N_TEST = 40, 60


def _columns(rng: np.random.Generator, n: int) -> dict[str, object]:
    return {
        "patient_id": [f"p{i:03d}" for i in range(n)],
        "split": ["fit"] * N_FIT + ["test"] * (n - N_FIT),
        "site": [["Bern", "Basel"][i % 2] for i in range(n)],
        "sex": [["F", "M", "F"][i % 3] for i in range(n)],
        "age": [float(a) for a in rng.integers(30, 90, n)],
        "stage": [[1, 2, 3, None][i % 4] for i in range(n)],
    }


def _study(kind: str, seed: int = 0, n: int = N_FIT + N_TEST) -> Study:
    rng = np.random.default_rng(seed)
    ids = [f"s{i:03d}" for i in range(n)]
    columns, experts = {"sample_id": ids, **_columns(rng, n)}, {}
    truth = rng.integers(2, size=n)
    edges = None
    if kind == "survival":
        edges = [0.0, 10.0, 20.0, 40.0]
        columns["time"] = (1 + rng.exponential(15, n)).round(1)
        columns["event"] = truth
    elif kind == "regression":
        value = rng.normal(size=(n, 2))
        columns |= {"target_A": value[:, 0], "target_B": 10 * value[:, 1]}
    elif kind == "multilabel":
        columns |= {"label_A": truth, "label_B": rng.integers(2, size=n)}
    else:
        columns["label"] = [["benign", "tumor"][c] for c in truth]
    for m in range(2):
        noise = rng.normal(size=(n, 3))
        if kind == "survival":
            frame = {f"hazard_logit_{k + 1}": noise[:, k] - 1 for k in range(3)}
        elif kind == "regression":
            frame = {
                "mean_A": value[:, 0] + noise[:, 0],
                "mean_B": 10 * (value[:, 1] + noise[:, 1]),
            }
        elif kind == "multilabel":
            frame = {"logit_A": noise[:, 0] + 2 * truth - 1, "logit_B": noise[:, 1]}
        else:
            frame = {"logit_benign": np.zeros(n), "logit_tumor": noise[:, 0] + 2 * truth - 1}
        expert = pl.DataFrame({"sample_id": ids, **frame})
        experts[f"expert_{m}"] = expert if m == 0 else expert.filter(pl.int_range(pl.len()) % 5 > 0)
    return pathfuse.read_study(pl.DataFrame(columns), experts, time_edges=edges)


@pytest.fixture(scope="session")
def grouped_study() -> Callable[..., Study]:
    """``grouped_study(kind, seed=0)``: 40 fit and 60 test rows, two sites, sex, age, stage."""
    return _study


@pytest.fixture(scope="module")
def fuse_quickly(quick_inner_folds: None) -> Callable[..., pathfuse.Result]:
    """``fuse_quickly(study, **options)``."""

    def fuse(study: Study, **options: object) -> pathfuse.Result:
        keywords = {"method": "uniform_product", "n_resamples": 200} | options
        return pathfuse.fuse(study, **keywords)

    return fuse


@pytest.fixture(scope="session")
def remembered() -> dict[str, tuple[Study, pathfuse.Result]]:
    """Results of the session, by kind: fits are most of what a test here costs."""
    return {}


@pytest.fixture(scope="module")
def fused_kind(
    grouped_study: Callable[..., Study],
    fuse_quickly: Callable[..., pathfuse.Result],
    remembered: dict[str, tuple[Study, pathfuse.Result]],
) -> Callable[[str], tuple[Study, pathfuse.Result]]:
    """``fused_kind(kind)``: a grouped study and its result with ``by="sex,age,stage"``.

    That of classes is fused, with intervals; the others are evaluated, without.
    """

    def of_kind(kind: str) -> tuple[Study, pathfuse.Result]:
        if kind not in remembered:
            study, by = grouped_study(kind), "sex,age,stage"
            fused = kind == "multiclass"
            result = (
                fuse_quickly(study, by=by)
                if fused
                else pathfuse.evaluate(study, by=by, n_resamples=0)
            )
            remembered[kind] = study, result
        return remembered[kind]

    return of_kind
