"""Operating points: the threshold comes from the fit rows, the figures from the judged ones."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_curve

import pathfuse
from pathfuse.errors import InputError
from pathfuse.workflows.evaluate import faults_of_evaluate
from pathfuse.workflows.fuse import faults_of_fuse

TWO = ("no", "yes")


def values(table, method):
    return dict(table.filter(method=method).select("figure", "value").iter_rows())


def expert_and_truth(study, split):
    """The probability of ``yes`` of the first expert on some rows, and whether it is true."""
    both = study.samples.join(study.experts["expert_0"], on="sample_id").filter(split=split)
    p = 1 / (1 + np.exp(both["logit_no"].to_numpy() - both["logit_yes"].to_numpy()))
    return p, both["label"].to_numpy() == "yes"


def test_the_threshold_of_an_expert_is_that_of_scikit_learn_on_the_fit_rows(simulate):
    study = simulate(classes=TWO)
    result = pathfuse.evaluate(pathfuse.read_study(*study), n_resamples=0)
    table = result.tables["operating_points"]
    p, y = expert_and_truth(study, "fit")
    false, true, thresholds = roc_curve(y, p, drop_intermediate=False)
    theirs = thresholds[(true - false).argmax()]
    own = table.filter(method="expert_0")
    assert own["threshold_low"].to_list() == pytest.approx([theirs] * 4)
    p, y = expert_and_truth(study, "test")
    flagged = p >= theirs
    assert values(table, "expert_0") == pytest.approx(
        {
            "sensitivity": recall_score(y, flagged),
            "specificity": recall_score(~y, ~flagged),
            "ppv": precision_score(y, flagged),
            "npv": precision_score(~y, ~flagged),
        }
    )
    counts = result.tables["confusion"].filter(method="expert_0")["n"].to_numpy().reshape(2, 2)
    assert (counts == confusion_matrix(y, flagged)).all()
    denominators = dict(own.select("figure", "n").iter_rows())
    assert denominators["sensitivity"] == y.sum()
    assert denominators["ppv"] == flagged.sum()


@pytest.mark.parametrize("method", ["auto", "choose"])
def test_judged_labels_change_no_threshold(simulate, method):
    study = simulate(classes=TWO)
    flipped = study.samples.with_columns(
        label=pl.when(pl.col("split") == "test")
        .then(pl.col("label").replace({"no": "yes", "yes": "no"}))
        .otherwise(pl.col("label"))
    )
    tables = [
        pathfuse.fuse(pathfuse.read_study(samples, study.experts), method, n_resamples=0).tables[
            "operating_points"
        ]
        for samples in (study.samples, flipped)
    ]
    assert set(tables[0]["method"]) == {"fused", "best_expert"}
    one, other = (t.select("method", "threshold_low", "threshold_high") for t in tables)
    assert one.equals(other)
    assert not tables[0].equals(tables[1])


def test_a_sensitivity_is_reached_on_the_fit_rows(simulate):
    study = simulate(classes=TWO)
    result = pathfuse.evaluate(
        pathfuse.read_study(*study), n_resamples=0, operating_point="sensitivity=0.9"
    )
    threshold = result.tables["operating_points"].filter(method="expert_0")["threshold_low"][0]
    p, y = expert_and_truth(study, "fit")
    assert recall_score(y, p >= threshold - 1e-9) >= 0.9
    assert recall_score(y, p > threshold + 1e-9) < 0.9


def test_a_certain_figure_has_the_interval_of_those_it_is_a_share_of():
    ids = [f"s{i}" for i in range(60)]
    truth = np.arange(60) % 6 == 0  # ten positive, five of them judged
    samples = pl.DataFrame(
        {"sample_id": ids, "split": ["fit"] * 30 + ["test"] * 30}
        | {"label": np.where(truth, "yes", "no")}
    )
    noise = np.random.default_rng(0).normal(size=60)
    expert = pl.DataFrame(
        {"sample_id": ids, "logit_no": -4 * truth + noise, "logit_yes": 4 * truth}
    )
    study = pathfuse.read_study(samples, {"one": expert})
    result = pathfuse.evaluate(study, n_resamples=200, operating_point="0.5")
    row = result.tables["operating_points"].filter(method="one", figure="sensitivity")
    assert row["value"][0] == 1
    assert row["n_patients"][0] == 5
    assert row["ci_low"][0] == pytest.approx(1 / (1 + 1.959964**2 / 5), abs=1e-6)  # Wilson's, of 5


def test_several_classes_call_the_most_probable(simulate):
    result = pathfuse.fuse(pathfuse.read_study(*simulate()), "static_product", n_resamples=0)
    both = result.fused.join(simulate().samples, on="sample_id")
    counts = result.tables["confusion"].filter(method="fused")
    theirs = confusion_matrix(both["label"].to_numpy(), both["prediction"].to_numpy())
    assert (counts["n"].to_numpy().reshape(3, 3) == theirs).all()
    table = result.tables["operating_points"].filter(method="fused", figure="sensitivity")
    recall = recall_score(both["label"].to_numpy(), both["prediction"].to_numpy(), average=None)
    assert table["value"].to_list() == pytest.approx(recall)
    assert table["threshold_low"].null_count() == 3


def test_each_fold_has_its_threshold(simulate):
    study = pathfuse.read_study(*simulate(n_fit=80, n_test=0, n_folds=2, classes=TWO))
    table = pathfuse.evaluate(study, n_resamples=0).tables["operating_points"]
    assert (table["threshold_low"] < table["threshold_high"]).all()


def test_figures_of_folds_are_shares_of_all_decisions(simulate):
    study = pathfuse.read_study(*simulate(n_fit=90, n_test=0, n_folds=3, classes=TWO))
    result = pathfuse.evaluate(study, n_resamples=200)
    for method in ("expert_0", "best_expert"):
        counts = result.tables["confusion"].filter(method=method)["n"].to_numpy().reshape(2, 2)
        found = values(result.tables["operating_points"], method)
        assert found["sensitivity"] == pytest.approx(counts[1, 1] / counts[1].sum())
        assert found["specificity"] == pytest.approx(counts[0, 0] / counts[0].sum())
        assert found["ppv"] == pytest.approx(counts[1, 1] / counts[:, 1].sum())


@pytest.mark.parametrize("kind", ["fuse", "evaluate"])
def test_patients_are_averaged_first(simulate, kind):
    study = pathfuse.read_study(*simulate(n_fit=80, n_test=40, classes=TWO, per_patient=2))
    run = {"fuse": pathfuse.fuse, "evaluate": pathfuse.evaluate}[kind]
    table = run(study, n_resamples=0, unit="patient").tables["operating_points"]
    own = table.filter(method="best_expert", figure="sensitivity")
    assert own["n"][0] == own["n_patients"][0] == 10


def test_without_fit_rows_only_a_probability_can_be_had(simulate):
    study = simulate(classes=TWO)
    study = pathfuse.read_study(study.samples.drop("split"), study.experts)
    result = pathfuse.evaluate(study, n_resamples=0)
    assert "operating_points" not in result.tables
    reason = "no operating point (youden): there are no fit rows to fix it on"
    assert any(reason in note for note in result.manifest["notes"])
    given = pathfuse.evaluate(study, n_resamples=0, operating_point="0.3")
    assert given.tables["operating_points"]["threshold_low"].to_list()[0] == pytest.approx(0.3)


def test_what_cannot_be_reached_is_said(simulate):
    study = simulate(classes=TWO)
    flat = {"flat": study.experts["expert_0"].with_columns(logit_no=0.0, logit_yes=0.0)}
    result = pathfuse.evaluate(
        pathfuse.read_study(study.samples, {**study.experts, **flat}),
        n_resamples=0,
        operating_point="sensitivity=0.95",
    )
    note = "all: sensitivity=0.95 cannot be reached on the fit rows by flat"
    assert note in result.manifest["warnings"]
    assert "flat" not in set(result.tables["operating_points"]["method"])


@pytest.mark.parametrize(
    ("classes", "rule", "sentence"),
    [
        (TWO, "sensitivity=1.5", "--operating-point 'sensitivity=1.5' is unknown: give youden"),
        (
            ("a", "b", "c"),
            "0.3",
            "--operating-point 0.3 is for two classes or labels, but the endpoint is multiclass with 3",
        ),
    ],
)
def test_bad_rules_are_said_before_any_work(simulate, classes, rule, sentence):
    study = pathfuse.read_study(*simulate(classes=classes))
    for run, faults in ((pathfuse.fuse, faults_of_fuse), (pathfuse.evaluate, faults_of_evaluate)):
        with pytest.raises(InputError, match=sentence):
            run(study, operating_point=rule)
        assert any(sentence in fault for fault in faults(study, operating_point=rule))
