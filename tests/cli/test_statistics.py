"""Intervals and tests from the outside: ``--interval``, ``--margin``, and what stands in
``tests.csv``.

The tests of a ``fold`` study are looked into where one is fused, in ``test_commands.py``.
"""

import json

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from pathfuse.evaluation.delong import delong

COLUMNS = [
    "method",
    "reference",
    "output",
    "metric",
    "test",
    "difference",
    "statistic",
    "p_value",
    "p_holm",
    "margin",
    "conclusion",
]
CLASSES = ("no", "yes")
MARGIN_WORDS = {"superior", "equivalent", "non-inferior", "inferior", "unresolved"}
BOOTSTRAP = "paired bootstrap by sample, 120 resamples"


@pytest.fixture(scope="module")
def fuse(run_cli):
    def run(out, samples, predictions, *more):
        given = (
            "--samples",
            samples,
            "--predictions",
            predictions,
            "--out",
            out,
            "--resamples",
            120,
        )
        status, _, err = run_cli("fuse", *given, "--method", "static_product", *more)
        assert status == 0, err
        return out

    return run


@pytest.fixture(scope="module")
def split_study(make_study, tmp_path_factory):
    """60 fit and 50 test patients of one row, two classes, two experts."""
    return make_study(tmp_path_factory.mktemp("split"), 60, 50, 2, CLASSES)


@pytest.fixture(scope="module")
def split(fuse, split_study):
    return fuse(split_study[0].parent / "out", *split_study)


@pytest.fixture(scope="module")
def evaluate(run_cli):
    def run(out, samples, predictions, *more):
        given = (
            "--samples",
            samples,
            "--predictions",
            predictions,
            "--out",
            out,
            "--resamples",
            120,
        )
        status, _, err = run_cli("evaluate", *given, *more)
        assert status == 0, err
        return out

    return run


def read_tests(out):
    return pl.read_csv(out / "tests.csv", infer_schema_length=None)


def log_odds(predictions, expert):
    table = pl.read_csv(predictions / f"{expert}.csv")
    return table.select("sample_id", (pl.col("logit_yes") - pl.col("logit_no")).alias(expert))


def contrasts_of(out):
    table = pl.read_csv(out / "comparisons.csv")
    return set(table.select("method", "reference").unique().iter_rows())


def test_tests_csv_of_a_split_study(split):
    table = read_tests(split)
    assert table.columns == COLUMNS
    assert set(table["output"]) == {"all"}
    of_delong = table.filter(pl.col("test") == "DeLong")
    assert set(of_delong["metric"]) == {"auroc"}
    competing = {pair for pair in contrasts_of(split) if "null_model" not in pair}
    assert set(of_delong.select("method", "reference").iter_rows()) == competing
    of_margin = table.filter(pl.col("test") == "non-inferiority, bootstrap by sample, not adjusted")
    wanted = {(m, "best_expert", metric) for m, r in contrasts_of(split) if r == "best_expert" for metric in
              ("nll", "auroc")}  # fmt: skip
    assert {("fused", "best_expert", "nll"), ("fused", "best_expert", "auroc")} <= wanted
    assert set(of_margin.select("method", "reference", "metric").iter_rows()) == wanted
    assert (
        len(of_delong) + len(of_margin)
        == len(table)
        == len(table.unique(["method", "reference", "metric", "test"]))
    )


