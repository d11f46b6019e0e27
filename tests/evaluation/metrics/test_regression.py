import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score, root_mean_squared_error

from pathfuse.evaluation.metrics.regression import RegressionScores


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60).round(1)  # with ties
    moments = np.stack([truth + rng.normal(size=60), rng.uniform(0.5, 2, size=60)], axis=1)
    return moments, truth


def test_metrics_agree_with_scipy_and_scikit_learn(rows):
    moments, truth = rows
    values = {k: v[0] for k, v in RegressionScores(moments, truth).values(np.ones((1, 60))).items()}
    assert values["pearson"] == pytest.approx(stats.pearsonr(moments[:, 0], truth)[0])
    assert values["spearman"] == pytest.approx(stats.spearmanr(moments[:, 0], truth)[0])
    assert values["rmse"] == pytest.approx(root_mean_squared_error(truth, moments[:, 0]))
    assert values["r2"] == pytest.approx(r2_score(truth, moments[:, 0]))
    expected = -stats.norm.logpdf(truth, moments[:, 0], np.sqrt(moments[:, 1])).mean()
    assert values["nll"] == pytest.approx(expected)


def test_integer_weights_equal_repeated_rows(rows):
    moments, truth = rows
    counts = np.random.default_rng(1).integers(0, 4, size=60)
    weighted = RegressionScores(moments, truth).values(counts[None].astype(float))
    again = RegressionScores(np.repeat(moments, counts, axis=0), np.repeat(truth, counts))
    repeated = again.values(np.ones((1, counts.sum())))
    for metric in ("nll", "pearson", "rmse", "r2"):  # ranks are those of the rows, by definition
        assert weighted[metric][0] == pytest.approx(repeated[metric][0], abs=1e-10)


def test_a_constant_prediction_has_no_correlation(rows):
    moments, truth = rows
    moments[:, 0] = 0.7
    values = RegressionScores(moments, truth).values(np.ones((1, 60)))
    assert np.isnan(values["pearson"][0])
    assert np.isnan(values["spearman"][0])
    assert np.isfinite(values["rmse"][0])
