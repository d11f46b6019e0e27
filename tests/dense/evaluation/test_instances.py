"""Instance metrics: cases counted by hand, and by a slow independent program."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pathfuse.dense.evaluation import instances
from pathfuse.dense.evaluation.instances import components, instance_metrics, overlaps
from pathfuse.errors import InputError


def square(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((20, 20), dtype=np.int32)
    for number, (top, bottom, left, right) in enumerate(
        boxes, start=3
    ):  # numbers need not start at 1
        image[top:bottom, left:right] = number
    return image


def test_by_hand():
    truth = square((0, 4, 0, 5), (10, 12, 10, 15))  # 20 and 10 pixels
    predicted = square(
        (0, 4, 0, 4), (16, 18, 0, 5)
    )  # 16, all inside the first; 10 that hit nothing
    found = instance_metrics(truth, predicted)
    assert found["sq"] == pytest.approx(0.8)
    assert found["rq"] == pytest.approx(0.5)
    assert found["pq"] == pytest.approx(0.4)
    assert found["aji"] == pytest.approx(16 / (20 + 10 + 10))


def test_an_iou_of_a_half_is_no_match():
    truth, predicted = square((0, 2, 0, 4)), square((0, 2, 0, 2))
    assert instance_metrics(truth, predicted)["rq"] == 0.0
    assert instance_metrics(truth, predicted)["pq"] == 0.0
    assert np.isnan(instance_metrics(truth, predicted)["sq"])
    assert instance_metrics(truth, predicted)["aji"] == 0.5


def test_equal_maps_and_renumbered_ones():
    truth = square((0, 4, 0, 5), (10, 12, 10, 15))
    assert instance_metrics(truth, np.where(truth == 3, 99, truth)) == dict.fromkeys(
        ("aji", "pq", "sq", "rq"), 1.0
    )


def test_empty_images():
    empty, one = square(), square((0, 2, 0, 2))
    assert all(np.isnan(value) for value in instance_metrics(empty, empty).values())
    for pair in ((empty, one), (one, empty)):
        found = instance_metrics(*pair)
        assert (found["aji"], found["pq"], found["rq"]) == (0.0, 0.0, 0.0)


def slow_aji(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Algorithm 1 of Kumar et al., with sets of pixels."""

    def pixels(image):
        return [set(map(tuple, np.argwhere(image == n))) for n in np.unique(image) if n]

    others, used, shared, union = pixels(predicted), set(), 0, 0
    for own in pixels(truth):
        best = max(range(len(others)), key=lambda j: len(own & others[j]) / len(own | others[j]))
        if not own & others[best]:
            union += len(own)
            continue
        shared, union = shared + len(own & others[best]), union + len(own | others[best])
        used.add(best)
    return shared / (union + sum(len(o) for j, o in enumerate(others) if j not in used))


def test_random_maps_against_sets_of_pixels():
    rng = np.random.default_rng(0)
    for _ in range(5):
        truth, predicted = np.kron(rng.integers(0, 4, (2, 4, 4)), np.ones((1, 3, 3), dtype=int))
        predicted = np.roll(predicted, 1)
        assert instance_metrics(truth, predicted)["aji"] == pytest.approx(
            slow_aji(truth, predicted)
        )


def test_components_are_connected_pixels_of_one_class():
    mask = np.array([[1, 0, 2], [0, 1, 2], [0, 0, 0], [1, 0, 0]])
    assert components(mask).tolist() == [[1, 0, 3], [0, 1, 3], [0, 0, 0], [2, 0, 0]]


def test_shapes_differ():
    with pytest.raises(InputError, match="shape"):
        instance_metrics(np.zeros((2, 2), dtype=int), np.zeros((2, 3), dtype=int))


def slow_overlaps(truth: np.ndarray, predicted: np.ndarray) -> list[list[int]]:
    """By a loop over pairs of numbers."""
    true, other = ([n for n in np.unique(image) if n] for image in (truth, predicted))
    pairs = [
        (i, j, int(((truth == a) & (predicted == b)).sum()))
        for i, a in enumerate(true)
        for j, b in enumerate(other)
    ]
    pairs = [pair for pair in pairs if pair[2]]
    return [
        [int((truth == a).sum()) for a in true],
        [int((predicted == b).sum()) for b in other],
        *([pair[k] for pair in pairs] for k in range(3)),
    ]


NUMBERS = st.sampled_from([0, 0, 1, 2, 3, 5, 250, 70_000, 2**40, -4])
DTYPES = (np.int64, np.int32, np.uint16, np.uint8)
SHAPE = st.tuples(st.integers(0, 4), st.integers(0, 5))


@settings(max_examples=60, deadline=None)
@given(SHAPE.flatmap(lambda shape: st.tuples(*[arrays.arrays(np.int64, shape, elements=NUMBERS)] * 2)),
       st.sampled_from(DTYPES), st.sampled_from([2**24, 3]))  # fmt: skip
def test_any_two_maps_against_a_loop(maps, dtype, most_cells):
    """Numbers far apart, negative ones, other types, no pixel, and no room for a table."""
    if dtype != np.int64:
        maps = tuple(abs(one % np.iinfo(dtype).max) for one in maps)
    truth, predicted = (one.astype(dtype) for one in maps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instances, "MOST_CELLS", most_cells)
        found = overlaps(truth, predicted)
    columns = (found.true, found.predicted, found.of_true, found.of_predicted, found.shared)
    assert [column.tolist() for column in columns] == slow_overlaps(truth, predicted)
