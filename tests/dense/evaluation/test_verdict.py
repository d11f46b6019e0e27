"""Judging from confusion matrices: against a plain loop over resamples, and the sentences of
warning."""

import numpy as np
import polars as pl
import pytest

from pathfuse.dense.evaluation.metrics import metrics
from pathfuse.dense.evaluation.verdict import (
    evaluate_confusions,
    evaluate_instances,
    resampled_sums,
)
from pathfuse.errors import InputError
from pathfuse.evaluation.intervals import Sampled, standard_error, t_p_value, t_quantile
from pathfuse.evaluation.resampling import draw
from pathfuse.evaluation.scales import PLAIN, SHARE


@pytest.fixture
def study():
    rng = np.random.default_rng(0)
    n = 30
    cms = {
        name: np.stack([rng.multinomial(500, share) for _ in range(n)])
        .reshape(n, 2, 2)
        .astype(np.int64)
        for name, share in {"good": [0.6, 0.05, 0.05, 0.3], "bad": [0.5, 0.15, 0.15, 0.2]}.items()
    }
    return cms, np.array([f"p{i % 15}" for i in range(n)])


def cell(frame: pl.DataFrame, **where):
    rows = frame.filter(**where)
    assert rows.height == 1
    return rows.row(0, named=True)


def test_the_bootstrap_is_that_of_a_plain_loop(study):
    cms, patients = study
    verdict = evaluate_confusions(cms, patients, n_resamples=200, seed=3)
    numbers = np.unique(patients, return_inverse=True)[1]
    counts = draw(numbers, np.zeros_like(numbers), 200, 3).counts
    drawn = {
        name: np.array(
            [
                metrics(sum(own[i] * row[numbers[i]] for i in range(len(own))))["mDice"]
                for row in counts
            ]
        )
        for name, own in cms.items()
    }
    row = cell(verdict.metrics, method="good", output="all", metric="mDice")
    assert (
        row["value"] == metrics(cms["good"].sum(axis=0))["mDice"]
    )  # the full set, not the mean of resamples
    everybody, sampled = np.ones(15, dtype=int), Sampled(15)
    left_out = {
        name: np.array(
            [
                metrics(sum(own * (everybody - np.eye(15, dtype=int)[p])[numbers][:, None, None]))[
                    "mDice"
                ]
                for p in range(15)
            ]
        )
        for name, own in cms.items()
    }
    error, freedom = standard_error(drawn["good"], sampled), sampled.freedom_of(left_out["good"])
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        SHARE.interval(row["value"], error, t_quantile(freedom))
    )
    assert (row["n"], row["n_patients"]) == (30, 15)
    pair = cell(verdict.comparisons, method="good", reference="bad", output="all", metric="mDice")
    apart, freedom = (
        drawn["good"] - drawn["bad"],
        sampled.freedom_of(left_out["good"] - left_out["bad"]),
    )
    error = standard_error(apart, sampled)
    limits = PLAIN.interval(pair["difference"], error, t_quantile(freedom))
    assert (pair["ci_low"], pair["ci_high"]) == pytest.approx(limits)
    assert pair["p_value"] == pytest.approx(t_p_value(pair["difference"], error, freedom))
    assert pair["test"] == "paired bootstrap by patient, 200 resamples, t"


def test_columns_are_those_of_the_contract(study):
    verdict = evaluate_confusions(*study, n_resamples=120, classes=("stroma", "gland"))
    assert verdict.metrics.columns == [
        "method", "output", "metric", "value", "ci_low", "ci_high", "n", "n_patients",
    ]  # fmt: skip
    assert verdict.comparisons.columns[:9] == [
        "method", "reference", "output", "metric", "difference", "ci_low", "ci_high", "p_value", "test",
    ]  # fmt: skip
    assert set(verdict.metrics["output"]) == {"all", "stroma", "gland"}
    assert verdict.warnings == []


