"""Fits of more rows than ``COMPACT_ROWS``: block by block, and nothing as large as the table beside
it."""

import tracemalloc

import numpy as np
import pytest
from joblib import parallel_config

import pathfuse
from pathfuse.fusion import inner_cv
from pathfuse.fusion.categorical import experts as experts_file
from pathfuse.fusion.categorical import logitprod, logpool, static_product
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import Standardiser, gate_features
from pathfuse.fusion.categorical.logitprod import LogitProd, error_correlation
from pathfuse.fusion.categorical.logpool import ProductObjective
from pathfuse.fusion.categorical.static_product import StaticProduct

N, M, K, LIMIT = 700, 4, 3, 620


def draw(n=N, missing=0.1, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    logits = rng.normal(size=(n, M, K)) * np.linspace(1, 2, M)[:, None]
    logits[np.arange(n), :, y] += 2.0
    gone = rng.random((n, M)) < missing
    gone[:, 0] = False
    logits[gone] = np.nan
    return logits.astype(np.float32), y


@pytest.fixture
def small_limit(monkeypatch):
    """Tables above 620 rows are large, and blocks are small; folds stay below."""
    for file in (experts_file, logpool, logitprod, static_product):
        monkeypatch.setattr(file, "COMPACT_ROWS", LIMIT)
    monkeypatch.setattr(experts_file, "BLOCK_CELLS", 1000)
    monkeypatch.setattr(inner_cv, "SMALL", 0)
    monkeypatch.setattr(inner_cv, "LARGE", 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_and_gradient_of_blocks_are_those_of_the_whole(small_limit, monkeypatch, dtype):
    logits, y = draw()
    observed = np.eye(K, dtype=bool)[y]
    values = {}
    for limit in (LIMIT, 10 * N):
        for file in (experts_file, logpool):
            monkeypatch.setattr(file, "COMPACT_ROWS", limit)
        experts = Experts.from_logits(logits.astype(dtype), compact=True)
        raw, exists = gate_features(experts)
        phi = Standardiser.fit(raw, exists).apply(raw, exists)
        correlation = 0.1 * error_correlation(Experts.from_logits(logits), observed)
        objective = ProductObjective(experts, observed, phi, 0.01, 0.02, correlation)
        assert (len(objective.parts) > 5) == (limit == LIMIT)
        theta = np.random.default_rng(1).normal(size=M + 1 + M * phi.shape[1]) * 0.3
        values[limit] = objective(theta)
    exact = 1e-12 if dtype == np.float64 else 1e-6
    assert values[LIMIT][0] == pytest.approx(values[10 * N][0], abs=exact)
    np.testing.assert_allclose(values[LIMIT][1], values[10 * N][1], atol=10 * exact)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [StaticProduct, LogitProd])
def test_a_large_table_leads_where_a_small_one_does(kind, small_limit, monkeypatch):
    logits, y = draw()
    monkeypatch.setattr(static_product, "MAX_ROWS", 300)  # where the last fit starts
    large = kind().fit(logits, y)
    monkeypatch.undo()
    monkeypatch.setattr(inner_cv, "SMALL", 0)
    monkeypatch.setattr(inner_cv, "LARGE", 0)
    small = kind().fit(logits, y)
    assert large.setting_ == small.setting_
    assert large.certificate_.holds
    assert large.certificate_.fused == pytest.approx(small.certificate_.fused, abs=1e-4)
    np.testing.assert_allclose(large.predict_proba(logits), small.predict_proba(logits), atol=0.02)


def test_the_bytes_do_not_depend_on_the_number_of_jobs(small_limit):
    logits, y = draw()
    with parallel_config(backend="threading"):
        one, two = (StaticProduct(n_jobs=jobs).fit(logits, y) for jobs in (1, 2))
    for name in one.params_:
        assert np.array_equal(one.params_[name], two.params_[name])
    assert one.certificate_ == two.certificate_


def test_predictions_do_not_depend_on_the_number_of_rows_or_their_precision(small_limit):
    logits, y = draw()
    model = pathfuse.StaticProduct(ridge=1.0).fit(logits[:100], y[:100])
    whole = model.predict_log_proba(logits)
    assert np.array_equal(whole[:50], model.predict_log_proba(logits[:50]))
    assert np.array_equal(whole, model.predict_log_proba(logits.astype(np.float64)))


def test_memory_stays_below_three_times_the_logits():
    """From the logits to a value with its gradient; tracemalloc sees numpy's arrays."""
    rng, n, m, k = np.random.default_rng(0), 110_000, 6, 9
    logits = rng.normal(size=(n, m, k)).astype(np.float32)
    observed = np.eye(k, dtype=bool)[np.arange(n) % k]
    tracemalloc.start()
    experts = Experts.from_logits(logits, compact=True)
    _, phi = logitprod._standardised(experts)
    objective = ProductObjective(experts, observed, phi, 0.01, 0.1)
    objective(np.zeros(m + 1 + m * phi.shape[1]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert experts.planes.dtype == np.float32
    assert peak < 3 * logits.nbytes
