"""Samples tables as tools write them."""

import datetime as dt

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, table_in_memory
from pathfuse.study.intake import take_in
from pathfuse.study.reading import Reading


def intake(reading=None, endpoint=None, **columns):
    table = table_in_memory("samples.csv", pl.DataFrame(columns))
    return take_in(table, endpoint, reading or Reading())


@pytest.mark.parametrize(
    ("patient", "sample"),
    [
        ("case_id", "slide_id"),
        ("PATIENT", "FILENAME"),
        ("submitter_id", "slide"),
        ("patient", "image_id"),
    ],
)
def test_other_names_of_columns_are_understood_and_said(patient, sample):
    found = intake(**{patient: ["p", "p"], sample: ["a.svs", "b.svs"], "label": ["x", "y"]})
    assert found.table.frame.columns == ["patient_id", "sample_id", "label"]
    assert found.table.frame["sample_id"].to_list() == ["a", "b"]
    assert found.notes[:2] == (
        f"samples.csv: the column '{sample}' is taken as sample_id",
        f"samples.csv: the column '{patient}' is taken as patient_id",
    )


def test_a_table_of_patients_is_a_table_of_samples():
    found = intake(PATIENT=["p", "q"], label=["x", "y"])
    assert found.table.frame["sample_id"].to_list() == ["p", "q"]


def test_two_columns_that_could_be_meant_are_an_error_unless_they_agree():
    with pytest.raises(InputError, match="both 'case_id' and 'PATIENT' could be patient_id"):
        intake(sample_id=["a", "b"], case_id=["p", "q"], PATIENT=["p", "r"], label=["x", "y"])
    same = intake(sample_id=["a", "b"], case_id=["p", "q"], PATIENT=["p", "q"], label=["x", "y"])
    assert "patient_id" in same.table.frame.columns
    chosen = Reading(columns={"patient": "PATIENT"})
    found = intake(
        chosen, sample_id=["a", "b"], case_id=["p", "q"], PATIENT=["p", "r"], label=["x", "y"]
    )
    assert found.table.frame["patient_id"].to_list() == ["p", "r"]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"patient": "nobody"}, "samples.csv has no column 'nobody'"),
        ({"planet": "label"}, "--columns 'planet' is unknown; what can be named"),
    ],
)
def test_columns_that_are_not_there(columns, what):
    with pytest.raises(InputError, match=what):
        intake(Reading(columns=columns), sample_id=["a", "b"], label=["x", "y"])


def test_only_suffixes_of_files_are_cut_off():
    names = ["S20-100.1", "S20-100.2", "TCGA-A1-A0SB-01Z-00-DX1.B34C.svs", "x.SVS.h5", "y.tif"]
    found = intake(sample_id=names, label=list("xyxyx"))
    assert found.table.frame["sample_id"].to_list() == [
        "S20-100.1", "S20-100.2", "TCGA-A1-A0SB-01Z-00-DX1.B34C", "x", "y",
    ]  # fmt: skip


def test_a_pattern_takes_the_part_that_identifies():
    names = ["TCGA-A1-A0SB-01Z-00-DX1.B34C", "TCGA-B2-B0SB-01Z-00-DX1.C34C"]
    for reading in (
        Reading(id_pattern="tcga-case"),
        Reading(id_length=12),
        Reading(id_pattern="^(.{12})"),
    ):
        found = intake(reading, sample_id=names, label=["x", "y"])
        assert found.table.frame["sample_id"].to_list() == ["TCGA-A1-A0SB", "TCGA-B2-B0SB"]
    with pytest.raises(InputError, match="'S1' does not fit the pattern"):
        intake(Reading(id_pattern="tcga-case"), sample_id=["S1"], label=["x"])


@pytest.mark.parametrize("word", ["NA", "N/A", "NaN", "null", "-", "", None])
def test_missing_labels_are_left_out_and_counted(word):
    found = intake(sample_id=list("abcd"), label=["x", "y", "x", word])
    assert found.table.frame["label"].to_list() == ["x", "y", "x"]
    assert found.left_out == ({"reason": "no label", "n": 1, "first": ["d"]},)
    assert found.without == {"d"}
    with pytest.raises(InputError, match="no label: 'd'; without --strict"):
        intake(Reading(strict=True), sample_id=list("abcd"), label=["x", "y", "x", word])


