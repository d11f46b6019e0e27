"""Pixel metrics: by hand, against scikit-learn, and the published faults with and without parity."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score, precision_recall_fscore_support

from pathfuse.dense.evaluation.confusion import confusion
from pathfuse.dense.evaluation.metrics import METRICS, class_metrics, metrics


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (60, 50))
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
    return truth, predicted


def test_against_scikit_learn(pixels):
    truth, predicted = (p.ravel() for p in pixels)
    found = metrics(confusion(*pixels, 4))
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted)
    iou = jaccard_score(truth, predicted, average=None)
    expected = {
        "mDice": f1.mean(),
        "mIoU": iou.mean(),
        "mean_precision": precision.mean(),
        "mean_recall": recall.mean(),
        "mean_accuracy": recall.mean(),
        "mean_f1": f1.mean(),
        "fw_iou": (support * iou).sum() / support.sum(),
        "pixel_accuracy": accuracy_score(truth, predicted),
    }
    assert list(found) == [metric.name for metric in METRICS]
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name
    np.testing.assert_allclose(class_metrics(confusion(*pixels, 4))["iou"], iou)


def test_absent_classes_take_part_in_nothing(pixels):
    small = confusion(*pixels, 4)
    large = np.zeros((7, 7), dtype=np.int64)
    large[:4, :4] = small
    assert {k: float(v) for k, v in metrics(large).items()} == {
        k: float(v) for k, v in metrics(small).items()
    }
    assert np.isnan(class_metrics(large)["dice"][4:]).all()


def test_which_classes_each_mean_is_over():
    # Class 2 is predicted but never true; class 3 is true but never predicted; class 4 is absent.
    cm = np.zeros((5, 5), dtype=np.int64)
    cm[0, 0], cm[0, 2], cm[1, 1], cm[3, 1] = 8, 2, 6, 4
    found = metrics(cm)
    assert found["mean_precision"] == pytest.approx((1 + 0.6 + 0 + 0) / 4)
    assert metrics(cm, parity="paper")["mean_precision"] == pytest.approx((1 + 0.6 + 0) / 3)
    np.testing.assert_array_equal(class_metrics(cm)["precision"], [1, 0.6, 0, 0, np.nan])
    assert found["mean_recall"] == pytest.approx((0.8 + 1 + 0) / 3)
    assert found["mIoU"] == pytest.approx((0.8 + 0.6 + 0 + 0) / 4)
    assert found["mDice"] == pytest.approx((16 / 18 + 12 / 16) / 4)
    assert found["fw_iou"] == pytest.approx((10 * 0.8 + 6 * 0.6) / 20)
    assert found["pixel_accuracy"] == pytest.approx(14 / 20)


@pytest.mark.parametrize("parity", ["fixed", "paper"])
def test_nothing_counted_defines_nothing(parity):
    nothing = confusion(np.full((4, 5), 255), np.zeros((4, 5), dtype=np.int64), 3)
    assert not nothing.any()
    assert all(np.isnan(value) for value in metrics(nothing, parity=parity).values())
    assert all(np.isnan(v).all() for v in class_metrics(nothing, parity=parity).values())


def test_a_class_that_is_never_predicted_lowers_the_precision_as_in_scikit_learn(pixels):
    truth, predicted = pixels
    predicted = np.where(predicted == 2, 0, predicted)
    expected, *_ = precision_recall_fscore_support(
        truth.ravel(), predicted.ravel(), average="macro", zero_division=0
    )
    cm = confusion(truth, predicted, 4)
    assert metrics(cm)["mean_precision"] == pytest.approx(expected, rel=1e-12)
    assert metrics(cm, parity="paper")["mean_precision"] == pytest.approx(
        expected * 4 / 3, rel=1e-6
    )


def test_a_missed_class_is_dropped_from_f1_in_the_paper_and_counts_here():
    cm = np.diag([100, 50, 0]).astype(np.int64)
    cm[2, 0] = 10  # the third class is never hit
    paper, fixed = metrics(cm, parity="paper"), metrics(cm)
    assert fixed["mean_f1"] == fixed["mDice"]
    assert paper["mDice"] == pytest.approx(fixed["mDice"])
    # As published for PanNuke: one class of several is never hit, so mDice / mF1 is a constant,
    # here 2/3.
    assert paper["mDice"] / paper["mean_f1"] == pytest.approx(2 / 3)


def test_float32_counts_lose_pixels_in_the_paper_and_not_here():
    cm = np.array([[2**24, 1], [0, 0]], dtype=np.int64)
    assert metrics(cm, parity="paper")["pixel_accuracy"] == 1.0
    assert metrics(cm)["pixel_accuracy"] == 2**24 / (2**24 + 1)
    assert metrics(cm)["pixel_accuracy"] < 1.0


def test_many_matrices_at_once(pixels):
    cms = np.stack([confusion(*pixels, 4), np.eye(4, dtype=np.int64)])
    both = metrics(cms.reshape(1, 2, 4, 4))
    for name in both:
        assert both[name].shape == (1, 2)
        assert both[name][0, 0] == metrics(cms[0])[name]
        assert both[name][0, 1] == 1.0
