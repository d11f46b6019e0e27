"""The samples table of new samples."""

import polars as pl
import pytest

from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.multilabel import Multilabel
from pathfuse.errors import InputError
from pathfuse.workflows.drift.labels import only_listed, read_about

CLASSES = Multiclass(("x", "y"))


def test_truth_patients_and_order_are_all_optional():
    about = read_about(pl.DataFrame({"sample_id": ["b", "a"]}), CLASSES)
    assert (about.patients, about.truth) == (None, None)
    table = pl.DataFrame(
        {"sample_id": ["b", "a", "c"], "patient_id": ["p", "q", None], "label": ["y", None, "x"]}
    )
    about = read_about(table, CLASSES)
    assert about.patients == ["p", "q", "c"]
    truth = about.truth_of(["a", "b", "c"], "all")
    assert truth.known.tolist() == [False, True, True]
    assert truth.observed[1:].tolist() == [[False, True], [True, False]]


def test_numbers_are_ordered_by_size_and_dates_as_text():
    table = pl.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "n": ["10", "9", "9"],
            "day": ["2026-02-01", "2025-12-31", "2026-01-09"],
        }
    )
    about = read_about(table, CLASSES)
    assert about.order(["a", "c", "b"], "n") == ["c", "b", "a"]
    assert about.order(["a", "b", "c"], "day") == ["b", "c", "a"]
    with pytest.raises(InputError, match="has no column 'week'"):
        about.order(["a"], "week")


def test_an_empty_cell_of_the_order_is_refused():
    about = read_about(pl.DataFrame({"sample_id": ["a", "b"], "day": ["1", None]}), CLASSES)
    with pytest.raises(InputError, match="column 'day', sample 'b': the cell is empty"):
        about.order(["a", "b"], "day")


def test_labels_of_another_study_are_refused():
    with pytest.raises(InputError, match="'z' is none of the classes x, y"):
        read_about(pl.DataFrame({"sample_id": ["a", "b"], "label": ["z", "x"]}), CLASSES)


def test_a_label_that_nobody_gives_is_not_known():
    endpoint = Multilabel(("kras", "tp53"))
    table = pl.DataFrame({"sample_id": ["a", "b"], "label_tp53": ["1", None]})
    about = read_about(table, endpoint)
    assert about.truth_of(["a", "b"], "tp53").known.tolist() == [True, False]
    assert not about.truth_of(["a", "b"], "kras").known.any()


def test_most_samples_must_be_listed():
    about = read_about(pl.DataFrame({"sample_id": ["a", "b"]}), CLASSES)
    assert only_listed(about, ["a", "b", "c"]) == (["a", "b"], 1)
    with pytest.raises(InputError, match="does not list 2 of the 3 samples"):
        only_listed(about, ["a", "c", "d"])
