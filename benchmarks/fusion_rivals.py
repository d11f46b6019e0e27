"""pathfuse's fusions beside what others would do with the same predictions, in one run: on every
ready study of classes, labels and survival, and on simulated experts of growing size.

Everything is fitted on the fit rows and judged on the test rows. CPU seconds of the fit on one
thread; of simulated experts also ``mb``, the largest memory that numpy held during a second fit
beyond the experts themselves (not of the published recipe, whose tensors are torch's).
Figures of several labels are means over labels. Regression has rivals of its own (``fuse_time``,
``her2st``), and is not in these tables.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import pathfuse
from benchmarks.feature_fusion import Row
from benchmarks.rivals import OF_CLASSES, OF_SETS, Predict, Rival
from benchmarks.simulate import region_experts
from pathfuse.distributions.likelihood import set_nll
from pathfuse.evaluation.metrics.classification import macro_auroc
from pathfuse.evaluation.metrics.survival import SurvivalTruth, concordance, harrell_pairs
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.published_objective import risk_of
from pathfuse.study.study import Study
from pathfuse.workflows.steps.outer import scored_parts

STUDIES = Path(__file__).parents[2] / "shared" / "data" / "studies"
SEED, N_TEST = 0, 2000
SIZES = {
    "N": [(n, 6, 9) for n in (1000, 10_000, 100_000, 1_000_000)],
    "M": [(1000, m, 3) for m in (3, 6, 12, 24)],
    "K": [(1000, 6, k) for k in (2, 4, 8, 16)],
}
"""Samples, experts and classes, by what grows."""
TRACED = 10_000
"""Fit rows above which memory is not traced, which takes as long again."""
FIRST = "pathfuse auto"
"""Ratios are to this method."""
PUBLISHED = "published recipe"
RECIPES = {"survival": "survival", "multilabel": "mutation"}
"""The published recipe of an endpoint, where it is not that of classes."""
LARGEST = {PUBLISHED: 1000, "greedy selection": 100_000, "LogisticRegressionCV": 10_000}
"""Fit rows above which a method is not run: it would take hours."""


@dataclass(frozen=True)
class Problem:
    """One fusion: the experts and the truth of both parts."""

    endpoint: str
    fit: Experts
    observed: np.ndarray
    groups: np.ndarray
    judged: Experts
    unseen: np.ndarray
    discrimination: Callable[[np.ndarray], float]


def study_rivals() -> list[Row]:
    """A row per study and method."""
    rows: list[Row] = []
    for folder in sorted(path for path in STUDIES.iterdir() if (path / "samples.csv").exists()):
        study = _read(folder)
        if not study.endpoint.of_numbers:
            rows += _compared(folder.name, list(_problems(study)), study.endpoint.in_time)
    return rows


def growth() -> list[Row]:
    """A row per size and method, on simulated experts."""
    rows: list[Row] = []
    for what, sizes in SIZES.items():
        for n, m, k in sizes:
            logits, y = region_experts(n + N_TEST, m, k, SEED)
            experts, observed = Experts.from_logits(logits), np.eye(k, dtype=bool)[y]
            fit, test = np.arange(n), np.arange(n, n + N_TEST)
            auroc = partial(_auroc, truth=y[test])
            one = Problem(
                "multiclass", experts.rows(fit), observed[fit], fit,
                experts.rows(test), observed[test], auroc,
            )  # fmt: skip
            grown = {"N": n, "M": m, "K": k}[what]
            found = _compared(f"{what} = {grown}", [one], False)
            for row in found:
                rival = _methods("multiclass", False)[str(row["method"])]
                untraced = row["method"] == PUBLISHED or n > TRACED
                traced = None if untraced else _most_mb(rival, one)
                rows.append({"n": n, "m": m, "k": k, **row, "mb": traced})
    return rows


def _read(folder: Path) -> Study:
    maps = {path.stem.removeprefix("label_map_"): path for path in folder.glob("label_map_*.csv")}
    edges = folder / "time_edges.txt"
    numbers = (
        [float(text) for text in edges.read_text().replace(",", " ").split()]
        if edges.exists()
        else None
    )
    return pathfuse.read_study(
        folder / "samples.csv", folder / "predictions", label_maps=maps, time_edges=numbers
    )


def _problems(study: Study) -> Iterator[Problem]:
    (part,) = scored_parts(study, False, False)
    patients = np.unique(study.samples.patients.astype(str), return_inverse=True)[1]
    for task in study.endpoint.tasks:
        fit, test = study.scored(task, part.fit), study.scored(task, part.judged)
        experts = Experts.from_logits
        logits, truth = study.logits(task, study.frequency(task, fit)), study.truth[task]
        if truth.event is None:
            how = partial(_auroc, truth=truth.observed[test].argmax(axis=1))
        else:
            context = SurvivalTruth(truth.time[test], truth.event[test].astype(float), np.arange(2.0), ())  # fmt: skip
            how = partial(_c_index, truth=context)
        yield Problem(
            study.endpoint.kind, experts(logits[fit]), truth.observed[fit], patients[fit],
            experts(logits[test]), truth.observed[test], how,
        )  # fmt: skip


def _auroc(log_prob: np.ndarray, truth: np.ndarray) -> float:
    return float(macro_auroc(log_prob, truth, np.ones((1, len(truth))))[0])


def _c_index(log_prob: np.ndarray, truth: SurvivalTruth) -> float:
    weights = np.ones((1, len(log_prob)))
    return float(concordance(risk_of(log_prob), *harrell_pairs(truth), weights)[0])


def _methods(endpoint: str, in_time: bool) -> dict[str, Rival]:
    def ours(make: Callable[[], Fusion]) -> Rival:
        def fit(experts: Experts, observed: np.ndarray, groups: np.ndarray) -> Predict:
            return make().fit_experts(experts, observed, groups).combine

        return fit

    recipe = RECIPES.get(endpoint, "classification")
    return {
        FIRST: ours(lambda: Auto(endpoint, seed=SEED)),
        "pathfuse logitprod": ours(lambda: LogitProd(seed=SEED)),
        PUBLISHED: ours(lambda: LogitProd(variant="published", recipe=recipe, seed=SEED)),
        **OF_SETS,
        **({} if in_time else OF_CLASSES),
    }


def _compared(name: str, problems: list[Problem], in_time: bool) -> list[Row]:
    rows: list[Row] = []
    n = len(problems[0].observed)
    for method, rival in _methods(problems[0].endpoint, in_time).items():
        if n > LARGEST.get(method, n):
            continue
        found = np.array([_judged(rival, problem) for problem in problems])
        nll, value, seconds = *found[:, :2].mean(axis=0), found[:, 2].sum()
        rows.append(
            {"study": name, "fit_rows": n, "method": method, "nll": nll,
             "auroc_or_c": value, "fit_cpu_seconds": seconds}
        )  # fmt: skip
    first = rows[0]
    for row in rows:
        row["nll_ratio"] = float(str(row["nll"])) / float(str(first["nll"]))
        row["seconds_ratio"] = float(str(row["fit_cpu_seconds"])) / float(str(first["fit_cpu_seconds"]))  # fmt: skip
    return rows


def _most_mb(rival: Rival, problem: Problem) -> float:
    """Of a fit, which tracing slows down."""
    tracemalloc.start()
    rival(problem.fit, problem.observed, problem.groups)
    most = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return most


def _judged(rival: Rival, problem: Problem) -> tuple[float, float, float]:
    """NLL, discrimination and CPU seconds of the fit."""
    with threadpool_limits(1):
        begun = time.process_time()
        predict = rival(problem.fit, problem.observed, problem.groups)
        seconds = time.process_time() - begun
        log_prob = predict(problem.judged)
    nll = float(set_nll(log_prob, problem.unseen).mean())
    return nll, problem.discrimination(log_prob), seconds
