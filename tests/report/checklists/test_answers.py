"""What checklists say of the model's output and of figures."""

import polars as pl
import pytest

import pathfuse
from pathfuse.report.checklists import answers


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("youden", "youden, fixed on the fit rows; operating_points.csv has the thresholds"),
        ("0.3", "called positive from a probability of 0.3 on, as given for the run"),
    ],
)
def test_a_given_probability_is_not_fixed_on_the_fit_rows(two_experts, rule, expected):
    found = pathfuse.evaluate(two_experts(), n_resamples=0, operating_point=rule).content()
    assert expected in answers.output(found)
    assert ("fixed on the fit rows" in answers.output(found)) == (rule == "youden")


def test_without_fit_rows_there_is_no_operating_point(evaluated_alone):
    assert answers.output(evaluated_alone) == "Probabilities of the outcomes."
    assert "operating points" not in answers.metrics(evaluated_alone)


def test_of_several_classes_the_most_probable_is_called():
    ids = [f"s{i}" for i in range(12)]
    samples = pl.DataFrame({"sample_id": ids, "label": ["a", "b", "c"] * 4})
    uni = {f"prob_{name}": [p] * 12 for name, p in (("a", 0.5), ("b", 0.3), ("c", 0.2))}
    study = pathfuse.read_study(samples, {"uni": pl.DataFrame({"sample_id": ids, **uni})})
    found = pathfuse.evaluate(study, n_resamples=0).content()
    expected = "Probabilities of the outcomes; the most probable class is called."
    assert answers.output(found) == expected