def test_patients_widen_the_interval_where_their_images_agree():
    rng = np.random.default_rng(1)
    share = rng.uniform(0.5, 1, 12).repeat(10)  # 12 patients with 10 images of one quality each
    hits = np.round(1000 * share).astype(np.int64)
    zero = np.zeros_like(hits)
    cms = {"m": np.stack([hits, 1000 - hits, zero, zero], axis=1).reshape(-1, 2, 2)}

    def width(patients):
        row = cell(
            evaluate_confusions(cms, patients, 500).metrics,
            method="m",
            output="all",
            metric="pixel_accuracy",
        )
        return row["ci_high"] - row["ci_low"]

    assert width(np.arange(12).repeat(10)) > 2 * width(np.arange(120))


def test_a_missing_image_is_left_out_of_the_model_and_of_its_pairs(study):
    cms, patients = study
    scored = {"bad": np.arange(30) >= 10}
    verdict = evaluate_confusions(cms, patients, 50, scored=scored)
    row = cell(verdict.metrics, method="bad", output="all", metric="mIoU")
    assert row["n"] == 20
    assert row["value"] == metrics(cms["bad"][10:].sum(axis=0))["mIoU"]
    pair = cell(verdict.comparisons, method="good", reference="bad", output="all", metric="mIoU")
    own = [metrics(cms[name][10:].sum(axis=0))["mIoU"] for name in ("good", "bad")]
    assert pair["difference"] == pytest.approx(own[0] - own[1])


def test_classes_without_a_hit_are_named():
    cm = np.array([[[50, 0, 0], [0, 0, 9], [4, 0, 0]], [[50, 0, 0], [0, 0, 9], [4, 0, 0]]])
    hit = cm.copy()
    hit[0, 1, 1] = 1
    verdict = evaluate_confusions(
        {"a": cm, "b": hit}, ["x", "y"], classes=("stroma", "gland", "fat")
    )
    assert "class 'gland' has no true positive by a" in verdict.warnings
    assert any("class 'fat' has 8 true pixels and no model hits one" in w for w in verdict.warnings)
    assert "2 patients or images, fewer than 10: no intervals" in verdict.warnings
    assert verdict.metrics["ci_low"].is_null().all()


def test_paper_parity_reaches_the_table():
    cm = np.zeros((12, 2, 2), dtype=np.int64)
    cm[:, 0, 0], cm[:, 1, 0] = 9, 1
    for parity, equal in (("paper", False), ("fixed", True)):
        frame = evaluate_confusions({"a": cm}, range(12), 20, parity=parity).metrics
        dice, f1 = (cell(frame, output="all", metric=m)["value"] for m in ("mDice", "mean_f1"))
        assert (dice == f1) is equal


def test_large_counts_stay_exact():
    columns = np.full((3, 1), 2**40 + 1, dtype=np.int64)
    assert resampled_sums(columns, np.arange(3), np.array([[1, 1, 1]])).tolist() == [
        [3 * (2**40 + 1)]
    ]


def test_same_seed_same_tables(study):
    one, other = (evaluate_confusions(*study, n_resamples=150, seed=7) for _ in range(2))
    assert one.metrics.equals(other.metrics)
    assert one.comparisons.equals(other.comparisons)
    assert not one.metrics.equals(evaluate_confusions(*study, n_resamples=150, seed=8).metrics)


def test_instances_are_averaged_over_the_images_that_define_them():
    values = {
        "m": {
            name: np.array([np.nan, *np.linspace(0, 1, 11)]) for name in ("aji", "pq", "sq", "rq")
        }
    }
    verdict = evaluate_instances(values, range(12), 150)
    assert cell(verdict.metrics, metric="aji")["value"] == pytest.approx(0.5)
    assert cell(verdict.metrics, metric="pq")["ci_low"] < 0.5


def test_shapes_that_disagree(study):
    cms, patients = study
    with pytest.raises(InputError, match="shapes"):
        evaluate_confusions({**cms, "third": np.zeros((30, 3, 3), dtype=np.int64)}, patients)
    with pytest.raises(InputError, match="2 classes, but 3"):
        evaluate_confusions(cms, patients, classes=("a", "b", "c"))
