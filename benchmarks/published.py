"""The published recipe next to ours, on the same simulated rows: score and time.

See docs/design/logitprod.md, section 4.

Every method is fitted on the same fit rows and judged on the same test rows. "overfitted" means
that the experts were trained on the fit rows, so that there they look better than they are;
pathfuse refuses such rows unless asked not to, the released code fits its gate on them. One
thread. Scores: test NLL (for survival the censored one), and macro AUROC or Harrell's C.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from benchmarks.simulate import SurvivalTask, region_experts, region_survival
from pathfuse.distributions.likelihood import set_nll
from pathfuse.evaluation.metrics.classification import macro_auroc
from pathfuse.evaluation.metrics.survival import SurvivalTruth, concordance, harrell_pairs
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.published_objective import need_torch, risk_of
from pathfuse.fusion.categorical.uniform_product import UniformProduct
from pathfuse.fusion.fitted import fit_methods
from pathfuse.fusion.methods import new_methods

SEED = 42
N_TEST = 400
Row = dict[str, object]
Discrimination = Callable[[np.ndarray], float]
"""Fused test log-probabilities to AUROC or C-index."""


def published() -> list[Row]:
    """Classification (N 800, M 7, K 3) and survival (N 600, M 6, T 4), on held-out and on
    overfitted fit rows."""
    need_torch()  # its import belongs to nobody's fit time
    with threadpool_limits(1):
        return [
            row
            for task in (_classification, _survival)
            for overfitted in (False, True)
            for row in task(overfitted)
        ]


def _classification(overfitted: bool) -> list[Row]:
    n = 800
    logits, y = region_experts(n + N_TEST, 7, 3, SEED, overfitted=n if overfitted else 0)

    def auroc(log_prob: np.ndarray) -> float:
        return float(macro_auroc(log_prob, y[n:], np.ones((1, N_TEST)))[0])

    experts, observed = Experts.from_logits(logits), np.eye(3, dtype=bool)[y]
    return _compare(
        "classification", "multiclass", overfitted, experts, observed, n, "auroc", auroc
    )


def _survival(overfitted: bool) -> list[Row]:
    n = 600
    task: SurvivalTask = region_survival(n + N_TEST, 6, 4, SEED, overfitted=n if overfitted else 0)
    truth = SurvivalTruth(task.time[n:], task.event[n:].astype(float), np.arange(5.0), ())

    def c_index(log_prob: np.ndarray) -> float:
        return float(concordance(risk_of(log_prob), *harrell_pairs(truth), np.ones((1, N_TEST)))[0])

    return _compare(
        "survival", "survival", overfitted, task.experts, task.observed, n, "c_index", c_index
    )


def _compare(
    recipe: str,
    endpoint: str,
    overfitted: bool,
    experts: Experts,
    observed: np.ndarray,
    n: int,
    measure: str,
    discrimination: Discrimination,
) -> list[Row]:
    fit, truth = experts.rows(np.arange(n)), observed[:n]
    judged, unseen = experts.rows(np.arange(n, len(observed))), observed[n:]
    recipes = {"published recipe": LogitProd(variant="published", recipe=recipe, seed=SEED)}
    if (
        recipe == "survival"
    ):  # the others' accidents change nothing here: no partial batch, and the last epoch is best
        quirks = ("no_survival_gradient", "last_epoch")
        recipes["published recipe with its quirks"] = clone(recipes["published recipe"]).set_params(
            quirks=quirks
        )
    alone = {
        **recipes,
        "uniform product": UniformProduct(),
        "pathfuse logitprod": LogitProd(seed=SEED),
    }
    methods: dict[str, Callable[[], Fusion]] = {
        **{name: partial(_alone, method, fit, truth) for name, method in alone.items()},
        "pathfuse auto": partial(_auto, endpoint, fit, truth),
    }
    rows: list[Row] = []
    for name, fitted in methods.items():
        start = time.perf_counter()
        fusion = fitted()
        seconds = time.perf_counter() - start
        log_prob = fusion.combine(judged)
        rows.append(
            {
                "task": recipe,
                "fit_rows": "overfitted" if overfitted else "held out",
                "method": name,
                "test_nll": float(set_nll(log_prob, unseen).mean()),
                "measure": measure,
                "test_value": discrimination(log_prob),
                "fit_seconds": seconds,
                "certificate": fusion.certificate_.holds,
            }
        )
    return _with_ratios(rows)


def _with_ratios(rows: list[Row]) -> list[Row]:
    """Ratios to the published recipe, which is the first row; below 1 is better and faster."""
    first = rows[0]
    for row in rows:
        row["nll_ratio"] = float(str(row["test_nll"])) / float(str(first["test_nll"]))
        row["seconds_ratio"] = float(str(row["fit_seconds"])) / float(str(first["fit_seconds"]))
    return rows


def _alone(method: Fusion, experts: Experts, observed: np.ndarray) -> Fusion:
    return method.fit_experts(experts, observed, np.arange(len(observed)))


def _auto(endpoint: str, experts: Experts, observed: np.ndarray) -> Fusion:
    """As ``runs.fitting`` does: the endpoint's own methods, then the council."""
    fitted = fit_methods(
        new_methods(SEED, endpoint), experts, observed, np.arange(len(observed)), SEED
    )
    return Auto(endpoint, seed=SEED).from_fitted(fitted, experts, observed)
