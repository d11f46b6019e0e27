"""The best expert by AUROC or C-index, chosen on the fit rows, where it is another than that by NLL."""

import json

import numpy as np
import polars as pl
import pytest

import pathfuse


def sure_of_itself(folds: bool = False):
    """Two experts: ``sharp`` ranks best but is far too sure, ``mild`` has the better NLL."""
    rng = np.random.default_rng(1)
    n = 300
    truth = rng.integers(2, size=n)
    side = 2 * truth - 1
    ids = [f"s{i:03d}" for i in range(n)]
    z = {
        "mild": 0.8 * side + rng.normal(size=n),
        "sharp": 60 * (1.6 * side + rng.normal(size=n)),
    }
    experts = {
        name: pl.DataFrame({"sample_id": ids, "logit_no": -v / 2, "logit_yes": v / 2})
        for name, v in z.items()
    }
    parts = {"fold": np.arange(n) % 3} if folds else {"split": ["fit", "test"] * (n // 2)}
    labels = np.where(truth, "yes", "no")
    return pl.DataFrame({"sample_id": ids, **parts, "label": labels}), experts


def nll_and_auroc(result, method):
    rows = result.metrics.filter(pl.col("method") == method)
    return dict(rows.select("metric", "value").iter_rows())


@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.slow
def test_another_expert_is_the_reference_of_its_metric_alone(folds):
    result = pathfuse.fuse(
        pathfuse.read_study(*sure_of_itself(folds)), "static_product", n_resamples=200
    )
    mild, sharp = (nll_and_auroc(result, name) for name in ("mild", "sharp"))
    assert mild["nll"] < sharp["nll"]
    assert mild["auroc"] < sharp["auroc"]
    assert nll_and_auroc(result, "best_expert")["nll"] == mild["nll"]
    assert not nll_and_auroc(result, "best_expert_auroc")  # the expert has a row of its own
    pairs = result.comparisons.filter(pl.col("reference") == "best_expert_auroc")
    assert pairs["metric"].unique().to_list() == ["auroc"]
    against = result.comparisons.filter(
        (pl.col("reference") == "sharp") & (pl.col("metric") == "auroc")
    )
    assert pairs["difference"].to_list() == against["difference"].to_list()
    picks = result.manifest["best_experts_by_metric"]
    assert {(p["metric"], p["all"]) for p in picks} == {("auroc", "sharp")}
    assert len(picks) == (3 if folds else 1)
    assert {p["all"] for p in result.manifest["best_experts"]} == {"mild"}


def test_non_inferiority_is_tested_against_it():
    result = pathfuse.fuse(pathfuse.read_study(*sure_of_itself()), "static_product")
    tests = result.tests.filter(
        pl.col("test").str.starts_with("non-inferiority") & (pl.col("method") == "fused")
    )
    held = dict(tests.select("metric", "reference").iter_rows())
    assert held["nll"] == "best_expert"
    assert held["auroc"] == "best_expert_auroc"


@pytest.mark.slow
def test_the_certificate_and_the_report_stay_with_nll(tmp_path):
    result = pathfuse.fuse(pathfuse.read_study(*sure_of_itself()), "static_product")
    assert result.certificate["best_expert"] == "mild"
    result.save(tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "sharp, chosen on the fit rows" in page  # in AUROC
    assert "the best expert by it on the fit rows (mild)" in page  # in NLL
    assert '<th scope="row">best_expert_auroc</th>' not in page.split('<h2 id="differences">')[0]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["best_experts_by_metric"]


def test_the_same_expert_adds_nothing(simulate):
    study = simulate(n_experts=2)
    result = pathfuse.fuse(pathfuse.read_study(*study), "static_product", n_resamples=0)
    same = (
        result.manifest["best_experts"][0]["all"]
        == result.manifest["best_experts_by_metric"][0]["all"]
    )
    assert same == ("best_expert_auroc" not in result.comparisons["reference"].to_list())


def test_evaluate_compares_experts_with_it_but_not_with_itself():
    result = pathfuse.evaluate(pathfuse.read_study(*sure_of_itself()), n_resamples=0)
    pairs = result.comparisons.filter(pl.col("reference") == "best_expert_auroc")
    assert pairs.select("method", "metric").rows() == [("mild", "auroc")]
    assert (
        "sharp"
        not in result.comparisons.filter(pl.col("reference") == "best_expert_auroc")["method"]
    )


def test_an_expert_may_not_have_its_name():
    samples, experts = sure_of_itself()
    study = pathfuse.read_study(samples, {**experts, "best_expert_auroc": experts["mild"]})
    with pytest.raises(pathfuse.InputError, match="belongs to a method"):
        pathfuse.evaluate(study)
