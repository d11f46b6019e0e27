"""The headline: who the best expert is, what nobody may claim, and how many patients there were."""

import polars as pl
import pytest

from pathfuse.report.headline import headline
from pathfuse.report.slopes import slope_sentence
from pathfuse.report.words import people, positive_class

ROWS = {"fit": 60, "judged": 228, "patients_fit": 30, "patients_judged": 114}
TEST = "paired bootstrap by patient, 2000 resamples"


def manifest_of(**more):
    return {
        "rows": ROWS,
        "experts": {"uni": {}, "virchow2": {}},
        "endpoint": {"kind": "multiclass"},
        **more,
    }


def comparisons_of(*rows):
    names = [
        "method",
        "reference",
        "output",
        "metric",
        "difference",
        "ci_low",
        "ci_high",
        "p_value",
        "test",
    ]
    kinds = [pl.String] * 4 + [pl.Float64] * 4 + [pl.String]
    return pl.DataFrame(list(rows), schema=dict(zip(names, kinds, strict=True)), orient="row")


def picks(*names):
    return [{"fold": str(k), "all": name} for k, name in enumerate(names)]


BETTER = ("fused", "best_expert", "all", "nll", -0.105, -0.2, -0.05, 0.001, TEST)


def test_the_best_expert_is_named():
    said = headline(
        comparisons_of(BETTER), manifest_of(best_experts=[{"fold": None, "all": "uni"}])
    )
    assert said == (
        "The fusion's NLL is 0.105 better than that of the best expert of the fit rows (uni): difference -0.105, "
        "95 % interval -0.200 to -0.050; 228 samples of 114 patients."
    )


def test_folds_that_picked_different_experts_are_named_and_one_expert_alone_stands_beside():
    manifest = manifest_of(
        best_experts=picks("uni", "uni", "virchow2", "uni", "virchow2"),
        best_expert_of_all_folds="uni",
    )
    alone = ("fused", "uni", "all", "nll", 0.012, -0.01, 0.03, 0.4, TEST)
    said = headline(comparisons_of(BETTER, alone), manifest)
    assert "best expert of the fit rows (uni in folds 0, 1, 3; virchow2 in folds 2, 4)" in said
    assert said.endswith(
        " Against uni alone, the best over the fit rows of all folds, it is 0.012 worse (difference 0.012, 95 % "
        "interval -0.010 to 0.030)."
    )


def test_one_expert_in_every_fold_needs_no_second_figure():
    manifest = manifest_of(best_experts=picks("uni", "uni"), best_expert_of_all_folds="uni")
    said = headline(comparisons_of(BETTER, ("fused", "uni", *BETTER[2:])), manifest)
    assert "fit rows (uni): " in said
    assert "alone" not in said


def test_labels_that_picked_different_experts_are_counted():
    best = [{"fold": None, "KRAS": "uni", "TP53": "virchow2", "EGFR": "uni"}]
    assert "(uni 2 times; virchow2 once)" in headline(
        comparisons_of(BETTER), manifest_of(best_experts=best)
    )


def null(difference, low, high, better, method="fused"):
    own = {
        "nll": 1.1 + difference,
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "better": better,
    }
    what = "the class frequencies of the fit rows"
    return {"what": what, "outputs": {"all": {"nll": 1.1, "methods": {method: own}}}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            null(0.02, 0.01, 0.04, False),
            (
                "The fusion learned nothing: its NLL 1.120 is not better than that of the class frequencies of the fit "
                "rows (1.100; difference +0.020, 95 % interval +0.010 to +0.040; 228 samples of 114 patients)."
            ),
        ),
        (
            null(-0.02, -0.05, 0.01, False),
            (
                "The fusion learned nothing that shows: its NLL 1.080 is not clearly better than that of the class "
                "frequencies of the fit rows (1.100; difference -0.020, 95 % interval -0.050 to +0.010; 228 samples "
                "of 114 patients)."
            ),
        ),
        (
            null(0.0, None, None, False),
            (
                "The fusion learned nothing: its NLL 1.100 is not better than that of the class frequencies of the fit "
                "rows (1.100; difference 0.000, no interval; 228 samples of 114 patients)."
            ),
        ),
        (
            null(0.3, 0.2, 0.4, False, "uni"),
            (
                "The expert is not shown to be better than the class frequencies of the fit rows (NLL 1.100; "
                "228 samples of 114 patients)."
            ),
        ),
    ],
)
def test_who_learned_nothing_is_not_praised(found, said):
    assert headline(comparisons_of(BETTER), manifest_of(null_model=found)) == said


@pytest.mark.parametrize(
    "found", [null(-0.2, -0.3, -0.1, True), null(-0.2, None, None, None), None]
)
def test_who_learned_something_or_may_have_is_beside_the_best_expert(found):
    assert "better than that of the best expert" in headline(
        comparisons_of(BETTER), manifest_of(null_model=found)
    )


