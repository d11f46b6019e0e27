"""Fit time of ``logitprod`` with its whole rho search next to the published schedule, on the same
rows."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.adam import adam_fit
from benchmarks.simulate import region_experts
from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import gate_features
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.logpool import product_weights, weighted_product


def fit_time() -> list[dict[str, object]]:
    """N 800, M 7, K 3; one thread. The published loop gets 200 rows more, for early stopping."""
    logits, y = region_experts(1400, 7, 3, seed=42)
    experts, observed = Experts.from_logits(logits), np.eye(3, dtype=bool)[y]
    fit, validation, test = np.arange(800), np.arange(800, 1000), np.arange(1000, 1400)
    with threadpool_limits(1):
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            ours = LogitProd().fit_experts(experts.rows(fit), observed[fit], fit)
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        product, epochs = adam_fit(
            experts.rows(fit), observed[fit], experts.rows(validation), observed[validation]
        )
        published_seconds = time.perf_counter() - start
    judged = experts.rows(test)
    weights = product_weights(product, gate_features(judged)[0], judged.present)
    return [
        {
            "method": f"logitprod, whole rho search (median of {len(seconds)})",
            "seconds": float(np.median(seconds)),
            "test_nll": float(set_nll(ours.combine(judged), observed[test]).mean()),
        },
        {
            "method": f"published schedule, Adam in numpy, {epochs} epochs",
            "seconds": published_seconds,
            "test_nll": float(set_nll(weighted_product(judged, weights), observed[test]).mean()),
        },
        {
            "method": "ratio published : logitprod",
            "seconds": published_seconds / float(np.median(seconds)),
            "test_nll": None,
        },
    ]
