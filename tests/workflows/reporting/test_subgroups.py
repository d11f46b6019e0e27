"""``subgroups.csv``: figures against scikit-learn, Holm, too small groups, folds, patients."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import pathfuse
from pathfuse.evaluation.multiplicity import holm


@pytest.fixture(scope="module")
def fused(fused_kind):
    return fused_kind("multiclass")


def test_values_are_those_of_the_rows_of_the_group(fused):
    study, result = fused
    table, samples = result.tables["subgroups"], study.samples.frame
    rows = result.fused.join(samples, on="sample_id").filter(pl.col("sex") == "F")
    truth, prob = (rows["label"] == "tumor").to_numpy(), rows["prob_tumor"].to_numpy()
    own = table.filter((pl.col("group") == "F") & (pl.col("method") == "fused"))
    found = dict(own.select("metric", "value").iter_rows())
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, prob))
    assert found["nll"] == pytest.approx(log_loss(truth, prob))
    assert set(own["n"]) == set(own["n_patients"]) == {rows.height}


def test_all_groups_of_all_columns_are_there_and_sum_up(fused):
    _, result = fused
    table = result.tables["subgroups"].filter(
        (pl.col("metric") == "nll") & (pl.col("method") == "fused")
    )
    assert table["column"].unique(maintain_order=True).to_list() == ["site", "sex", "age", "stage"]
    assert set(table.filter(pl.col("column") == "stage")["group"]) == {"1", "2", "3", "(none)"}
    assert set(table.group_by("column").agg(pl.col("n").sum())["n"]) == {60}
    assert any("--by age" in note for note in result.manifest["notes"])
    assert result.manifest["by"] == ["sex", "age", "stage"]


def test_p_values_are_adjusted_over_the_groups_and_two_groups_are_one_test(fused):
    _, result = fused
    own = result.tables["subgroups"].filter(
        (pl.col("metric") == "auroc") & (pl.col("method") == "fused")
    )
    once = own.filter(~((pl.col("group") == "M") | (pl.col("group") == "Basel")))
    assert once["p_holm"].to_numpy() == pytest.approx(holm(once["p_value"].to_numpy()))
    sex = own.filter(pl.col("column") == "sex")
    assert sex["difference"][0] == pytest.approx(-sex["difference"][1])
    assert sex["p_holm"][0] == sex["p_holm"][1]


def test_only_the_leading_method_has_differences(fused):
    _, result = fused
    others = result.tables["subgroups"].filter(pl.col("method") == "best_expert")
    assert others["value"].is_not_null().all()
    assert others["p_value"].is_null().all()


def test_too_small_a_group_is_stated(grouped_study):
    study = grouped_study("multiclass")
    sizes = ["rare" if i in (50, 60, 70) else "common" for i in range(100)]
    frame = study.samples.frame.with_columns(kind=pl.Series(sizes)).drop("site")
    experts = {
        e.name: pl.DataFrame({
            "sample_id": list(e.ids), "prob_tumor": np.exp(e.outputs["all"].log_prob[:, 1]),
            "prob_benign": np.exp(e.outputs["all"].log_prob[:, 0]),
        })
        for e in study.experts
    }  # fmt: skip
    result = pathfuse.evaluate(pathfuse.read_study(frame, experts), by="kind", n_resamples=200)
    table = result.tables["subgroups"]
    rare = table.filter(pl.col("group") == "rare")
    assert rare["value"].is_null().all()
    assert set(rare["note"]) == {"3 patients, fewer than 10"}
    common = table.filter(pl.col("group") == "common")
    assert common["value"].is_not_null().all()
    assert set(common["note"]) == {"of the others 3 patients, fewer than 10"}


def test_an_effect_that_is_there_is_flagged():
    rng = np.random.default_rng(3)
    n, ids = 240, [f"s{i:03d}" for i in range(240)]
    truth, hard = rng.integers(2, size=n), np.arange(n) % 2
    samples = pl.DataFrame({
        "sample_id": ids, "label": [["a", "b"][c] for c in truth],
        "split": ["fit"] * 40 + ["test"] * 200, "scanner": [["old", "new"][h] for h in hard],
    })  # fmt: skip
    margin = np.where(hard == 1, 3.0, 0.2) * (2 * truth - 1)
    experts = {
        f"e{m}": pl.DataFrame(
            {"sample_id": ids, "logit_a": np.zeros(n), "logit_b": margin + rng.normal(size=n)}
        )
        for m in range(2)
    }
    study = pathfuse.read_study(samples, experts)
    table = pathfuse.evaluate(study, by="scanner", n_resamples=200).tables["subgroups"]
    assert table["interaction"].to_list() == [True] * 4


@pytest.mark.parametrize("kind", ["survival", "regression", "multilabel"])
def test_every_endpoint_has_them(fused_kind, kind):
    table = fused_kind(kind)[1].tables["subgroups"].filter(pl.col("column") == "sex")
    assert table["value"].is_not_null().all()
    assert table["ci_low"].is_null().all()
    assert table["metric"].n_unique() == 2


def test_nothing_without_columns(simulate):
    samples, experts = simulate(n_experts=2)
    result = pathfuse.evaluate(pathfuse.read_study(samples, experts), n_resamples=0)
    assert "subgroups" not in result.tables


def test_patients_that_were_averaged_are_of_the_group_of_their_first_sample(simulate):
    samples, experts = simulate(n_experts=2, per_patient=2)
    samples = samples.with_columns(sex=pl.Series([["F", "M"][i // 2 % 2] for i in range(100)]))
    study = pathfuse.read_study(samples, experts)
    table = pathfuse.evaluate(study, by="sex", unit="patient", n_resamples=0).tables["subgroups"]
    assert set(table["n"]) == {10}


def test_one_site_has_no_subgroups(grouped_study):
    study = grouped_study("multiclass")
    frame = study.samples.frame.with_columns(site=pl.lit("Bern"))
    study = replace(study, samples=replace(study.samples, frame=frame))
    assert "subgroups" not in pathfuse.evaluate(study, n_resamples=0).tables
    table = pathfuse.evaluate(study, by="sex", n_resamples=0).tables["subgroups"]
    assert set(table["column"]) == {"sex"}


def test_a_column_that_does_not_divide_the_judged_rows_is_a_note(grouped_study, fuse_quickly):
    study = grouped_study("multiclass")
    frame = study.samples.frame.with_columns(batch=pl.col("split"))
    study = replace(study, samples=replace(study.samples, frame=frame))
    result = fuse_quickly(study, by="batch", n_resamples=0)
    assert set(result.tables["subgroups"]["column"]) == {"site"}
    note = "--by batch: all judged samples are in one group, so there is nothing to compare"
    assert note in result.manifest["notes"]
