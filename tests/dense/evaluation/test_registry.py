"""Every metric of segmentation says what it is, and stands in one list."""

import numpy as np
import pytest

from pathfuse.dense.evaluation.metrics import CLASS_METRICS, METRICS, ClassCounts
from pathfuse.dense.evaluation.registry import ALL, PRINCIPAL, find_metric
from pathfuse.errors import InputError


@pytest.mark.parametrize("metric", [*ALL, *CLASS_METRICS], ids=lambda metric: metric.name)
def test_a_metric_says_what_it_is(metric):
    assert metric.label
    assert metric.meaning
    assert metric.undefined.startswith("is undefined: ")
    assert metric.sign == 1.0
    assert (metric.scale.low, metric.scale.high) == (0.0, 1.0)


def test_names_are_found_and_others_refused():
    assert [find_metric(metric.name) for metric in ALL] == list(ALL)
    assert [metric for metric in ALL if metric.principal] == [PRINCIPAL]
    with pytest.raises(InputError, match=r"'dise'; known are mDice, mIoU, .*, rq"):
        find_metric("dise")


@pytest.mark.parametrize("metric", [*METRICS, *CLASS_METRICS], ids=lambda metric: metric.name)
def test_perfect_masks_have_one(metric):
    counts = ClassCounts(np.diag([5, 7]))
    assert np.all(metric.function(counts) == 1.0)


def test_only_the_recall_of_a_class_needs_a_true_pixel_and_nothing_else():
    never_true = ClassCounts(np.array([[3, 2], [0, 0]]))
    for metric in CLASS_METRICS:
        assert np.isnan(metric.function(never_true)[1]) == metric.needs_true_pixel
