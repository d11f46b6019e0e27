"""Which columns name groups, and the groups that they name."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.workflows.reporting.grouping import check_by, columns_by, grouping, named_columns


@pytest.fixture(scope="module")
def study(grouped_study):
    return grouped_study("multiclass")


def with_column(study, values):
    frame = study.samples.frame.with_columns(pl.Series("x", values))
    return replace(study, samples=replace(study.samples, frame=frame))


def test_the_site_is_always_looked_at(study):
    assert columns_by(study, None) == ["site"]
    assert columns_by(study, " sex, stage ,sex") == ["site", "sex", "stage"]
    assert named_columns(None) == []


@pytest.mark.parametrize(("by", "sentence"), [
    ("sex,smoker", "has no such column; those that can name groups are site, sex, age, stage"),
    ("label", "--by label: the column is what is predicted"),
    ("sample_id", "--by sample_id: the column names samples or patients, not groups of them"),
    ("patient_id", "--by patient_id: the column names samples or patients, not groups of them"),
    ("split", "--by split: the column says which rows are judged and has no groups among them"),
    (" , ", "--by names no column; give some of the samples table, such as sex,stage"),
])  # fmt: skip
def test_columns_that_name_no_groups_are_refused(study, by, sentence):
    with pytest.raises(InputError) as caught:
        check_by(study.samples, study.endpoint, by)
    assert sentence in str(caught.value)


def test_times_and_events_are_refused(grouped_study):
    study = grouped_study("survival")
    with pytest.raises(InputError, match="is what is predicted"):
        check_by(study.samples, study.endpoint, "event")


def test_few_numbers_are_names_in_their_order(study):
    values = [[10, 9, 2, None][i % 4] for i in range(100)]
    found = grouping(with_column(study, values), "x", np.arange(100))
    assert found.names == ("2", "9", "10", "(none)")
    assert found.member[:4].tolist() == [2, 1, 0, 3]
    assert (found.numbers, found.note) == (None, "")


def test_many_numbers_are_cut_at_the_quartiles_of_the_judged_rows(study):
    values = np.arange(100.0)
    judged = np.arange(40, 100)
    found = grouping(with_column(study, values), "x", judged)
    assert found.names == ("40 to 54", "55 to 69", "70 to 84", "85 to 99")
    assert np.bincount(found.member[judged]).tolist() == [15, 15, 15, 15]
    assert found.note == (
        "--by x: its numbers are in quarters of the judged samples: 40 to 54, 55 to 69, 70 to 84, "
        "85 to 99"
    )


def test_numbers_that_are_mostly_alike_have_fewer_groups(study):
    values = [0.0] * 60 + [float(i) for i in range(1, 41)]
    found = grouping(with_column(study, values), "x", np.arange(100))
    assert found.names == ("0", "1 to 15", "16 to 40")
    assert np.bincount(found.member).tolist() == [60, 15, 25]


def test_blank_numbers_are_a_group(study):
    values = [None if i % 10 == 0 else float(i) for i in range(100)]
    found = grouping(with_column(study, values), "x", np.arange(100))
    assert found.names[-1] == "(none)"
    assert (found.member == 4).sum() == 10


NOTHING = "in all samples, so there is nothing to compare"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([None] * 100, "--by: the column 'x' of samples is empty"),
        (["II"] * 100, f"--by: the column 'x' has one value ('II') {NOTHING}"),
        ([2.0] * 100, f"--by: the column 'x' has one value ('2') {NOTHING}"),
    ],
)
def test_columns_with_one_value_are_refused(study, values, sentence):
    study = with_column(study, values)
    with pytest.raises(InputError) as caught:
        check_by(study.samples, study.endpoint, "sex,x")
    assert str(caught.value) == sentence


def test_one_value_and_blank_cells_are_two_groups(study):
    study = with_column(study, ["II", None] * 50)
    check_by(study.samples, study.endpoint, "x")
    found = grouping(study, "x", np.arange(100))
    assert found.names == ("II", "(none)")
    assert found.divides(np.arange(100))
    assert not found.divides(np.arange(0, 100, 2))
