"""``flow.csv``, ``characteristics.csv`` and ``detectable.csv``."""

import numpy as np
import polars as pl
import pytest

import pathfuse


def cells(result, characteristic):
    own = result.tables["characteristics"].filter(pl.col("characteristic") == characteristic)
    return {
        level: (fit, judged) for level, fit, judged in own["level", "fit", "judged"].iter_rows()
    }


@pytest.fixture(scope="module")
def fused(fused_kind):
    return fused_kind("multiclass")[1]


def test_the_flow_counts_what_the_manifest_counts(fused):
    flow = fused.tables["flow"]
    counts = {step: (n, people) for step, _, n, people, _ in flow.iter_rows()}
    rows = fused.manifest["rows"]
    assert counts["read"] == (rows["read"], 100)
    assert counts["fit"] == (rows["fit"], rows["patients_fit"])
    assert counts["judged"] == (rows["judged"], rows["patients_judged"])


def test_rows_left_out_stand_with_their_reason(simulate, fuse_quickly):
    samples, experts = simulate(n_experts=2, n_train=7)
    samples = samples.with_columns(
        label=pl.when(pl.int_range(pl.len()) < 5).then(None).otherwise("label")
    )
    result = fuse_quickly(pathfuse.read_study(samples, experts), n_resamples=0)
    flow = result.tables["flow"]
    assert flow.filter(pl.col("step") == "samples table")["samples"].to_list() == [107]
    assert flow.filter(pl.col("step") == "read")["samples"].to_list() == [102]
    gone = flow.filter(pl.col("step") == "left out")
    assert gone["samples"].to_list() == [5, 7]
    assert "role 'train'" in gone["reason"][1]
    train = result.tables["characteristics"].filter(pl.col("characteristic") == "samples")
    assert train.row(0) == ("samples", "", "7", "55", "40")


def test_every_fold_is_counted(simulate):
    samples, experts = simulate(n_experts=2, n_folds=3)
    result = pathfuse.evaluate(pathfuse.read_study(samples, experts), n_resamples=0)
    flow = result.tables["flow"].filter(pl.col("fold") != "")
    assert flow["fold"].to_list() == ["0", "0", "1", "1", "2", "2"]
    assert flow.filter(pl.col("step") == "judged")["samples"].sum() == 100


def test_characteristics_by_split(grouped_study, fused):
    frame = grouped_study("multiclass").samples.frame
    own = frame.filter(pl.col("split") == "test")
    n = own.filter(pl.col("label") == "tumor").height
    assert cells(fused, "class")["tumor"][1] == f"{n} ({100 * n / 60:.1f} %)"
    assert cells(fused, "sex")["M"] == ("13 (32.5 %)", "20 (33.3 %)")
    low, middle, high = np.quantile(own["age"], [0.25, 0.5, 0.75])
    assert cells(fused, "age")["median (quartiles)"][1] == f"{middle:g} ({low:g} to {high:g})"
    assert cells(fused, "site")["Basel"] == ("20 (50.0 %)", "30 (50.0 %)")
    assert cells(fused, "not scored by") == {
        "expert_0": ("0 (0.0 %)", "0 (0.0 %)"),
        "expert_1": ("8 (20.0 %)", "12 (20.0 %)"),
    }


def test_follow_up_and_events_of_survival(fused_kind):
    study, result = fused_kind("survival")
    events = int(study.truth["all"].event[40:].sum())
    assert cells(result, "patients with an event")[""][1] == f"{events} ({events / 0.6:.1f} %)"
    (name,) = (n for n in result.tables["characteristics"]["characteristic"] if "follow-up" in n)
    assert " to " in cells(result, name)["time (95 % interval)"][1]


def test_means_of_continuous_targets(fused_kind):
    study, result = fused_kind("regression")
    values = study.samples.frame["target_A"].to_numpy()[40:]
    found = cells(result, "A")["mean (sd)"][1].split(" ")[0]
    assert float(found) == pytest.approx(values.mean(), rel=0.01)


def test_the_detectable_difference_follows_from_the_interval(fused):
    row = fused.tables["detectable"].filter(pl.col("metric") == "nll").row(0, named=True)
    pair = (pl.col("method") == "fused") & (pl.col("reference") == "best_expert")
    (own,) = fused.comparisons.filter(pair & (pl.col("metric") == "nll")).to_dicts()
    width = own["ci_high"] - own["ci_low"]
    assert row["detectable"] == pytest.approx(
        width / 2 * (1.959964 + 0.841621) / 1.959964, rel=1e-5
    )


def test_evaluate_has_them_without_a_fit(grouped_study):
    result = pathfuse.evaluate(grouped_study("multilabel"), n_resamples=0)
    assert {"flow", "characteristics", "failures", "subgroups"} <= set(result.tables)
    assert "detectable" not in result.tables
    assert set(result.tables["failures"]["output"]) == {"A", "B"}
