"""Decision curves of runs, and options that make none."""

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.errors import InputError
from pathfuse.evaluation.net_benefit import NetBenefitOfClass
from pathfuse.report.sections.utility import SECTION
from pathfuse.workflows.evaluate import faults_of_evaluate
from pathfuse.workflows.fuse import faults_of_fuse


def fused(simulate, classes=("no", "yes"), **options):
    study = pathfuse.read_study(*simulate(classes=classes))
    return pathfuse.fuse(study, "static_product", n_resamples=200, **options)


def survival(n=60, edges=(0.0, 1.0, 2.0, float("inf"))):
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(n)]
    time = rng.uniform(0.1, 3.0, size=n)
    samples = pl.DataFrame(
        {"sample_id": ids, "split": ["fit", "test"] * (n // 2), "time": time}
        | {"event": rng.permutation(np.arange(n) % 2)}
    )
    experts = {
        name: pl.DataFrame(
            {"sample_id": ids}
            | {f"hazard_logit_{k}": 1 - time + rng.normal(size=n) for k in range(1, len(edges))}
        )
        for name in ("one", "two")
    }
    return pathfuse.read_study(samples, experts, time_edges=edges)


def test_two_classes_have_curves_and_differences(simulate):
    result = fused(simulate, thresholds="0.1:0.4")
    curves, table = result.tables["decision_curves"], result.tables["utility"]
    own = curves.filter(pl.col("reference") == "")
    assert own["method"].unique(maintain_order=True).to_list() == [
        "fused",
        "best_expert",
        "treat_all",
        "treat_none",
    ]
    assert set(own["outcome"]) == {"yes"}
    assert own.filter(method="fused")["threshold"].to_list() == pytest.approx(
        np.arange(10, 41) / 100
    )
    pairs = table.select("method", "reference").rows()
    assert pairs[:3] == [("fused", r) for r in ("best_expert", "treat_all", "treat_none")]
    curve = {
        key: own.filter(method=key)["net_benefit"].to_numpy() for key in ("fused", "best_expert")
    }
    at = own.filter(method="fused")["threshold"].to_numpy()
    mean = np.trapezoid(curve["fused"] - curve["best_expert"], at) / (at[-1] - at[0])
    row = table.row(0, named=True)
    assert row["difference"] == pytest.approx(mean)
    assert row["ci_low"] < row["difference"] < row["ci_high"]
    assert 0 < row["p_value"] <= row["p_holm"] <= 1
    assert result.manifest["utility"] == {"thresholds": [0.1, 0.4], "horizon": None}


def test_the_curve_is_that_of_the_fused_probabilities(simulate):
    result = fused(simulate)
    samples = simulate(classes=("no", "yes")).samples
    both = result.fused.join(samples, on="sample_id")
    curves = result.tables["decision_curves"].filter(method="fused", reference="")
    thresholds = curves["threshold"].to_numpy()
    risk = {"m": both["prob_yes"].to_numpy()}
    scores = NetBenefitOfClass(risk, thresholds, both["label"].to_numpy() == "yes")
    values = scores.values(np.ones((1, both.height)))
    ours = [values[f"m at {t:.12g}"][0] for t in thresholds]
    assert curves["net_benefit"].to_list() == pytest.approx(ours)


def test_folds_are_counted_together(simulate):
    made = simulate(n_fit=60, n_test=0, n_folds=2, classes=("no", "yes"))
    result = pathfuse.evaluate(pathfuse.read_study(*made), n_resamples=0)
    curves = result.tables["decision_curves"]
    both = made.samples.join(made.experts["expert_0"], on="sample_id")
    p = 1 / (1 + np.exp(both["logit_no"].to_numpy() - both["logit_yes"].to_numpy()))
    y, t = both["label"].to_numpy() == "yes", 0.3
    by_hand = (y & (p >= t)).mean() - (~y & (p >= t)).mean() * t / (1 - t)
    own = curves.filter(pl.col("method") == "expert_0", pl.col("reference") == "")
    own = own.filter((pl.col("threshold") - t).abs() < 1e-9)
    assert own["net_benefit"].to_list() == [pytest.approx(by_hand)]
    captions = [drawing.caption for drawing in SECTION.draw(result.content())]
    assert "Decisions of all folds are counted together." in captions[0]
    assert curves.filter(method="treat_all", reference="")["net_benefit"][0] == pytest.approx(
        0.5 - 0.5 * 0.05 / 0.95
    )
    assert curves["ci_low"].null_count() == curves.height


def test_each_class_against_the_others(simulate):
    result = fused(simulate, classes=("a", "b", "c"))
    table = result.tables["utility"].filter(method="fused", reference="best_expert")
    assert table["outcome"].to_list() == ["a", "b", "c"]
    assert (table["p_holm"] >= table["p_value"]).all()


def test_survival_at_the_horizon():
    study = survival()
    result = pathfuse.fuse(study, "static_product", n_resamples=200, horizon=1.5)
    assert set(result.tables["utility"]["outcome"]) == {"event by 1.5"}
    chosen = pathfuse.evaluate(study, n_resamples=0)
    assert chosen.manifest["utility"]["horizon"] in (1.0, 2.0)
    assert {"one", "two", "uniform_product"} <= set(chosen.tables["utility"]["method"])


def test_numbers_have_none():
    ids = [f"s{i}" for i in range(30)]
    samples = pl.DataFrame({"sample_id": ids, "target_a": np.arange(30.0)})
    expert = pl.DataFrame({"sample_id": ids, "mean_a": np.arange(30.0) + 1, "sd_a": 1.0})
    study = pathfuse.read_study(samples, {"one": expert})
    result = pathfuse.evaluate(study, n_resamples=0)
    assert not {"utility", "decision_curves", "operating_points"} & set(result.tables)
    with pytest.raises(InputError, match="--thresholds is for decisions about classes"):
        pathfuse.evaluate(study, n_resamples=0, thresholds="0.1:0.2")


def test_labels_each_have_theirs():
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(40)]
    truth = {f"label_{x}": rng.permutation(np.arange(40) % 2) for x in "ab"}
    expert = {
        name: pl.DataFrame({"sample_id": ids} | {f"logit_{x}": rng.normal(size=40) for x in "ab"})
        for name in ("one", "two")
    }
    study = pathfuse.read_study(pl.DataFrame({"sample_id": ids} | truth), expert)
    result = pathfuse.evaluate(study, n_resamples=0)
    assert result.tables["utility"]["output"].unique(maintain_order=True).to_list() == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"thresholds": "0.5:0.1"}, "--thresholds '0.5:0.1' must be two numbers between 0 and 1"),
        ({"horizon": 3.0}, "--horizon is for survival, but the endpoint is multiclass"),
    ],
)
def test_bad_options_are_said_before_any_work(simulate, options, sentence):
    study = pathfuse.read_study(*simulate())
    for run, faults in ((pathfuse.fuse, faults_of_fuse), (pathfuse.evaluate, faults_of_evaluate)):
        with pytest.raises(InputError, match=sentence):
            run(study, **options)
        assert any(sentence in fault for fault in faults(study, **options))


@pytest.mark.parametrize(
    ("horizon", "sentence"),
    [
        (9.0, "--horizon 9 lies after the end of follow-up of the judged rows, 2.9"),
        (2.5, "--horizon 2.5 lies after the last finite bin edge, 2:"),
    ],
)
def test_a_horizon_that_nothing_reaches(horizon, sentence):
    study = survival()
    for run, faults in ((pathfuse.fuse, faults_of_fuse), (pathfuse.evaluate, faults_of_evaluate)):
        with pytest.raises(InputError, match=sentence):
            run(study, horizon=horizon)
        assert any(sentence in fault for fault in faults(study, horizon=horizon))


def test_an_expert_with_few_predictions_takes_no_rows_from_the_others(simulate):
    samples, experts = simulate(classes=("no", "yes"))
    experts["expert_2"] = experts["expert_2"].filter(pl.int_range(pl.len()) % 2 == 0)
    result = pathfuse.evaluate(pathfuse.read_study(samples, experts), n_resamples=0)
    table = result.tables["utility"]
    assert "expert_2" not in set(table["method"])
    assert set(table["n"]) == {40}
    note = "all: no decision curve of expert_2: less than 90% of the rows have a prediction"
    assert note in result.manifest["notes"]
