import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import Table
from pathfuse.study.samples import partitions, read_samples


def samples(**columns):
    return read_samples(Table("samples.csv", pl.DataFrame(columns)))


def test_rows_are_sorted_by_identifier_with_everything_they_carry():
    read = samples(sample_id=["b", "a", "c"], split=["test", "fit", "train"], label=["y", "x", "z"])
    assert read.ids.tolist() == ["a", "b", "c"]
    assert read.roles.tolist() == ["fit", "test", "train"]
    assert read.columns(["label"]).values["label"].tolist() == ["x", "y", "z"]
    assert read.columns(["label"]).ids == ["a", "b", "c"]


def test_identifiers_are_text_and_sorted_as_text():
    assert samples(sample_id=[10, 9, 100]).ids.tolist() == ["10", "100", "9"]


def test_a_patient_is_the_sample_itself_unless_given():
    assert samples(sample_id=["b", "a"]).patients.tolist() == ["a", "b"]
    assert samples(sample_id=["b", "a"], patient_id=["p", None]).patients.tolist() == ["a", "p"]


@pytest.mark.parametrize(("n_blank", "warned"), [(0, False), (9, False), (10, True), (50, False)])
def test_many_empty_cells_of_patients_are_a_warning(n_blank, warned):
    patients = [None if i < n_blank else f"p{i}" for i in range(50)]
    found = samples(sample_id=[f"s{i}" for i in range(50)], patient_id=patients).warnings
    assert bool(found) == warned
    if warned:
        assert f"{n_blank} of 50 samples have an empty cell for their patient" in found[0]


def test_roles_and_folds_are_optional():
    read = samples(sample_id=["a"])
    assert read.roles is None
    assert read.folds is None


@pytest.mark.parametrize(
    ("role", "shown"), [("val", "'val'"), ("Fit", "'Fit'"), ("", "empty"), (None, "empty")]
)
def test_an_unknown_role_is_named(role, shown):
    with pytest.raises(InputError) as caught:
        samples(sample_id=["a", "b"], split=["fit", role])
    assert str(caught.value) == (
        f"samples.csv, column 'split', sample 'b': the role is {shown}; it must be fit, test or train"
    )


@pytest.mark.parametrize("folds", [[0, 1, 2], ["0", "1", "2"], [0.0, 1.0, 2.0], ["0.0", "1", " 2"]])
def test_folds_are_whole_numbers_however_they_are_written(folds):
    assert samples(sample_id=["a", "b", "c"], fold=folds).folds.tolist() == [0, 1, 2]


@pytest.mark.parametrize("fold", ["one", "0.5", "", None, "nan", "inf", "1e400"])
def test_what_is_no_whole_number_is_no_fold(fold):
    with pytest.raises(
        InputError, match=r"samples.csv, column 'fold', sample 'b': '.*' must be a whole number"
    ):
        samples(sample_id=["a", "b"], fold=["0", fold])


def test_one_fold_is_none():
    with pytest.raises(InputError, match=r"samples.csv, column 'fold': there is one fold only"):
        samples(sample_id=["a", "b"], fold=[3, 3])


def test_split_or_fold_and_not_both():
    with pytest.raises(
        InputError, match=r"samples.csv has both a column 'split' and a column 'fold'"
    ):
        samples(sample_id=["a", "b"], split=["fit", "test"], fold=[0, 1])


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (
            {"split": ["test", "fit", "fit"]},
            "column 'split': patient 'p' is in both split 'fit' and 'test'",
        ),
        (
            {"split": ["train", "fit", "fit"]},
            "column 'split': patient 'p' is in both split 'fit' and 'train'",
        ),
        ({"fold": [2, 1, 1]}, "column 'fold': patient 'p' is in both fold '1' and '2'"),
    ],
)
def test_a_patient_stays_in_one_place(columns, what):
    with pytest.raises(InputError) as caught:
        samples(sample_id=["a", "b", "c"], patient_id=["p", "p", "q"], **columns)
    assert f"samples.csv, {what}" in str(caught.value)