def test_more_than_half_is_not_left_out_in_silence():
    with pytest.raises(InputError, match=r"2 of 3 samples would be left out \(no label"):
        intake(sample_id=list("abc"), label=["x", "NA", "NA"])
    found = intake(Reading(allow_partial=True), sample_id=list("abc"), label=["x", "NA", "NA"])
    assert found.table.frame.height == 1


@pytest.mark.parametrize(
    "events",
    [
        ["1", "0", "1"], [True, False, True], ["True", "False", "TRUE"], [1.0, 0.0, 1.0],
        ["DECEASED", "LIVING", "DECEASED"], ["1:DECEASED", "0:LIVING", "1:DECEASED"], ["yes", "no", "yes"],
    ],
)  # fmt: skip
def test_events_in_words(events):
    found = intake(PATIENT=list("abc"), OS_MONTHS=[1.0, 2.0, 3.0], OS_STATUS=events)
    assert found.kind.kind == "survival"
    assert found.table.frame["event"].to_list() == ["1", "0", "1"]


def test_censorship_is_turned_round_and_said():
    found = intake(slide_id=list("abc"), survival_months=[1.0, 2.0, 3.0], censorship=[1, 0, 1])
    assert found.table.frame["event"].to_list() == ["0", "1", "0"]
    assert any("event is 1 minus the column 'censorship'" in note for note in found.notes)


def test_times_of_zero_need_a_rule():
    columns = {"PATIENT": list("abc"), "OS_MONTHS": [0.0, 2.0, 3.0], "OS_STATUS": [1, 0, 1]}
    with pytest.raises(InputError, match="column 'OS_MONTHS', sample 'a': 0 is not a time above 0"):
        intake(**columns)
    half = intake(Reading(zero_time="half-day"), **columns).table.frame["time"].to_list()
    assert float(half[0]) == pytest.approx(0.5 / 30.4375)
    dropped = intake(Reading(zero_time="drop"), **columns)
    assert dropped.left_out[0]["reason"] == "a follow-up of 0"
    with pytest.raises(InputError, match="the column 'time' does not say its unit"):
        intake(Reading(zero_time="half-day"), sample_id=["a", "b"], time=[0, 1], event=[1, 1])


def test_one_hot_columns_are_classes_unless_asked_otherwise():
    columns = {
        "sample_id": list("abc"),
        "label_x": [True, False, False],
        "label_y": [False, True, True],
    }
    found = intake(**columns)
    assert found.kind.kind == "multiclass"
    assert found.table.frame["label"].to_list() == ["x", "y", "y"]
    assert intake(endpoint="multilabel", **columns).kind.kind == "multilabel"


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        (["0.0", "1.0"], ["0", "1"]),
        ([True, False], ["True", "False"]),
        (["a", "b.0"], ["a", "b.0"]),
    ],
)
def test_labels_have_one_spelling(labels, ours):
    assert intake(sample_id=["a", "b"], label=labels).table.frame["label"].to_list() == ours


def test_validation_rows_are_fit_rows():
    found = intake(sample_id=list("abc"), split=["val", "Test", "train"], label=["x", "y", "x"])
    assert found.table.frame["split"].to_list() == ["fit", "test", "train"]
    assert "samples.csv: the role 'val' is taken as 'fit'" in found.notes


GDC = {
    "sample_id": list("abcdefghijklmnopqrst"),
    "vital_status": ["Dead"] * 12 + ["Alive"] * 8,
    "days_to_death": ["100"] * 12 + [None] * 8,
    "days_to_last_follow_up": [None] * 11 + ["90"] + ["700"] * 8,
}


