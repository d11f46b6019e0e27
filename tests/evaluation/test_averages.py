"""Macro averages: over the labels that define a figure, resample by resample and patient by
patient."""

import numpy as np
import pytest

from pathfuse.evaluation.averages import Averages
from pathfuse.evaluation.estimates import Estimate
from pathfuse.evaluation.intervals import Sampled

NAN = float("nan")


def of(point, resampled, left_out=()):
    values = np.array([point, *resampled, *left_out], dtype=float)
    return Estimate(values[:, None], np.ones(1), len(resampled), Sampled(20))


def assert_is(found, expected):
    assert found.point == pytest.approx(expected.point, nan_ok=True)
    assert found.resampled == pytest.approx(expected.resampled, nan_ok=True)
    assert found.left_out == pytest.approx(expected.left_out, nan_ok=True)


def test_points_resamples_and_left_out_patients_are_averaged_each_by_itself():
    averages = Averages()
    averages.add({"x": {"nll": of(1.0, [1, 2, 3], [10, 20])}}, {})
    averages.add({"x": {"nll": of(2.0, [3, 4, 8], [30, 60])}}, {})
    averages.add({"x": {"nll": of(6.0, [5, 6, 7], [50, 10])}}, {})
    assert_is(averages.methods()["x"]["nll"], of(3.0, [3, 4, 6], [30, 30]))


def test_a_label_that_does_not_define_a_figure_is_left_out_of_it():
    averages = Averages()
    averages.add({"x": {"auroc": of(NAN, [NAN, 0.5, NAN], [NAN, 0.5])}}, {})
    averages.add({"x": {"auroc": of(0.8, [0.7, 0.9, NAN], [0.8, NAN])}}, {})
    assert_is(averages.methods()["x"]["auroc"], of(0.8, [0.7, 0.9, NAN], [0.8, NAN]))


def test_a_resample_that_lacks_one_of_the_labels_is_left_out():
    """The mean over the other labels would be the mean of something else."""
    averages = Averages()
    averages.add({"x": {"auroc": of(0.6, [0.6, NAN, 0.5], [0.6, NAN])}}, {})
    averages.add({"x": {"auroc": of(0.8, [0.7, 0.9, 0.9], [0.8, 0.9])}}, {})
    assert_is(averages.methods()["x"]["auroc"], of(0.7, [0.65, NAN, 0.7], [0.7, NAN]))


def test_a_difference_is_averaged_over_the_labels_that_define_both_sides():
    """One side's correlation is undefined on the second label: the label counts for neither."""
    averages, pair = Averages(), ("x", "y")
    averages.add({}, {pair: ({"r": of(0.5, [0.4])}, {"r": of(0.3, [0.3])})})
    averages.add({}, {pair: ({"r": of(0.9, [0.9])}, {"r": of(NAN, [NAN])})})
    one, other = averages.pairs()[pair]
    assert_is(one["r"].minus(other["r"]), of(0.2, [0.1]))


def test_a_figure_that_no_label_defines_is_undefined():
    averages = Averages()
    for _ in range(2):
        averages.add({"x": {"auroc": of(NAN, [NAN, NAN])}}, {})
    assert_is(averages.methods()["x"]["auroc"], of(NAN, [NAN, NAN]))


def test_methods_and_metrics_need_not_know_every_label():
    averages = Averages()
    averages.add({"x": {"nll": of(1.0, [1]), "auc": of(0.5, [0.5])}}, {})
    averages.add({"x": {"nll": of(3.0, [5])}, "y": {"nll": of(9.0, [8])}}, {})
    found = averages.methods()
    assert list(found) == ["x", "y"]
    assert_is(found["x"]["nll"], of(2.0, [3]))
    assert_is(found["x"]["auc"], of(0.5, [0.5]))
    assert_is(found["y"]["nll"], of(9.0, [8]))


def test_both_sides_of_a_contrast_are_averaged_over_the_labels_that_both_know():
    """Label 2 has no row in common: it counts for neither side, although both methods have figures
    there."""
    averages, pair = Averages(), ("x", "y")
    averages.add({}, {pair: ({"nll": of(1.0, [1, 2])}, {"nll": of(2.0, [2, 2])})})
    averages.add({"x": {"nll": of(99.0, [99, 99])}, "y": {"nll": of(99.0, [99, 99])}}, {pair: None})
    averages.add({}, {pair: ({"nll": of(3.0, [5, 4])}, {"nll": of(6.0, [4, 8])})})
    assert list(averages.pairs()) == [pair]
    one, other = averages.pairs()[pair]
    assert_is(one["nll"], of(2.0, [3, 3]))
    assert_is(other["nll"], of(4.0, [3, 5]))
    assert_is(one["nll"].minus(other["nll"]), of(-2.0, [0, -2]))
    assert list(averages.methods()) == ["x", "y"]


def test_a_contrast_and_its_mirror_are_two():
    averages = Averages()
    x, y = {"nll": of(1.0, [1])}, {"nll": of(2.0, [2])}
    averages.add({}, {("x", "y"): (x, y), ("y", "x"): (y, x), ("x", "z"): None})
    found = averages.pairs()
    assert list(found) == [("x", "y"), ("y", "x")]
    assert found["x", "y"][0]["nll"].point == found["y", "x"][1]["nll"].point == 1.0


def test_what_is_added_stays_as_it_is():
    one = of(1.0, [1, 2], [3])
    averages = Averages()
    averages.add({"x": {"nll": one}}, {})
    averages.add({"x": {"nll": of(5.0, [5, 5], [5])}}, {})
    first = averages.methods()["x"]["nll"]
    averages.add({"x": {"nll": of(9.0, [9, 9], [9])}}, {})
    assert_is(one, of(1.0, [1, 2], [3]))
    assert_is(first, of(3.0, [3, 3.5], [4]))