def test_a_patient_named_like_another_ones_sample_counts_as_the_same():
    with pytest.raises(InputError, match="patient 'a' is in both"):
        samples(sample_id=["a", "b"], patient_id=[None, "a"], split=["fit", "test"])


def ids(read, rows):
    return read.ids[rows].tolist()


def test_fit_on_fit_and_judge_on_test():
    read = samples(sample_id=["d", "c", "b", "a"], split=["fit", "train", "test", "fit"])
    (part,) = partitions(read)
    assert (part.name, ids(read, part.fit), ids(read, part.judged)) == ("", ["a", "d"], ["b"])
    (part,) = partitions(read, allow_in_sample=True)
    assert (ids(read, part.fit), ids(read, part.judged)) == (["a", "c", "d"], ["b"])


def test_each_fold_is_judged_by_a_fit_on_the_others():
    read = samples(sample_id=list("abcdef"), fold=[7, 3, 7, 3, 5, 5])
    parts = partitions(read)
    assert [part.name for part in parts] == ["3", "5", "7"]
    assert [ids(read, part.judged) for part in parts] == [["b", "d"], ["e", "f"], ["a", "c"]]
    for part in parts:
        assert sorted(np.concatenate([part.fit, part.judged])) == list(range(6))


@pytest.mark.parametrize(
    ("roles", "what"),
    [
        (["test", "test"], "samples.csv, column 'split': no row has the role 'fit'"),
        (["fit", "fit"], "samples.csv, column 'split': no row has the role 'test'"),
        (["fit", "train"], "samples.csv, column 'split': no row has the role 'test'"),
        (
            ["train", "test"],
            "no row has the role 'fit'; its 1 'train' rows .* only with --allow-in-sample",
        ),
        (None, "samples.csv has neither a column 'split' nor a column 'fold'"),
    ],
)
def test_nothing_to_fit_on_or_to_judge(roles, what):
    read = samples(sample_id=["a", "b"], **({"split": roles} if roles else {}))
    with pytest.raises(InputError, match=what):
        partitions(read)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"sample_id": ["1", "1.0"]}, "column 'sample_id': '1' and '1.0' are two spellings"),
        ({"patient_id": ["P1", "p1"]}, "column 'patient_id': 'P1' and 'p1' are two spellings"),
        ({"patient_id": ["A", None]}, "column 'patient_id': 'A' and 'a' are two spellings"),
        ({"patient_id": ["007", "7"]}, "column 'patient_id': '007' and '7' are two spellings"),
        ({"site": ["Ulm", "ulm"]}, "column 'site': 'Ulm' and 'ulm' are two spellings"),
    ],
)
def test_patients_and_sites_have_one_spelling(columns, what):
    ids = {"sample_id": ["b", "a"]}
    with pytest.raises(InputError, match=f"samples.csv, {what}"):
        samples(**(ids | columns))


def test_sections_lie_inside_patients():
    rows = {"sample_id": ["a", "b", "c", "d"], "patient_id": ["p", "p", "q", "q"]}
    found = samples(**rows, section=["1", "1", "1", "2"]).sections
    assert found[0] == found[1]
    assert len({found[0], found[2], found[3]}) == 3  # section 1 of another patient is another
    assert samples(**rows, slide=[7, 7, 8, 8]).sections.tolist() == [0, 0, 1, 1]
    both = samples(**rows, section=["x", "y", "z", "z"], slide=["s"] * 4).sections
    assert len(set(both.tolist())) == 3  # of the two columns the section
    assert samples(**rows).sections is None
    assert samples(**rows, section=["1", "2", "3", "4"]).sections is None  # nothing inside them
    assert samples(sample_id=["a", "b"], section=["1", "1"]).sections is None  # whose are they?
