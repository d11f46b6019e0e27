"""``expression`` in ``study.yaml``: counts by hand, and what is refused."""

import numpy as np
import polars as pl
import pytest
import yaml

from pathfuse.errors import InputError
from pathfuse.experts.cohort import read_people
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.workflows.study_file.config import read_config
from pathfuse.workflows.study_file.expression import ExpressionOptions, normalised

COUNTS = {
    "sample_id": ["a", "b", "c", "d"],
    "n_counts": [100, 50, 20, 30],
    "target_CD3": [1, 0, None, None],
    "target_KRT5": [3, 0, 5, None],
}


def done_with(tmp_path, table=COUNTS, recipes=None, **chosen):
    pl.DataFrame(table).write_csv(tmp_path / "samples.csv")
    people = read_people(tmp_path / "samples.csv", None, None, None)
    return normalised(people, ExpressionOptions(**chosen), recipes or {})


def test_by_hand(tmp_path):
    """Row a has four counts in all, row b none, row c one that is known, row d nothing."""
    found = done_with(tmp_path, library_size=100, log1p=True)
    assert found["target_CD3"].to_list() == [np.log1p(25), 0, None, None]
    assert found["target_KRT5"].to_list() == [np.log1p(75), 0, np.log1p(100), None]
    assert found.drop("target_CD3", "target_KRT5").columns == ["sample_id", "n_counts"]


def test_a_stated_total(tmp_path):
    found = done_with(tmp_path, library_size=1000, total="n_counts")
    assert found["target_CD3"].to_list() == [10, 0, None, None]
    assert found["target_KRT5"].to_list() == [30, 0, 250, None]


def test_logarithms_alone(tmp_path):
    found = done_with(tmp_path, log1p=True)
    assert found["target_KRT5"].to_list() == [np.log1p(3), 0, np.log1p(5), None]


@pytest.mark.parametrize(
    ("changes", "chosen", "sentence"),
    [
        (
            {"target_KRT5": [3, -2, 5, None]},
            {},
            r"samples\.csv, column 'target_KRT5', sample 'b': -2 is negative, and 'expression'",
        ),
        (
            {"n_counts": [100, None, 20, 30]},
            {"total": "n_counts"},
            "column 'n_counts', sample 'b': the total is missing or not finite",
        ),
        (
            {"n_counts": [3, 50, 20, 30]},
            {"total": "n_counts"},
            "sample 'a': the total is 3, but the counts of the targets add up to 4",
        ),
        ({}, {"total": "umis"}, "has no column 'umis'"),
    ],
)
def test_counts_and_totals_that_cannot_be(tmp_path, changes, chosen, sentence):
    with pytest.raises(InputError, match=sentence):
        done_with(tmp_path, COUNTS | changes, library_size=1e4, log1p=True, **chosen)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_who_wants_counts_is_refused(tmp_path, likelihood):
    recipes = {"uni": TrainingRecipe.of("abmil", likelihood=likelihood)}
    with pytest.raises(InputError, match=f"'uni' has likelihood={likelihood}, which wants counts"):
        done_with(tmp_path, recipes=recipes, log1p=True)
    recipes = {"uni": TrainingRecipe.of("abmil", likelihood="gaussian_spread")}
    assert done_with(tmp_path, recipes=recipes, log1p=True).height == 4


def test_it_is_for_numbers(tmp_path):
    with pytest.raises(
        InputError, match="'expression' is for regression, but the endpoint is mult"
    ):
        done_with(tmp_path, {"sample_id": ["a", "b"], "label": ["x", "y"]}, log1p=True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "'expression' does nothing; give library_size, log1p or both"),
        ({"total": "n", "log1p": True}, "'total' is for 'library_size', which is not given"),
        ({"library_size": 0}, "'expression.library_size': input should be greater than 0"),
        ({"log2": True}, "'expression.log2' is unknown"),
    ],
)
def test_what_the_study_file_refuses(tmp_path, given, sentence):
    file = tmp_path / "study.yaml"
    content = {"samples": "a", "features": {"u": "f"}, "experts": [{}], "out": "o"}
    file.write_text(yaml.safe_dump(content | {"expression": given}))
    with pytest.raises(InputError) as caught:
        read_config(file)
    assert sentence in str(caught.value)
