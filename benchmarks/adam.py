"""The published schedule as a plain Adam loop (docs/design/logitprod.md, section 1.7): a linear
zero-initialised gate, batches of 16 with the last partial one dropped, learning rate 1e-5 with
cosine warm restarts (T0 10, Tmult 2, floor 1e-6), weight decay 1e-4, the decorrelation penalty at
0.1, 600 epochs with patience 100 on a validation part.

It shares the analytic gradient with pathfuse and runs in numpy, which is faster than the authors'
framework on such
small batches: the rival is not made slow.
"""

import math

import numpy as np

from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import gate_features
from pathfuse.fusion.categorical.logitprod import error_correlation
from pathfuse.fusion.categorical.logpool import ProductObjective, product_weights, weighted_product
from pathfuse.fusion.product import Product, equal_product


def published_rate(epoch: int, base: float = 1e-5, floor: float = 1e-6) -> float:
    """Learning rate of an epoch under cosine annealing with warm restarts."""
    length, start = 10, 0
    while epoch >= start + length:
        start += length
        length *= 2
    return floor + (base - floor) * (1 + math.cos(math.pi * (epoch - start) / length)) / 2


def adam_fit(
    experts: Experts,
    observed: np.ndarray,
    judged: Experts,
    judged_observed: np.ndarray,
    seed: int = 0,
) -> tuple[Product, int]:
    """The gate after the published training, and the epochs it took."""
    rng = np.random.default_rng(seed)
    phi, _ = gate_features(experts)
    phi_judged, _ = gate_features(judged)
    n, m, _ = experts.shape
    correlation = 0.1 * error_correlation(experts, observed)
    theta = ProductObjective(experts, observed, phi, ridge=0.0).pack(equal_product(m, phi.shape[1]))
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    best, best_nll, patience, step, epoch = theta.copy(), np.inf, 100, 0, 0
    for epoch in range(600):
        rate, order = published_rate(epoch), rng.permutation(n)
        for start in range(0, n - 15, 16):
            rows = order[start : start + 16]
            batch = ProductObjective(
                experts.rows(rows), observed[rows], phi[rows], 0.0, correlation=correlation
            )
            gradient = batch(theta)[1] + 1e-4 * theta
            gradient[m] = 0.0  # the published product has no sharpness
            step += 1
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            theta = theta - rate * (first / (1 - 0.9**step)) / (
                np.sqrt(second / (1 - 0.999**step)) + 1e-8
            )
        product = batch.unpack(theta)
        weights = product_weights(product, phi_judged, judged.present)
        nll = set_nll(weighted_product(judged, weights), judged_observed).mean()
        if nll < best_nll:
            best, best_nll, patience = theta.copy(), nll, 100
        else:
            patience -= 1
            if not patience:
                break
    return batch.unpack(best), epoch + 1