@pytest.mark.parametrize(
    ("bare", "said"),
    [
        (0, "228 samples of 114 patients"),
        (228, "228 samples; no patients were given, so intervals treat each as independent"),
        (4, "228 samples of 110 patients and 4 without a patient, which stand for themselves"),
        (1, "228 samples of 113 patients and 1 without a patient, which stands for itself"),
    ],
)
def test_patients_are_claimed_only_where_they_were_given(bare, said):
    rows = {**ROWS, "patients_judged": 228 if bare == 228 else 114, "judged_without_patient": bare}
    assert people(rows, "judged") == said


def test_the_positive_class_is_said_with_its_reason():
    assert positive_class({}) == positive_class({"positive_class": None}) == ""
    chosen = {"positive_class": {"name": "benign", "chosen": True}}
    assert positive_class(chosen) == "positive class: benign (chosen with --positive)"


ENDPOINTS = {
    "multiclass": {"kind": "multiclass", "classes": ["a", "b", "c"]},
    "multilabel": {"kind": "multilabel", "labels": ["EGFR", "KRAS"]},
    "regression": {"kind": "regression", "targets": ["ERBB2"]},
}
"""As they stand in the manifest."""


def calibration(**slopes):
    return {
        name: dict(zip(("slope", "slope_low", "slope_high"), s, strict=True))
        for name, s in slopes.items()
    }


@pytest.mark.parametrize(
    ("kind", "slope", "said"),
    [
        ("multilabel", (0.8, 0.7, 0.9), ("is 0.80, 95 % interval 0.70 to 0.90 (logit P = a + b logit p): below 1, so "
                                        "its predictions are too sure.")),
        ("multilabel", (1.8, 1.2, 2.9), "above 1, so its predictions are too timid."),
        ("multilabel", (0.8, 0.5, 1.1), ("the interval includes 1, so these rows do not show that predictions are too "
                                        "sure or too timid.")),
        ("multilabel", (0.8, None, None), "is 0.80, without an interval (logit P = a + b logit p): without an "),
        ("regression", (0.8, 0.7, 0.9), "(truth = a + b prediction): below 1, so its predictions are too far apart."),
        ("multiclass", (0.8, 0.7, 0.9), "(P in proportion to p to the power b): below 1"),
        ("multilabel", (None, None, None), "The judged rows define no calibration slope."),
    ],
)  # fmt: skip
def test_too_sure_and_too_timid_follow_from_the_interval(kind, slope, said):
    manifest = {"endpoint": ENDPOINTS[kind], "calibration": calibration(all=slope)}
    assert said in slope_sentence(manifest)


def test_of_several_labels_those_are_named_whose_interval_excludes_one():
    found = calibration(
        KRAS=(0.5, 0.4, 0.6), TP53=(1.0, 0.7, 1.4), EGFR=(2.0, 1.5, 3.0), RB1=(None, None, None)
    )
    assert slope_sentence({"endpoint": ENDPOINTS["multilabel"], "calibration": found}) == (
        "The calibration slopes of the fusion on the judged rows are 0.50 to 2.00 over 3 of 4 outputs (logit P = a + b "
        "logit p); the interval excludes 1 for KRAS 0.50, 95 % interval 0.40 to 0.60 (too sure); EGFR 2.00, 95 % "
        "interval 1.50 to 3.00 (too timid)."
    )


def test_a_run_without_calibration_says_nothing_of_it():
    assert slope_sentence({"endpoint": ENDPOINTS["multiclass"]}) == ""


ALARM = {"check": "copied", "sentence": "zz is a copy of uni"}


def test_an_open_alarm_comes_before_any_praise():
    said = headline(comparisons_of(BETTER), manifest_of(best_experts=picks("uni"), alarms=[ALARM]))
    assert said.startswith("One alarm is open (see the warnings): until it is settled, the ")
    assert "As it stands: the fusion's NLL is 0.105 better" in said
    said = headline(comparisons_of(BETTER), manifest_of(alarms=[ALARM, ALARM]))
    assert said.startswith("2 alarms are open")


def test_the_best_expert_by_another_metric_has_its_own_sentence():
    row = ("fused", "best_expert_auroc", "all", "auroc", -0.02, -0.05, 0.01, 0.2, TEST)
    chosen = [{"fold": None, "metric": "auroc", "all": "virchow2"}]
    said = headline(
        comparisons_of(BETTER, row),
        manifest_of(best_experts=picks("uni"), best_experts_by_metric=chosen),
    )
    assert said.endswith(
        "In AUROC it is 0.020 worse than the best expert by AUROC on the fit rows (virchow2; "
        "difference -0.020, 95 % interval -0.050 to 0.010)."
    )
