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
    with pytest.raises(InputError, match=rf"'{name}' lie between 25 and 50; .* with --percent"):
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


@pytest.mark.parametrize("name", ["prob", "prediction", "label"])
@pytest.mark.parametrize("positive", [None, "tumor"])
def test_a_score_in_per_cent_says_so(name, positive):
    with pytest.raises(InputError, match=f"'{name}' lie between 0.5 and 99; .* with --percent"):
        read(PredictionHints(positive), **{name: [0.5, 99]})


def test_numbers_of_classes_are_not_per_cent():
    assert "prob_tumor" not in read(PredictionHints("tumor"), prediction=[1, 2])[0].frame.columns


@pytest.mark.parametrize(
    "names",
    [
        ("pred_normal", "pred_tumor"), ("score_normal", "score_tumor"), ("Probability_normal", "Probability_tumor"),
        ("normal_prob", "tumor_prob"), ("normal score", "tumor score"), ("Prob_Normal", "Prob_Tumor"),
        ("prob_NORMAL", "prob_TUMOR"),
    ],
)  # fmt: skip
def test_columns_that_are_called_as_classes_but_for_a_word_or_the_case_of_letters(names):
    found = read(**dict(zip(names, ([0.75, 0.5], [0.25, 0.5]), strict=True)))
    assert prob(found) == ([0.75, 0.5], [0.25, 0.5])
    assert all(name in " ".join(found[1]) for name in names)


def test_letters_that_leave_two_classes_or_two_columns_are_not_guessed():
    found = read(classes=("a", "A"), prob_a=[0.5, 0.5], Prob_a=[0.5, 0.5], prob_A=[0.5, 0.5])
    assert found[0].frame.columns[1:] == ["prob_a", "Prob_a", "prob_A"]
    found = read(Prob_Tumor=[0.5, 0.5], PROB_tumor=[0.5, 0.5])
    assert found[0].frame.columns[1:] == ["Prob_Tumor", "PROB_tumor"]


def test_truth_values_are_0_and_1():
    found = read(classes=("0", "1"), prob_False=[0.75, 0.5], prob_True=[0.25, 0.5])
    assert found[0].frame.columns[1:] == ["prob_0", "prob_1"]
    assert "uni.csv: the column 'prob_True' is taken as prob_1" in found[1]


@pytest.mark.parametrize("decision", ["pred", "prediction", "y_pred"])
@pytest.mark.parametrize("cells", [[1, 0], [True, False]])
@pytest.mark.parametrize("name", ["score", "y_prob", "prob"])
def test_a_probability_goes_before_decisions(decision, cells, name):
    found = read(PredictionHints("tumor"), **{decision: cells, name: [0.25, 0.75]})
    assert prob(found) == ([0.75, 0.25], [0.25, 0.75])
    found = read(PredictionHints("tumor"), **{decision: [0.25, 0.75], name: [1, 0]})
    assert prob(found) == ([0.75, 0.25], [0.25, 0.75])


@pytest.mark.parametrize(
    ("decision", "name", "values"),
    [
        ([1, 0], "probability", [0.25, 0.75]), ([1, 0], "score", [0.9, 0.75]),
        (["tumor", "normal"], "prob", [0.9, 0.2]),
        (["t", "n"], "probability", [0.9, 0.75]),
    ],
)  # fmt: skip
def test_the_probability_of_the_class_that_was_decided_on_is_not_guessed(decision, name, values):
    with pytest.raises(InputError, match=f"'prediction' holds decisions, and whether '{name}' is"):
        read(PredictionHints("tumor"), prediction=decision, **{name: values})


def test_columns_of_decisions_per_class_do_not_stand_for_probabilities():
    found = read(
        normal_pred=[0, 1], tumor_pred=[1, 0], normal_prob=[0.25, 0.5], tumor_prob=[0.75, 0.5]
    )
    assert prob(found) == ([0.25, 0.5], [0.75, 0.5])


@pytest.mark.parametrize("classes", [("1", "2"), ("1", "3")])
def test_of_two_numbers_without_0_neither_is_plainly_positive(classes):
    with pytest.raises(InputError, match=f"say which class it is of: --positive {classes[1]}"):
        read(classes=classes, score=[0.25, 0.5])
    found = read(PredictionHints(classes[1]), classes, score=[0.25, 0.5])[0].frame
    assert found[f"prob_{classes[1]}"].to_list() == [0.25, 0.5]
    assert read(classes=("0", "1"), score=[0.25, 0.5])[0].frame["prob_1"].to_list() == [0.25, 0.5]


@pytest.mark.parametrize("truth", ["label", "target"])
def test_the_truth_never_stands_for_a_probability_next_to_it(truth):
    found = read(PredictionHints("tumor"), **{truth: [1, 0], "y_prob": [0.25, 0.75]})
    assert prob(found) == ([0.75, 0.25], [0.25, 0.75])
