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


def test_pearson_within_is_the_mean_over_sections_as_often_as_they_are_drawn():
    rng = np.random.default_rng(4)
    sections = np.repeat([7, 2, 5, 9], [12, 20, 8, 5])
    truth = rng.normal(size=45) + 3.0 * sections
    moments = np.stack([truth + rng.normal(size=45) + sections, np.ones(45)], axis=1)
    moments[sections == 9, 0] = 4.0  # constant: no correlation there
    times = {7: 2.0, 2: 0.0, 5: 3.0, 9: 1.0}
    r = {s: np.corrcoef(moments[sections == s, 0], truth[sections == s])[0, 1] for s in (7, 2, 5)}
    weights = np.stack([np.ones(45), np.array([times[s] for s in sections])])
    scores = RegressionScores(moments, truth).within(sections)
    found = scores.values(weights)["pearson_within"]
    wanted = [np.mean(list(r.values())), (2 * r[7] + 3 * r[5]) / 5]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert "pearson_within" not in RegressionScores(moments, truth).values(weights)
    flat = RegressionScores(np.ones((45, 2)), truth).within(sections)
    assert np.isnan(flat.values(weights)["pearson_within"]).all()
