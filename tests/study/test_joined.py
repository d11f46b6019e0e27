"""Rows of predictions that could be of samples and of patients, or that are counted otherwise."""

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.reading import Reading
from pathfuse.study.study import read_study

N = 12
P = [round(0.05 * (n + 1), 2) for n in range(N)]
LABELS = ["a", "b"] * (N // 2)


def of_b(study, name="uni"):
    """The probability of class b that a study has of each sample, in the order of its samples."""
    expert = next(e for e in study.experts if e.name == name)
    found = np.exp(study.logits("all", np.full(2, 0.5))[:, study.experts.index(expert), 1])
    return [round(float(p), 6) for p in found]


def expert(names, column, rows=None):
    rows = range(len(names)) if rows is None else rows
    return pl.DataFrame(
        {column: names, "prob_a": [1 - P[n] for n in rows], "prob_b": [P[n] for n in rows]}
    )


@pytest.fixture
def numbered():
    """Slides 1 to 12 of the patients 12 to 1."""
    ids = [f"{n:d}" for n in range(1, N + 1)]
    return pl.DataFrame({"slide_id": ids, "case_id": ids[::-1], "label": LABELS})


NUMBERED = [f"{n:d}" for n in range(1, N + 1)]


def by_sample(frame, column):
    """What a frame of numbered slides says of each, joined by one of its columns."""
    value = dict(zip(NUMBERED, P, strict=True))
    return [value[i] for i in frame.sort("slide_id")[column]]


@pytest.mark.parametrize("unit", ["sample", "patient"])
@pytest.mark.parametrize("column", ["case_id", "PATIENT", "patient_id", "submitter_id"])
def test_a_column_of_patients_is_joined_to_patients(numbered, column, unit):
    study = read_study(numbered, {"uni": expert(NUMBERED, column)}, unit=unit)
    assert of_b(study) == by_sample(numbered, "case_id")


@pytest.mark.parametrize("unit", ["sample", "patient"])
@pytest.mark.parametrize("column", ["slide_id", "sample_id", "FILENAME"])
def test_a_column_of_samples_is_joined_to_samples(numbered, column, unit):
    study = read_study(numbered, {"uni": expert(NUMBERED, column)}, unit=unit)
    assert of_b(study) == by_sample(numbered, "slide_id")


def test_a_column_that_says_neither_is_refused_where_patients_may_speak(numbered):
    table = {"uni": expert(NUMBERED, "id")}
    with pytest.raises(
        InputError, match=r"of 12, 12 are samples there and 12 are patients \('1' is"
    ):
        read_study(numbered, table, unit="patient")
    assert of_b(read_study(numbered, table)) == by_sample(numbered, "slide_id")


def test_samples_in_a_column_of_patients_are_refused_where_fewer_are_patients(numbered):
    half = numbered.with_columns(case_id=pl.Series([f"{1 + n // 2}" for n in range(N)][::-1]))
    with pytest.raises(InputError, match="12 are samples there and 6 are patients") as caught:
        read_study(half, {"uni": expert(NUMBERED, "case")}, unit="patient")
    assert "call their column sample_id" in str(caught.value)
    six = {"uni": expert(NUMBERED[:6], "case")}
    own = dict(zip(NUMBERED, P, strict=True))
    assert of_b(read_study(half, six, unit="patient")) == [
        own[i] for i in half.sort("slide_id")["case_id"]
    ]
    with pytest.raises(InputError, match="its rows are patients: --unit patient lets each speak"):
        read_study(half, six)


@pytest.mark.parametrize("column", ["case_id", "sample_id", "id"])
def test_slides_named_like_their_only_patient(column):
    rows = [("P0-1", "P0"), ("P0-2", "P0"), ("P1", "P1"), ("P2-1", "P2"), ("P2-2", "P2")]
    rows += [("P3", "P3")]
    samples = pl.DataFrame(
        {"slide_id": [s for s, _ in rows], "case_id": [p for _, p in rows], "label": list("aabbba")}
    )
    table = {"uni": expert(["P0", "P1", "P2", "P3"], column)}
    study = read_study(samples, table, unit="patient")
    assert of_b(study) == [P[0], P[0], P[1], P[2], P[2], P[3]]
    assert not any("so that each patient is one sample" in line for line in study.understood)
    with pytest.raises(InputError, match="--unit patient lets each speak"):
        read_study(samples, table)


def test_patients_that_the_study_lacks_are_no_samples(numbered):
    fewer = numbered.with_columns(slide_id=pl.Series([f"{n}" for n in range(7, 7 + N)]))
    more = expert([f"{n}" for n in range(1, 16)], "case_id", [n % N for n in range(15)])
    study = read_study(fewer, {"uni": more}, unit="patient")
    assert len(study.experts[0].ids) == N
    assert study.left_out[0]["first"] == ["13", "14", "15"]
    assert study.left_out[0]["reason"] == "predicted patients that are not in samples"


def test_patients_without_truth_are_counted_once(numbered):
    gone = numbered.with_columns(label=pl.Series([None, *LABELS[1:]]))  # slide 1 of patient 12
    study = read_study(gone, {"uni": expert(NUMBERED, "case_id")}, unit="patient")
    assert [line["reason"] for line in study.left_out] == ["no label"]


def test_folds_of_patients_are_those_of_their_samples(tmp_path, numbered):
    for k in range(2):
        place = tmp_path / "uni" / f"split-{k}"
        place.mkdir(parents=True)
        names = NUMBERED[6 * k : 6 * k + 6]
        table = {"PATIENT": names, "t": "a", "pred": "a", "t_a": 0.5, "t_b": 0.5}
        pl.DataFrame(table).write_csv(place / "patient-preds.csv")
    study = read_study(numbered, tmp_path, unit="patient").with_own_folds().samples
    assert study.folds.tolist() == [int(p) > 6 for p in study.patients]


def test_a_row_whose_patient_is_another_there_is_said(numbered):
    both = expert(NUMBERED, "slide_id").with_columns(case_id=pl.Series(NUMBERED))
    study = read_study(numbered, {"uni": both})
    assert of_b(study) == by_sample(numbered, "slide_id")
    said = "12 of 12 samples are of another patient than in samples ('1' of '1', there of '12')"
    assert any(said in note for note in study.understood)
    right = both.with_columns(case_id=numbered["case_id"])
    study = read_study(numbered, {"uni": right})
    assert of_b(study) == by_sample(numbered, "slide_id")
    assert not any("of another patient" in note for note in study.understood)
    cases = pl.DataFrame({"case_id": NUMBERED, "label": LABELS})
    with pytest.raises(InputError, match="one row per slide"):
        read_study(cases, {"uni": right})


def test_zeros_that_patients_have_lost():
    patients = [f"{95 + n // 2:04d}" for n in range(N)]
    samples = pl.DataFrame(
        {"slide_id": [f"x{n}" for n in range(N)], "case_id": patients, "label": LABELS}
    )
    lost = {"uni": expert([f"{95 + n}" for n in range(6)], "PATIENT")}
    with pytest.raises(InputError, match="it is '0095' there that stands for '95'") as caught:
        read_study(samples, lost, unit="patient")
    assert "the first is '95'; there the first patient is '0095'" in str(caught.value)
    some = {"uni": expert(["95", "0096", "0097", "0098", "0099", "0100"], "PATIENT")}
    with pytest.raises(
        InputError, match=r"column 'patient_id': '95' is not in samples; it is '0095'"
    ):
        read_study(samples, some, unit="patient")


def test_names_that_lost_their_zeros_are_not_taken_for_the_other_kind(numbered):
    padded = numbered.with_columns(case_id=pl.col("case_id").str.zfill(3))
    with pytest.raises(InputError, match="it is '001' there that stands for '1'"):
        read_study(padded, {"uni": expert(NUMBERED, "PATIENT")}, unit="patient")
    padded = numbered.with_columns(slide_id=pl.col("slide_id").str.zfill(3))
    with pytest.raises(InputError, match="it is '001' there that stands for '1'"):
        read_study(padded, {"uni": expert(NUMBERED, "slide_id")}, unit="patient")


@pytest.mark.parametrize(("theirs", "ours"), [(0, 1), (1, 0)])
def test_rows_counted_from_0_and_from_1_are_refused(theirs, ours):
    samples = pl.DataFrame({"sample_id": range(ours, ours + N), "label": LABELS})
    table = {"uni": expert([f"{n}" for n in range(theirs, theirs + N)], "sample_id")}
    says = f"numbered {theirs} to {theirs + 11}, and those of samples {ours} to {ours + 11}"
    with pytest.raises(InputError, match=says):
        read_study(samples, table)
    study = read_study(samples, table, reading=Reading(allow_partial=True))
    assert int(study.n_scored().sum()) == N - 1


def test_a_first_row_that_has_no_truth_is_no_other_count():
    samples = pl.DataFrame({"sample_id": range(N), "label": [None, *LABELS[1:]]})
    study = read_study(samples, {"uni": expert([f"{n}" for n in range(N)], "sample_id")})
    assert len(study.experts[0].ids) == N - 1


@pytest.mark.parametrize("lost", [slice(0, N - 1), slice(1, N)])
def test_other_counts_are_found_where_rows_are_lost(lost):
    ours = [f"img_{n}" for n in range(1, N + 1) if n != 5]
    samples = pl.DataFrame({"sample_id": ours, "label": LABELS[1:]})
    table = expert([f"img_{n}" for n in range(N)], "sample_id")
    if lost.start:  # without 0, nothing can be told
        read_study(samples, {"uni": table[lost]})
        return
    with pytest.raises(InputError, match="numbered img_0 to img_10, and those of samples img_1"):
        read_study(samples, {"uni": table[lost]})


def test_a_cohort_whose_expert_scored_one_more_and_one_less_is_sound():
    samples = pl.DataFrame({"sample_id": range(1, N + 1), "label": LABELS})
    study = read_study(samples, {"uni": expert([f"{n}" for n in range(2, N + 2)], "sample_id")})
    assert int(study.n_scored().sum()) == N - 1


def test_two_blocks_that_differ_by_a_zero_can_be_said_to_be_two():
    ids = [f"S20-{100 + n}.1" for n in range(N)]
    samples = pl.DataFrame({"slide_id": ids, "label": LABELS})
    table = {"uni": expert([*ids[1:], "S20-100.01"], "slide_id")}
    with pytest.raises(InputError, match="in one way, or, if they are two samples, say --allow-p"):
        read_study(samples, table)
    study = read_study(samples, table, reading=Reading(allow_partial=True))
    assert int(study.n_scored().sum()) == N - 1
    assert study.left_out[0]["first"] == ["S20-100.01"]
