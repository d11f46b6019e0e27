"""``drift`` from a model and tables to an answer."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.drift.figures import Figure
from pathfuse.errors import InputError
from pathfuse.workflows.drift.find import find_drift
from pathfuse.workflows.steps.seen import digests


def test_samples_of_the_same_kind_give_no_alarm(made):
    found = find_drift(made.model, made.new)
    assert not found.found
    assert found.headline.startswith("No drift found among 150 samples (1 % false alarms)")
    assert found.windows is None


def test_a_broken_expert_is_named_with_when_it_broke(made):
    found = find_drift(made.model, made.broken())
    assert found.found
    assert "expert_1" in {one.figure.expert for one in found.drifted}
    figure, _ = found.stream.first
    assert figure.kind in {"distance", "disagreement"}
    order = made.new["expert_0"]["sample_id"].to_list()
    assert 75 <= order.index(found.stream.alarm) < 120
    assert abs(order.index(found.stream.onset) - 75) <= 8
    assert found.stream.alarm in found.headline


def test_the_order_of_the_file_is_the_order_unless_a_column_says_otherwise(made):
    labels = made.labels.with_columns(pl.Series("day", range(150)).cast(pl.String))
    broken = made.broken()
    shuffled = {
        name: frame.sample(fraction=1, shuffle=True, seed=4) for name, frame in broken.items()
    }
    usual = find_drift(made.model, broken, labels.drop("label"))
    found = find_drift(made.model, shuffled, labels.drop("label"), order="day")
    assert found.stream.alarm == usual.stream.alarm
    assert found.summary["batch"] == usual.summary["batch"]
    assert "'day'" not in found.headline


def test_with_truths_loss_and_calibration_are_followed(made):
    found = find_drift(made.model, made.broken(), made.labels)
    loss = found.windows.filter(pl.col("figure") == "nll")
    assert loss["window"].to_list() == [1, 2, 3]
    assert loss["n_patients"].to_list() == [50, 50, 50]
    assert loss["difference_low"][2] > 0  # worse than the fit rows
    assert loss["ci_low"][0] < loss["reference"][0] < loss["ci_high"][0] + 0.2
    assert "slope" in found.windows["figure"].to_list()
    assert Figure("loss") in {one.figure for one in found.batch.findings}
    values = np.log(
        made.model.predict(made.broken()).sort("sample_id").select("^prob_.*$").to_numpy()
    )
    names = list(made.model.endpoint.outcomes)
    truth = made.labels.sort("sample_id")["label"].to_list()
    by_hand = -np.mean([row[names.index(t)] for row, t in zip(values, truth, strict=True)])
    assert loss["value"].mean() == pytest.approx(by_hand)


def test_truths_may_come_late(made):
    late = made.labels.with_columns(
        pl.when(pl.int_range(pl.len()) < 60).then("label").alias("label")
    )
    found = find_drift(made.model, made.new, late)
    assert found.summary["samples_with_truth"] == 60
    assert found.windows["n"][0] == 60
    none = find_drift(made.model, made.new, late.with_columns(label=pl.lit(None, pl.String)))
    assert none.windows is None


def test_the_same_bytes_every_time(made, tmp_path):
    for name in ("a", "b"):
        find_drift(made.model, made.broken(), made.labels).save(tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert {"drift.csv", "drift.html", "drift.json", "windows.csv"} <= {str(f) for f in files}
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    kept = json.loads((tmp_path / "a/drift.json").read_text())
    assert kept["found"] is True


def test_a_model_keeps_what_it_needs(made, tmp_path):
    made.model.save(tmp_path / "model")
    again = find_drift(tmp_path / "model", made.broken())
    assert again.table.equals(find_drift(made.model, made.broken()).table)


def test_an_older_model_says_that_it_keeps_nothing(made, tmp_path):
    made.model.save(tmp_path / "model")
    replace(made.model, reference=None).save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "model.json", "model.safetensors",
    ]  # fmt: skip
    with pytest.raises(InputError, match="keeps nothing of its fit rows: an older version"):
        find_drift(tmp_path / "model", made.new)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"false_alarms": 0.0}, "--false-alarms must be between 0.002 and 0.5, not 0"),
        ({"order": "day"}, "--order day names a column of --samples"),
        ({"horizon": 3}, "--horizon must be at least 20 patients, not 3"),
        ({"horizon": 10**8}, "--horizon must be at most 100,000 patients, not 100,000,000"),
        ({"horizon": 149}, "--horizon 149 is fewer than the 150 patients that are there already"),
    ],
)
def test_options_out_of_range_are_refused(made, options, said):
    with pytest.raises(InputError, match=said):
        find_drift(made.model, made.new, **options)


def test_too_few_samples_are_refused(made):
    few = {name: frame.head(19) for name, frame in made.new.items()}
    with pytest.raises(InputError, match="at least 20 new patients, but there are 19 samples"):
        find_drift(made.model, few)


def test_an_expert_that_is_gone_is_found(made):
    gone = {name: frame for name, frame in made.new.items() if name != "expert_2"}
    found = find_drift(made.model, gone)
    assert Figure("missing", "expert_2") in {one.figure for one in found.drifted}
    assert "'expert_2' is missing in 100 % of the samples, 0 % in the fit" in found.headline
    half = {**made.new, "expert_2": made.new["expert_2"].gather_every(2)}
    for missing in (one for one in find_drift(made.model, half).drifted if one.figure.share):
        assert missing.in_words == "'expert_2' is missing in 50 % of the samples, 0 % in the fit"


def test_fit_rows_among_the_samples_are_counted_and_said(made, tmp_path):
    fitted = replace(made.model, fitted=digests(made.labels["sample_id"].to_list()[:60]))
    found = find_drift(fitted, made.new)
    assert found.summary["samples_seen_in_fit"] == 60
    said = "60 of the 150 samples were among the fit rows of the model"
    assert said in found.warning
    found.save(tmp_path / "out")
    assert said in (tmp_path / "out/drift.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out/drift.json").read_text())["samples_seen_in_fit"] == 60
    new = find_drift(made.model, made.new)
    assert new.warning is None
    assert new.summary["samples_seen_in_fit"] == 0


def test_samples_without_a_patient_are_said(made, tmp_path):
    number = pl.int_range(pl.len())
    labels = made.labels.with_columns(
        patient_id=pl.when(number >= 18).then(pl.format("p{}", number // 2))
    )
    found = find_drift(made.model, made.new, labels)
    said = "150 samples of 66 patients and 18 without a patient, which stand for themselves"
    assert said in found.headline
    assert found.summary["samples_without_patient"] == 18
    found.save(tmp_path / "out")
    assert "66 patients and 18 without a patient" in (tmp_path / "out/drift.html").read_text(
        "utf-8"
    )
    blank = made.labels.with_columns(patient_id=pl.lit(None, pl.String))
    none = find_drift(made.model, made.new, blank)
    assert not none.summary["patients_named"]
    assert none.headline == find_drift(made.model, made.new, made.labels).headline


def test_it_is_public():
    assert pathfuse.find_drift is find_drift