def test_follow_up_of_the_gdc_is_put_together_and_said():
    found = intake(**GDC)
    assert found.kind.kind == "survival"
    assert found.table.frame["time"].to_list() == ["100"] * 12 + ["700"] * 8
    assert found.table.frame["event"].to_list() == ["1"] * 12 + ["0"] * 8
    assert (
        "'days_to_death (of the dead) or days_to_last_follow_up (of all others)'" in found.notes[0]
    )
    named = {f"demographic.{name}" if name != "sample_id" else name: c for name, c in GDC.items()}
    assert intake(**named).table.frame["time"].to_list() == ["100"] * 12 + ["700"] * 8
    assert intake(**GDC, diagnosis=["x", "y"] * 10).kind.kind == "multiclass"


@pytest.mark.parametrize(
    ("time", "what"),
    [
        ("days_to_death", r"all 8 samples .* are censored; .* \(days_to_last_follow_up\?\)"),
        ("days_to_last_follow_up", r"all 11 samples .* with an event; .* \(days_to_death\?\)"),
    ],
)
def test_follow_up_that_only_one_outcome_has_is_not_left_out_in_silence(time, what):
    chosen = {"time": time, "event": "vital_status"}
    with pytest.raises(InputError, match=f"column '{time}': {what}; if that is right"):
        intake(Reading(columns=chosen), **GDC)
    found = intake(Reading(columns=chosen, allow_partial=True), **GDC)
    assert found.left_out[0]["reason"] == "no follow-up"


def test_a_few_samples_without_a_time_are_left_out():
    time, event = ["1", "2", "3", "4", "5", None, None], list("1010100")
    assert intake(sample_id=list("abcdefg"), time=time, event=event).left_out[0]["n"] == 2


@pytest.mark.parametrize(
    ("time", "event"),
    [("DFS_MONTHS", "DFS_STATUS"), ("PFI.time", "PFI"), ("dss_days", "dss_event")],
)
def test_one_pair_of_another_follow_up_is_taken(time, event):
    found = intake(sample_id=["a", "b"], **{time: ["5", "6"], event: ["1:Recurred", "0:None"]})
    assert found.table.frame["event"].to_list() == ["1", "0"]
    assert found.notes == (
        f"samples.csv: the column '{time}' is taken as time",
        f"samples.csv: the column '{event}' is taken as event",
    )


def test_several_pairs_are_an_error_unless_overall_survival_is_one():
    pairs = {"DFS_MONTHS": ["1"], "DFS_STATUS": ["1"], "PFS_MONTHS": ["2"], "PFS_STATUS": ["1"]}
    with pytest.raises(InputError, match=r"time=DFS_MONTHS,event=DFS_STATUS or .*event=PFS_STATUS"):
        intake(sample_id=["a"], **pairs)
    found = intake(sample_id=["a"], OS_MONTHS=["3"], OS_STATUS=["1:DECEASED"], **pairs)
    assert found.table.frame["time"].to_list() == ["3"]


def test_a_table_that_looks_like_survival_is_told_how_to_name_the_follow_up():
    with pytest.raises(InputError, match="holds the classes; --columns time=NAME,event=NAME"):
        intake(sample_id=["a"], OS_STATUS=["1:DECEASED"], PFS_MONTHS=["3"])


def test_a_second_column_that_differs_is_named():
    ids = {"sample_id": ["a", "b", "c"]}
    found = intake(**ids, label=["x", "y", "y"], diagnosis=["x", "y", "z"], gt=["x", "y", None])
    assert found.notes == (
        "samples.csv: the column 'diagnosis' is not used: it differs from 'label' in 1 row",
    )
    follow_up = {"time": ["1", "2", "3"], "event": ["1", "0", "1"]}
    found = intake(
        **ids, **follow_up, days=["30", "60", "90"], vital_status=["Dead", "Alive", "Alive"]
    )
    assert [note.split("'")[1] for note in found.notes] == ["days", "vital_status"]
    assert (
        intake(**ids, **follow_up, censorship=["0", "1", "0"], days=["1.0", "2", "3"]).notes == ()
    )


@pytest.mark.parametrize(
    ("name", "cells"),
    [("censorship", ["1", "0", "1"]), ("vital_status", ["Alive", "Dead", "Alive"])],
)
def test_a_second_column_of_events_that_says_the_opposite_is_refused(name, cells):
    table = {"sample_id": list("abc"), "time": list("123"), "event": list("101"), name: cells}
    with pytest.raises(
        InputError, match=f"'event' and '{name}' contradict each other in every row"
    ):
        intake(**table)
    assert intake(Reading(columns={"event": "event"}), **table).notes == ()


