"""Who trains and who is predicted: no patient and no site on both sides, everyone exactly once."""

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.experts.folds import plan, validation_rows
from pathfuse.experts.recipe import TrainingRecipe


def groups(cohort, rows, column="patient_id"):
    return set(cohort.people.samples.frame[column].gather(rows.tolist()).to_list())


def named(cohort, rows):
    return set(cohort.people.samples.ids[rows].tolist())


def check_apart(cohort, laid_out, columns=("patient_id",)):
    for part in laid_out.parts:
        for column in columns:
            assert not groups(cohort, part.train, column) & groups(cohort, part.predict, column), (
                part.name
            )


@pytest.mark.parametrize("group", ["patient", "site"])
@pytest.mark.parametrize("test_from", ["refit", "mean"])
def test_fit_and_test(cohort_of, patients, group, test_from):
    roles = ["test" if i // 2 % 5 == 4 else "fit" for i in range(40)]
    cohort = cohort_of(patients(split=roles), without={"s000", "s008"})
    laid_out = plan(cohort, TrainingRecipe.of(folds=4, group=group, test_from=test_from))
    folds = [part for part in laid_out.parts if part.name.startswith("fold_")]
    fit = {f"s{i:03d}" for i in range(40) if roles[i] == "fit"} - {"s000", "s008"}
    test = {f"s{i:03d}" for i in range(40) if roles[i] == "test"} - {"s008"}
    output = [name for part in folds for name in named(cohort, part.predict) if name in fit]
    assert sorted(output) == sorted(fit)
    for part in folds:
        own = np.array([row for row in part.predict if cohort.people.samples.ids[row] in fit])
        assert not groups(cohort, part.train) & groups(cohort, own)
        if group == "site":
            assert not groups(cohort, part.train, "site") & groups(cohort, own, "site")
        assert named(cohort, part.train) | named(cohort, own) == fit
        assert named(cohort, part.predict) & test == (test if test_from == "mean" else set())
    assert laid_out.fold is None
    if test_from == "refit":
        whole = laid_out.parts[-1]
        assert (whole.name, laid_out.serving) == ("all", ("all",))
        assert named(cohort, whole.train) == fit
        assert named(cohort, whole.predict) == test
        check_apart(cohort, laid_out)
    else:
        assert laid_out.serving == tuple(part.name for part in folds)


def test_train_rows_make_one_model(cohort_of, patients):
    roles = [("train", "fit", "test")[i // 2 % 3] for i in range(40)]
    cohort = cohort_of(patients(split=roles))
    (part,) = plan(cohort, TrainingRecipe.of()).parts
    assert part.train.tolist() == [i for i in range(40) if roles[i] == "train"]
    assert part.predict.tolist() == [i for i in range(40) if roles[i] != "train"]
    with pytest.raises(InputError, match="column 'split': all rows with features are train rows"):
        plan(cohort_of(patients(split=["train"] * 40)), TrainingRecipe.of())


def test_folds_of_the_table(cohort_of, patients):
    cohort = cohort_of(patients(fold=[i // 2 % 3 + 5 for i in range(40)]), without={"s001"})
    laid_out = plan(cohort, TrainingRecipe.of(folds=2))
    assert [part.name for part in laid_out.parts] == ["fold_5", "fold_6", "fold_7"]
    assert laid_out.parts[1].predict.tolist() == [i for i in range(40) if i // 2 % 3 == 1]
    assert sorted(np.concatenate([p.predict for p in laid_out.parts])) == [
        i for i in range(40) if i != 1
    ]
    check_apart(cohort, laid_out)
    assert laid_out.fold is None


@pytest.mark.parametrize("group", ["patient", "site"])
def test_outer_folds_made_here(cohort_of, patients, group):
    cohort = cohort_of(patients(), without={"s002"})
    laid_out = plan(cohort, TrainingRecipe.of(folds=4, group=group))
    assert laid_out.fold[2] == -1
    assert set(laid_out.fold.tolist()) == {-1, 0, 1, 2, 3}
    for k, part in enumerate(laid_out.parts):
        assert part.predict.tolist() == np.flatnonzero(laid_out.fold == k).tolist()
    check_apart(cohort, laid_out, ("patient_id", "site") if group == "site" else ("patient_id",))


def test_outcomes_in_equal_shares(cohort_of):
    frame = pl.DataFrame(
        {"sample_id": [f"s{i:03d}" for i in range(60)], "label": ["rare"] * 12 + ["common"] * 48}
    )
    for seed in range(3):
        laid_out = plan(cohort_of(frame), TrainingRecipe.of(folds=4, seed=seed))
        assert [(part.predict < 12).sum() for part in laid_out.parts] == [3, 3, 3, 3]
        assert [len(part.predict) for part in laid_out.parts] == [15, 15, 15, 15]
    other = plan(cohort_of(frame), TrainingRecipe.of(folds=4, seed=0)).fold
    assert (laid_out.fold != other).any()
    np.testing.assert_array_equal(
        plan(cohort_of(frame), TrainingRecipe.of(folds=4, seed=2)).fold, laid_out.fold
    )


def test_a_class_smaller_than_the_folds(cohort_of):
    frame = pl.DataFrame(
        {"sample_id": [f"s{i:02d}" for i in range(20)], "label": ["rare"] + ["common"] * 19}
    )
    assert len(plan(cohort_of(frame), TrainingRecipe.of(folds=5)).parts) == 5


@pytest.mark.parametrize(("group", "folds", "n"), [("patient", 21, 20), ("site", 5, 4)])
def test_too_few_groups(cohort_of, patients, group, folds, n):
    words = f"{folds} folds need as many {group}s with features and truth, and there are {n}"
    with pytest.raises(InputError, match=words):
        plan(cohort_of(patients()), TrainingRecipe.of(folds=folds, group=group))


def test_bad_sites(cohort_of, patients):
    by_site = TrainingRecipe.of(folds=2, group="site")
    with pytest.raises(InputError, match="has no column 'site'"):
        plan(cohort_of(patients().drop("site")), by_site)
    with pytest.raises(InputError, match="column 'site', sample 's000': the site is empty"):
        plan(cohort_of(patients(site=[None] + ["x", "y"] * 19 + ["x"])), by_site)
    with pytest.raises(InputError, match="column 'site': patient 'p00' has two"):
        plan(cohort_of(patients(site=["x", "y"] * 20)), by_site)


@pytest.mark.parametrize("split", [True, False])
def test_rows_without_truth_follow_their_group(cohort_of, split):
    """A fifth of the rows is blank: they train nobody, and no model that predicts them saw their
    patient or site."""
    n = 40
    frame = pl.DataFrame({
        "sample_id": [f"s{i:02d}" for i in range(n)],
        "patient_id": [f"p{i:02d}" for i in range(n)],
        "site": [f"site{i // 8}" for i in range(n)],
        "label_X": [None if i % 5 == 0 else i % 2 for i in range(n)],
        **({"split": ["test" if i // 8 == 4 else "fit" for i in range(n)]} if split else {}),
    })  # fmt: skip
    cohort = cohort_of(frame)
    laid_out = plan(cohort, TrainingRecipe.of(folds=3, group="site"))
    check_apart(cohort, laid_out, ("site",))
    assert not any((part.train % 5 == 0).any() for part in laid_out.parts)
    assert sorted(np.concatenate([p.predict for p in laid_out.parts])) == list(range(n))


def test_a_fold_without_any_truth_is_still_predicted(cohort_of):
    frame = pl.DataFrame({
        "sample_id": [f"s{i:02d}" for i in range(12)],
        "fold": [i // 4 for i in range(12)],
        "label_X": [i % 2 if i < 8 else None for i in range(12)],
    })  # fmt: skip
    parts = plan(cohort_of(frame), TrainingRecipe.of()).parts
    assert parts[-1].predict.tolist() == [8, 9, 10, 11]
    assert parts[-1].train.tolist() == list(range(8))


def test_validation_is_of_other_patients(cohort_of, patients):
    cohort, rows = cohort_of(patients(30)), np.arange(4, 60)
    fitted, held = validation_rows(cohort, rows, TrainingRecipe.of(validation=0.2))
    assert sorted([*fitted, *held]) == rows.tolist()
    assert len(held) == pytest.approx(0.2 * len(rows), abs=3)
    assert not groups(cohort, fitted) & groups(cohort, held)
    labels = cohort.people.samples.frame["label"].to_numpy()
    assert set(labels[held]) == {"a", "b"}


@pytest.mark.parametrize(("validation", "n"), [(0.0, 56), (0.25, 12)])
def test_no_validation(cohort_of, patients, validation, n):
    fitted, held = validation_rows(
        cohort_of(patients(30)), np.arange(n), TrainingRecipe.of(validation=validation)
    )
    assert (fitted.tolist(), len(held)) == (list(range(n)), 0)


@pytest.mark.parametrize("roles", [{}, {"split": ["fit"] * 16 + ["test"] * 4}])
def test_slides_of_one_case_are_not_folded_apart(cohort_of, roles):
    ids = [f"TCGA-AA-{i // 2:04d}-01Z-00-DX{i % 2 + 1}" for i in range(20)]
    frame = pl.DataFrame({"sample_id": ids, "label": ["a", "a", "b", "b"] * 5, **roles})
    cure = (
        r"are of one TCGA case but count as two patients; add a column patient_id with the case, "
        r"such as TCGA-AA-0000"
    )
    with pytest.raises(InputError, match=cure):
        plan(cohort_of(frame), TrainingRecipe.of(folds=2))
    named = frame.with_columns(patient_id=pl.col("sample_id").str.head(12))
    assert len(plan(cohort_of(named), TrainingRecipe.of(folds=2)).parts) >= 2


def test_only_the_rows_to_fold_must_be_whole(cohort_of):
    ids = [f"TCGA-AA-{i:04d}-01Z-00-DX1" for i in range(16)] + ["TCGA-BB-0000-1", "TCGA-BB-0000-2"]
    frame = pl.DataFrame(
        {"sample_id": ids, "label": ["a", "b"] * 9, "split": ["fit"] * 16 + ["test"] * 2}
    )
    assert len(plan(cohort_of(frame), TrainingRecipe.of(folds=2)).parts) == 3
