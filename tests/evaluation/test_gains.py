"""Gain over the mean of the single experts, compared with a plain computation."""

import numpy as np
import pytest

from pathfuse.endpoints.regression import Regression
from pathfuse.evaluation.evaluate import evaluate_tasks
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.resampling import draw
from pathfuse.evaluation.rules import Rules

N = 60


@pytest.fixture(scope="module")
def tasks():
    rng = np.random.default_rng(5)
    patients = np.arange(N) // 2
    found = {}
    for target in ("a", "b"):
        truth = rng.normal(size=(N, 1))
        predictions = {
            name: np.concatenate(
                [truth + rng.normal(scale=sd, size=(N, 1)), np.ones((N, 1))], axis=1
            )
            for name, sd in (("x", 1.0), ("y", 2.0), ("fused", 0.5))
        }
        found[target] = Judged(truth, patients, np.zeros(N, dtype=np.int64), predictions)
    return found


def test_gain_is_that_of_the_means_and_its_interval_holds_it(tasks):
    endpoint = Regression(("a", "b"))
    verdict = evaluate_tasks(endpoint, tasks, [("fused", "x")], Rules(400, 1), ("x", "y"))
    found = {row.metric: row for row in verdict.gains}
    assert {row.method for row in verdict.gains} == {"fused"}
    assert {row.output for row in verdict.gains} == {"all"}

    def pearson(name, rows):
        return np.mean(
            [
                np.corrcoef(one.predictions[name][rows, 0], one.observed[rows, 0])[0, 1]
                for one in tasks.values()
            ]
        )

    def gain(rows):
        mean = (pearson("x", rows) + pearson("y", rows)) / 2
        return 100 * (pearson("fused", rows) - mean) / mean

    row = found["pearson"]
    assert row.gain_percent == pytest.approx(gain(np.arange(N)), rel=1e-9)
    assert row.mean_of_experts == pytest.approx(
        (pearson("x", np.arange(N)) + pearson("y", np.arange(N))) / 2, rel=1e-9
    )
    counts = draw(tasks["a"].patients, np.zeros(N, dtype=np.int64), 400, 1).counts
    draws = [gain(np.repeat(np.arange(N), np.repeat(one, 2))) for one in counts]
    assert row.ci_high - row.ci_low == pytest.approx(
        2 * 2.05 * np.std(draws) * np.sqrt(30 / 29), rel=0.15
    )
    assert row.ci_low < row.gain_percent < row.ci_high
    assert found["rmse"].gain_percent > 0  # less is better, and more than 0 is a gain
    assert np.isnan(found["r2"].gain_percent)  # the mean of the experts is below 0


def test_experts_have_no_gain_over_themselves(tasks):
    endpoint = Regression(("a", "b"))
    assert evaluate_tasks(endpoint, tasks, [("x", "fused")], Rules(0), ("x", "y")).gains == []