def test_an_event_in_an_unknown_word_names_the_tables_column_and_the_words():
    table = {"sample_id": ["a", "b"], "OS_MONTHS": ["1", "2"], "vital_status": ["Dead", "Unknown"]}
    with pytest.raises(
        InputError, match=r"'vital_status', sample 'b': 'Unknown' is .* dead, .* alive"
    ):
        intake(**table)


def test_words_speak_for_themselves_under_a_name_that_is_turned_round():
    table = {"sample_id": ["a", "b"], "time": ["1", "2"]}
    found = intake(**table, censorship=["uncensored", "censored"])
    assert found.table.frame["event"].to_list() == ["1", "0"]
    assert found.notes == ("samples.csv: the column 'censorship' is taken as event",)
    assert intake(**table, censored=["no", "yes"]).table.frame["event"].to_list() == ["1", "0"]


FLAGS = {"sample_id": list("abc"), "time": list("123"), "x": ["1", "0", "1"]}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("is_censored", "censored"), ("cens", "censored"), ("OS.Censored", "censored"), ("isCensored", "censored"),
        ("right-censored", "censored"), ("zensiert", "censored"), ("alive", "alive"), ("is_alive", "alive"),
        ("isAlive", "alive"), ("Living", "alive"), ("survived", "alive"),
        ("disease_free", "no event"), ("Progression-Free", "no event"), ("isEventFree", "no event"),
        ("surv", "no event"),
    ],
)  # fmt: skip
def test_a_name_that_says_censored_or_alive_is_turned_round_and_said(name, what):
    table = {name if column == "x" else column: cells for column, cells in FLAGS.items()}
    found = intake(Reading(columns={"event": name}), **table)
    assert found.table.frame["event"].to_list() == ["0", "1", "0"]
    assert any(
        f"event is 1 minus the column '{name}', in which 1 means {what}" in n for n in found.notes
    )


@pytest.mark.parametrize(
    "name",
    ["uncensored", "not_censored", "un-censored", "not_alive", "died", "status", "license", "nicht_zensiert",
     "no_longer_alive", "non_censored", "nicht mehr lebend", "not_disease_free", "disease_free_status",
     "progression_free_survival_event", "survival", "surv_status"],
)  # fmt: skip
def test_other_names_are_not(name):
    table = {name if column == "x" else column: cells for column, cells in FLAGS.items()}
    found = intake(Reading(columns={"event": name}), **table)
    assert found.table.frame["event"].to_list() == ["1", "0", "1"]


@pytest.mark.parametrize("name", ["event_or_censored", "alive_dead", "dead_or_alive"])
def test_a_name_that_says_both_is_refused_unless_its_cells_are_words(name):
    table = {name if column == "x" else column: cells for column, cells in FLAGS.items()}
    with pytest.raises(InputError, match=f"say --columns censorship={name}, else call the column"):
        intake(Reading(columns={"event": name}), **table)
    found = intake(Reading(columns={"censorship": name}), **table)
    assert found.table.frame["event"].to_list() == ["0", "1", "0"]
    words = intake(Reading(columns={"event": name}), **table | {name: ["dead", "alive", "dead"]})
    assert words.table.frame["event"].to_list() == ["1", "0", "1"]


@pytest.mark.parametrize("more", [{}, {"event": list("111")}, {"censorship": list("111")}])
def test_a_column_of_any_name_can_be_said_to_be_censorship(more):
    found = intake(Reading(columns={"censorship": "x"}), **FLAGS, **more)
    assert found.table.frame["event"].to_list() == ["0", "1", "0"]
    assert "samples.csv: the column 'x' is taken as censorship" in found.notes
    assert any("event is 1 minus the column 'censorship'" in note for note in found.notes)


def test_censorship_and_event_name_one_column():
    with pytest.raises(InputError, match="name two columns for one"):
        intake(Reading(columns={"censorship": "x", "event": "x"}), **FLAGS)
    with pytest.raises(InputError, match="has no column 'y'"):
        intake(Reading(columns={"censorship": "y"}), **FLAGS)