def test_delong_in_tests_csv_is_that_of_the_files(split, split_study):
    samples, predictions = split_study
    own = pl.col("prob_yes").log() - pl.col("prob_no").log()
    fused = pl.read_parquet(split / "fused.parquet").select("sample_id", fused=own)
    rows = (
        pl.read_csv(samples)
        .join(fused, on="sample_id")
        .join(log_odds(predictions, "expert_0"), on="sample_id")
    )
    positive = (rows["label"] == "yes").to_numpy()
    one, other = rows["fused"].to_numpy(), rows["expert_0"].to_numpy()
    expected = delong(one, other, positive)
    found = read_tests(split).row(
        by_predicate=(pl.col("method") == "fused")
        & (pl.col("reference") == "expert_0")
        & (pl.col("test") == "DeLong"),
        named=True,
    )
    assert found["difference"] == pytest.approx(
        roc_auc_score(positive, one) - roc_auc_score(positive, other)
    )
    assert (found["statistic"], found["p_value"]) == pytest.approx((expected.z, expected.p_value))
    assert found["p_holm"] >= found["p_value"]
    assert found["margin"] is None
    assert found["conclusion"] == ("differs" if found["p_holm"] < 0.05 else "no difference shown")


def test_margins_in_tests_csv_agree_with_the_comparisons(split):
    margins = read_tests(split).filter(pl.col("margin").is_not_null())
    comparisons = pl.read_csv(split / "comparisons.csv")
    both = margins.join(comparisons, on=["method", "reference", "output", "metric"])
    assert len(both) == len(margins) >= 2
    assert set(margins["margin"]) == {0.01}
    assert set(margins["conclusion"]) <= MARGIN_WORDS
    assert margins["statistic"].null_count() == margins["p_holm"].null_count() == len(margins)
    for row in both.iter_rows(named=True):
        assert row["difference"] == row["difference_right"]
        low = -row["ci_high"] if row["metric"] == "nll" else row["ci_low"]
        assert (row["conclusion"] == "superior") == (low > 0 and row["p_holm_right"] <= 0.05)
        if row["conclusion"] == "non-inferior":
            assert low > -0.01


def test_bca_intervals_and_a_wide_margin(fuse, split, split_study, tmp_path):
    """They change limits, p-values, words and margins, and no value."""
    out = fuse(tmp_path / "out", *split_study, "--interval", "bca", "--margin", "5")
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (split, out)]
    assert [(m["interval"], m["margin"]) for m in manifests] == [("auto", 0.01), ("bca", 5)]
    for name, point in (("metrics.csv", "value"), ("comparisons.csv", "difference")):
        plain, bca = pl.read_csv(split / name), pl.read_csv(out / name)
        same = [
            c for c in plain.columns if c not in ("ci_low", "ci_high", "test", "p_value", "p_holm")
        ]
        assert point in same
        assert bca.select(same).equals(plain.select(same))
        other = "reference" if name == "comparisons.csv" else "method"
        constant = (pl.col(other) == "null_model") & (pl.col("metric") == "mcc")
        sure = bca.filter(pl.col("metric") != "ece", ~constant)
        assert sure["ci_low"].null_count() == sure["ci_high"].null_count() == 0
        assert (bca["ci_low"] <= bca["ci_high"]).all()
        assert (bca["ci_low"] != plain["ci_low"]).mean() > 0.5
    assert set(pl.read_csv(out / "comparisons.csv")["test"]) == {
        BOOTSTRAP + ", BCa interval",
        "none",
    }
    assert set(pl.read_csv(split / "comparisons.csv")["test"]) == {BOOTSTRAP + ", t", "none"}
    margins = read_tests(out).drop_nulls("margin")
    assert set(margins["margin"]) == {5.0}
    assert set(margins["conclusion"]) <= {"superior", "equivalent"}  # it forgives any loss
    unmoved = pl.col("test") == "DeLong"
    assert read_tests(out).filter(unmoved).equals(read_tests(split).filter(unmoved))


def test_evaluate_writes_the_same_tests(evaluate, split_study, tmp_path):
    table = read_tests(
        evaluate(tmp_path / "out", *split_study, "--interval", "bca", "--margin", "0.5")
    )
    assert table.columns == COLUMNS
    assert set(table["method"]) == {"expert_0", "expert_1"}
    assert set(table.drop_nulls("margin")["margin"]) == {0.5}
    pair = (pl.col("test") == "DeLong") & pl.col("reference").is_in(
        ["uniform_product", "mean_probability"]
    )
    assert len(table.filter(pair)) == 4
