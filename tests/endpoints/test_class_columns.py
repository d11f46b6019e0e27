"""Columns of classes as other tools name and scale them."""

import polars as pl
import pytest

from pathfuse.endpoints.base import PredictionHints
from pathfuse.endpoints.class_columns import with_class_columns
from pathfuse.errors import InputError
from pathfuse.files.tables import table_in_memory

PERCENT = PredictionHints(percent=True)


def read(hints=PredictionHints(), classes=("normal", "tumor"), **columns):  # noqa: B008 - frozen
    table = table_in_memory("uni.csv", pl.DataFrame({"sample_id": ["a", "b"], **columns}))
    return with_class_columns(table, classes, ("logit_", "prob_"), hints)


def prob(found):
    return found[0].frame["prob_normal"].to_list(), found[0].frame["prob_tumor"].to_list()


def test_one_column_called_as_one_of_two_classes_is_its_probability():
    found = read(tumor=[0.25, 0.5])
    assert prob(found) == ([0.75, 0.5], [0.25, 0.5])
    assert found[1][0] == "uni.csv: the column 'tumor' is taken as the probability of this class"
    assert prob(read(normal=[0.25, 0.5])) == ([0.25, 0.5], [0.75, 0.5])
    assert prob(read(tumor=[0.25, 0.5], label=[1, 0])) == ([0.75, 0.5], [0.25, 0.5])


def test_a_truth_next_to_a_probability_is_not_taken_for_one():
    found = read(PredictionHints(positive="tumor"), tumor=[1, 0], prob=[0.25, 0.5])
    assert prob(found) == ([0.75, 0.5], [0.25, 0.5])


@pytest.mark.parametrize("name", ["tumor", "prob_tumor"])
def test_one_column_in_per_cent(name):
    assert prob(read(PERCENT, **{name: [25, 50]})) == ([0.75, 0.5], [0.25, 0.5])
    with pytest.raises(InputError, match=rf"'{name}' lie between 25 and 50; .* say --percent"):
        read(**{name: [25, 50]})


def test_a_score_in_per_cent_with_the_option():
    hints = PredictionHints("tumor", percent=True)
    assert prob(read(hints, prob=[25, 50])) == ([0.75, 0.5], [0.25, 0.5])


@pytest.mark.parametrize("hints", [PredictionHints(), PERCENT])
def test_signs_of_per_cent_are_believed(hints):
    both = {"prob_tumor": ["25%", "1.5 %"], "prob_normal": ["75%", "98,5%"]}
    normal, tumor = prob(read(hints, **both))
    assert normal == pytest.approx([0.75, 0.985])
    assert tumor == pytest.approx([0.25, 0.015])
    assert prob(read(hints, tumor=["25%", "50%"])) == ([0.75, 0.5], [0.25, 0.5])
    assert "per cent signs in prob_tumor, prob_normal" in read(hints, **both)[1][0]