@pytest.mark.parametrize("column", ["label", "Diagnosis"])
def test_labels_plus_and_minus_are_refused_plainly(column):
    with pytest.raises(
        InputError, match=rf"column '{column}': '-' \(2 cells\) is read as a missing"
    ):
        intake(sample_id=list("abcd"), **{column: ["+", "-", "-", "++"]})
    found = intake(sample_id=list("abcd"), label=["x", "-", "y", "x"], er=["+", "-", "+", "+"])
    assert found.left_out[0]["n"] == 1


@pytest.mark.parametrize(
    "word", ["[Not Available]", "[Not Applicable]", "[Unknown]", "#NULL!", "#N/A"]
)
def test_missing_values_of_tcga_spss_and_excel(word):
    assert intake(sample_id=list("abcd"), label=["x", "y", "x", word]).without == {"d"}


@pytest.mark.parametrize("word", ["Unknown", "NONE", "Not Reported"])
def test_plain_words_are_labels(word):
    assert intake(sample_id=list("abcd"), label=["x", "y", "x", word]).without == frozenset()


def test_columns_of_which_each_row_has_one_are_proposed_as_classes():
    table = {
        "sample_id": list("abc"),
        "age": ["61", "0", "1"],
        "neg": ["1", "0", "0"],
        "pos": list("011"),
    }
    with pytest.raises(
        InputError, match="--columns label_neg=neg,label_pos=pos takes them as classes"
    ):
        intake(**table)
    chosen = Reading(columns={"label_neg": "neg", "label_pos": "pos"})
    assert intake(chosen, **table).table.frame["label"].to_list() == ["neg", "pos", "pos"]
    with pytest.raises(InputError) as caught:
        intake(**table | {"pos": list("111")})
    assert "label_neg" not in str(caught.value)


def test_durations_are_days():
    days = [dt.timedelta(days=30), dt.timedelta(days=1, hours=12), None]
    found = intake(sample_id=list("abc"), time=days, event=[1, 0, 1])
    assert found.table.frame["time"].to_list() == ["30.0", "1.5"]
    assert "samples.csv: time holds durations, which are taken in days" in found.notes


@pytest.mark.parametrize("column", ["Slide", "Diagnosis", "Case", "Remark"])
def test_merged_cells_of_a_column_that_is_used_are_refused(column):
    frame = pl.DataFrame(
        {
            "Slide": list("abc"),
            "Case": list("xyz"),
            "Diagnosis": list("uvu"),
            "Remark": ["", "", "r"],
        }
    )
    table = Table("s.xlsx", frame, unclear={column: "the cells B4:C4 are merged"})
    reading = Reading(columns={"label": "Diagnosis"})
    if column == "Remark":
        assert take_in(table, reading=reading).table.frame.height == 3
        return
    with pytest.raises(InputError, match="the cells B4:C4 are merged"):
        take_in(table, reading=reading)


def test_a_column_of_two_groups_names_no_patients():
    ids = [f"s{n}" for n in range(24)]
    table = {"slide_id": ids, "label": list("ab") * 12}
    for name, cells in (
        ("case", ["1", "0"]), ("patient_id", ["1.0", "0.0"]), ("subject", ["ill", "well"]), ("case", ["1", "1"])
    ):  # fmt: skip
        grouped = table | {name: cells * 12}
        with pytest.raises(InputError, match=f"'{name}' holds nothing but .* for 24 samples, so"):
            intake(**grouped)
        found = intake(Reading(columns={"patient": name}), **grouped)
        assert found.table.frame["patient_id"].to_list() == cells * 12
    assert intake(**table, patient_id=["p", "q"] * 12).table.frame["patient_id"].n_unique() == 2
    assert intake(**table, case=[None, "q"] * 12).table.frame["patient_id"].n_unique() == 2
    few = {"slide_id": ids[:4], "label": list("abab"), "case": list("pqpq")}
    assert intake(**few).table.frame["patient_id"].to_list() == list("pqpq")
