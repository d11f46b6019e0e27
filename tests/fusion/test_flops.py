"""Operations of fits and predictions: hand counts, numpy's own count of sums of products, any
number of processes."""

import os

import numpy as np
import pytest

from pathfuse.costs import tallied
from pathfuse.fusion.categorical import logpool, stacking
from pathfuse.fusion.categorical.bin_gates import BinGates, BinGatesObjective
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.hazard_product import HazardProduct
from pathfuse.fusion.categorical.imputation import GaussianImputer
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.mean_probability import MeanProbability
from pathfuse.fusion.categorical.stacking import Stacking
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.gaussian.product import Cells, GaussianObjective, gate_input
from pathfuse.fusion.product import equal_product

N, M, K, F = 12, 3, 4, 5


@pytest.fixture
def study():
    rng = np.random.default_rng(0)
    y = np.arange(N) % K
    logits = rng.normal(size=(N, M, K))
    logits[np.arange(N), :, y] += 1.0
    return Experts.from_logits(logits), np.eye(K, dtype=bool)[y], rng.normal(size=(N, F))


def counted(*products, **sizes):
    """Operations of sums of products such as ``nm,nmk->nk``, as numpy counts them."""
    found = 0
    for product in products:
        shapes = [tuple(sizes[axis] for axis in term) for term in product.split("->")[0].split(",")]
        report = np.einsum_path(
            product, *(np.broadcast_to(0.0, shape) for shape in shapes), optimize=False
        )[1]
        found += int(
            float(next(line for line in report.splitlines() if "Naive FLOP" in line).split(":")[1])
        )
    return found


def calls(monkeypatch, kind):
    """How often an objective is asked for its value."""
    seen, ask = [], kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, theta: seen.append(1) or ask(self, theta))
    return seen


def test_numpy_counts_as_we_do():
    assert counted("nm,nmk->nk", n=N, m=M, k=K) == 2 * N * M * K


def test_the_weighted_product(study, monkeypatch):
    experts, observed, phi = study
    objective = logpool.ProductObjective(experts, observed, phi, ridge=0.1, rho=0.1)
    terms = ("mf,fn->mn", "mn,mkn->kn", "kn,mkn->mn", "mn,mn->n", "kn,kn->n", "mn,fn->mf")
    each = counted(*terms, n=N, m=M, k=K, f=F)
    assert objective.flops == each
    seen = calls(monkeypatch, logpool.ProductObjective)
    with tallied() as tally:
        objective.minimise(equal_product(M, F))
    assert tally.flops == each * len(seen) > each


def test_a_gate_for_each_bin(study, monkeypatch):
    experts, observed, phi = study
    objective = BinGatesObjective(experts, observed, phi, ridge=0.1)
    terms = ("kmf,fn->kmn", "kmn,kmn->kn", "kmn,kmn->kn", "kn,kn->n", "kmn,fn->kmf")
    each = counted(*terms, n=N, m=M, k=K, f=F)
    assert objective.flops == each
    seen = calls(monkeypatch, BinGatesObjective)
    with tallied() as tally:
        objective.minimise(BinGates.from_shared(equal_product(M, F), K))
    assert tally.flops == each * len(seen) > each


def test_ridge_regression(study, monkeypatch):
    _, observed, phi = study
    objective = stacking.RidgeObjective(phi, observed, 0.1)
    each = counted("kf,fn->kn", "kn,nf->kf", n=N, k=K, f=F)
    assert objective.flops == each
    seen = calls(monkeypatch, stacking.RidgeObjective)
    with tallied() as tally:
        objective.minimise(None)
    assert tally.flops == each * len(seen) > each


def test_the_product_of_gaussians(monkeypatch):
    rng = np.random.default_rng(1)
    experts = GaussianExperts(rng.normal(size=(N, M, 2)), rng.uniform(1, 2, size=(N, M, 2)))
    cells = Cells.of(experts, rng.normal(size=(N, 2)), gate_input(experts), 0)
    objective, f = GaussianObjective(cells, ridge=0.1, rho=0.1), 2 * M + 1
    each = counted("mf,fc->mc", "mc,mc->c", "mc,mc->c", "mc,mc->c", "mc,fc->mf", c=2 * N, m=M, f=f)
    assert objective.flops == each
    seen = calls(monkeypatch, GaussianObjective)
    with tallied() as tally:
        objective.minimise(equal_product(M, f))
    assert tally.flops == each * len(seen) > each


GATE = 3 * M + 2
PER_SAMPLE = {
    StaticProduct: 2 * M * K,
    MeanProbability: 2 * M * K,
    HazardProduct: 2 * M * (K - 1),
    Stacking: 2 * (M * K) * K,
    LogitProd: (2 * M * K + 2 * K) + 2 * M * GATE + 2 * M * K,
}
"""The gate's entropies, the gate, the product."""


@pytest.mark.parametrize("kind", PER_SAMPLE, ids=lambda kind: kind.name)
def test_predicting_one_sample(study, kind):
    experts, observed, _ = study
    option = {Stacking: {"C": 0.1}, LogitProd: {"rho": 0.1}, MeanProbability: {}}.get(
        kind, {"ridge": 1.0}
    )
    model = kind(**option).fit_experts(experts, observed, np.arange(N))
    with tallied() as tally:
        model.combine(experts)
    assert tally.flops == N * PER_SAMPLE[kind]


def test_stand_ins_for_absent_experts():
    table = np.random.default_rng(2).normal(size=(10, 4))
    with tallied() as whole:
        imputer = GaussianImputer.fit(table)
    assert whole.flops == 2 * 10 * 4 * 4
    table[:3, 0] = np.nan
    with tallied() as holed:
        imputer.fill(table)
    elimination, use = 2 * 3**3 // 3 + 2 * 3**2, 2 * 3 * 3
    assert holed.flops == elimination + use


def test_processes_change_no_count():
    rng = np.random.default_rng(3)
    y = np.arange(40) % 2
    logits = rng.normal(size=(40, 2, 2))
    logits[np.arange(40), :, y] += 1.0
    with tallied() as alone:
        StaticProduct(n_jobs=1).fit(logits, y)
    with tallied() as shared:
        StaticProduct(n_jobs=2).fit(logits, y)
    assert alone.flops == shared.flops > 0
    assert alone.process == os.getpid()
    assert alone.workers_cpu_s == 0 < shared.workers_cpu_s
