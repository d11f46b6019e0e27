"""``failures.csv``: the largest losses, with each expert's word."""

import numpy as np
import polars as pl
import pytest

import pathfuse


def test_they_are_the_largest_losses(fused_kind):
    study, result = fused_kind("multiclass")
    table = result.tables["failures"]
    rows = result.fused.join(study.samples.frame, on="sample_id")
    tumor = (rows["label"] == "tumor").to_numpy()
    of_truth = np.where(tumor, rows["prob_tumor"], rows["prob_benign"])
    order = np.argsort(of_truth)[:20]
    assert table["sample_id"].to_list() == rows["sample_id"].to_numpy()[order].tolist()
    assert table["loss"].to_numpy() == pytest.approx(-np.log(of_truth[order]))
    assert table["probability_of_truth"].to_numpy() == pytest.approx(of_truth[order])
    assert table["truth"].to_list() == rows["label"].to_numpy()[order].tolist()


def test_each_expert_has_its_word_and_is_right_or_not(fused_kind):
    _, result = fused_kind("multiclass")
    table = result.tables["failures"]
    names = ["expert_expert_0", "expert_expert_1"]
    stated = table.select(names).to_numpy()
    right = (stated > 0.5).sum(axis=1)  # of two classes; NaN is not right
    assert table["experts_right"].to_list() == right.tolist()
    assert table["experts_scored"].to_list() == (~np.isnan(stated)).sum(axis=1).tolist()
    wrong = table["probability_of_truth"].to_numpy() < 0.5
    assert table["wrong"].to_list() == wrong.tolist()
    assert result.manifest["failures"] == {
        "method": "fused",
        "shown": 20,
        "wrong": int(wrong.sum()),
        "wrong_with_an_expert_right": int((wrong & (right > 0)).sum()),
    }


def test_errors_of_numbers_are_in_standard_deviations(fused_kind):
    study, result = fused_kind("regression")
    table = result.tables["failures"]
    assert set(table["output"]) == {"A", "B"}  # though B is on ten times the scale
    row = table.filter(pl.col("output") == "B").row(0, named=True)
    sd = study.truth["all"].observed[40:, 1].std()
    assert row["loss"] == pytest.approx(
        abs(float(row["truth"]) - float(row["predicted"])) / sd, rel=0.01
    )
    assert table["loss"].is_sorted(descending=True)
    assert table["probability"].is_null().all()


def test_survival_states_time_and_event(fused_kind):
    table = fused_kind("survival")[1].tables["failures"]
    assert {text.split(" at ")[0] for text in table["truth"]} <= {"event", "censored"}
    assert all(text.startswith("median") for text in table["predicted"])
    assert table["loss"].to_numpy() == pytest.approx(
        -np.log(table["probability_of_truth"].to_numpy())
    )


def test_patients_that_were_averaged_are_named_as_patients(simulate):
    samples, experts = simulate(n_experts=2, per_patient=2)
    study = pathfuse.read_study(samples, experts)
    table = pathfuse.evaluate(study, unit="patient", n_resamples=0).tables["failures"]
    assert table["sample_id"].is_null().all()
    assert table["patient_id"].is_unique().all()
    assert table["patient_id"].str.starts_with("test-").all()
