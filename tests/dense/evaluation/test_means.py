"""Means over models: the plain mean of the models' figures, on every resample the same patients."""

import numpy as np
import polars as pl
import pytest

from pathfuse.dense.evaluation.means import evaluate_means
from pathfuse.dense.evaluation.metrics import MEAN_DICE, metrics
from pathfuse.dense.evaluation.verdict import (
    evaluate_confusions,
    instance_columns,
    instance_score,
    pixel_score,
)

CLASSES = ("a", "b")


def matrices(rng, right):
    n = rng.integers(5, 40, size=(32, 2, 2))
    n[:, [0, 1], [0, 1]] += right
    return n


@pytest.fixture
def groups():
    rng = np.random.default_rng(0)
    return {
        "frozen": [matrices(rng, 10), matrices(rng, 30)],
        "lora": [matrices(rng, 40), matrices(rng, 60)],
    }


PATIENTS = [f"p{k // 2}" for k in range(32)]


def row(table, **wanted):
    (found,) = table.filter(*(pl.col(k) == v for k, v in wanted.items())).iter_rows(named=True)
    return found


def test_a_groups_figure_is_the_mean_of_its_models_and_differences_are_paired(groups):
    verdict = evaluate_means(groups, PATIENTS, pixel_score(CLASSES), 400)
    means = {
        name: np.mean([metrics(one.sum(axis=0))[MEAN_DICE.name] for one in own])
        for name, own in groups.items()
    }
    for name, mean in means.items():
        found = row(verdict.metrics, method=name, metric="mDice")
        assert found["value"] == pytest.approx(mean)
        assert found["ci_low"] < mean < found["ci_high"]
        assert (found["n"], found["n_patients"]) == (32, 16)
    pair = row(verdict.comparisons, method="frozen", reference="lora", metric="mDice")
    assert pair["difference"] == pytest.approx(means["frozen"] - means["lora"])
    assert pair["ci_high"] < 0
    assert pair["p_value"] < 0.01


def test_a_group_of_one_model_is_that_model(groups):
    alone = {name: own[:1] for name, own in groups.items()}
    cms = {name: own[0] for name, own in alone.items()}
    mine = evaluate_means(alone, PATIENTS, pixel_score(CLASSES), 300)
    theirs = evaluate_confusions(cms, PATIENTS, 300, classes=CLASSES)
    every = pl.col("output") == "all"
    assert mine.metrics.equals(theirs.metrics.filter(every))
    assert mine.comparisons.equals(theirs.comparisons.filter(every))


def test_instances_are_averaged_over_images_first():
    values = {name: np.array([0.2, np.nan, 0.6]) for name in ("aji", "pq", "sq", "rq")}
    twice = {name: own / 2 for name, own in values.items()}
    columns = {"x": [instance_columns(values), instance_columns(twice)]}
    verdict = evaluate_means(columns, ["a", "b", "c"], instance_score, 100)
    assert row(verdict.metrics, method="x", metric="aji")["value"] == pytest.approx(0.3)
    assert row(verdict.metrics, method="x", metric="aji")["ci_low"] is None  # three patients


def test_corrected_p_values_do_not_depend_on_the_order_of_the_groups():
    rng = np.random.default_rng(1)
    groups = {name: [matrices(rng, 30 + 3 * k)] for k, name in enumerate("abcd")}
    turned = dict(reversed(groups.items()))
    found = []
    for one in (groups, turned):
        table = evaluate_means(one, PATIENTS, pixel_score(CLASSES), 400).comparisons
        own = table.filter(pl.col("metric") == "mDice")
        found.append(
            {
                frozenset({r["method"], r["reference"]}): r["p_holm"]
                for r in own.iter_rows(named=True)
            }
        )
        assert (own["p_holm"] >= own["p_value"]).all()
        assert own["p_holm"].min() == pytest.approx(min(1, 6 * own["p_value"].min()))
    assert found[0] == pytest.approx(found[1])
