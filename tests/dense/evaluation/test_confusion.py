"""Confusion matrices: against scikit-learn, and through their long table."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import confusion_matrix

from pathfuse.dense.evaluation.confusion import (
    ConfusionTable,
    confusion,
    read_confusions,
    write_confusions,
)
from pathfuse.errors import InputError


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 5, (2, 31, 17)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    seen = truth != 255
    found = confusion(truth, predicted, 5)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(
        found, confusion_matrix(truth[seen], predicted[seen], labels=range(5))
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.sampled_from([255, 0, 3]), st.data())
def test_bytes_and_wider_numbers_count_alike(k, ignore, data):
    """Bytes have a way of their own; every pair of values, classes or not."""
    shape = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 5)))
    values = st.one_of(st.integers(0, k - 1), st.integers(0, 7), st.just(255))
    truth, predicted = (data.draw(arrays.arrays(np.uint8, shape, elements=values)) for _ in "tp")
    said = []
    for dtype in (np.uint8, np.int64):
        try:
            said.append(confusion(truth.astype(dtype), predicted.astype(dtype), k, ignore).tolist())
        except InputError as error:
            said.append(str(error).split(" holds ")[0])  # which of several is named may differ
    assert said[0] == said[1]


def test_an_ignored_image_counts_nothing_even_where_the_prediction_is_no_class():
    everywhere = np.full((3, 4), 255, dtype=np.uint8)
    assert not confusion(everywhere, everywhere, 2).any()


@pytest.mark.parametrize(
    ("truth", "predicted", "sentence"),
    [
        ([[0, 3]], [[0, 0]], "the mask holds the class 3, but the classes are 0 to 1"),
        ([[0, 1]], [[0, 2]], "the prediction holds the class 2"),
        ([[0, 1]], [[0], [1]], "shape"),
    ],
)
def test_bad_pixels(truth, predicted, sentence):
    with pytest.raises(InputError, match=sentence):
        confusion(np.array(truth), np.array(predicted), 2)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_long_table_keeps_everything(tmp_path, suffix):
    rng = np.random.default_rng(1)
    cms = {name: rng.poisson(1.0, (4, 3, 3)).astype(np.int64) for name in ("uni", "conch")}
    cms["conch"][2] = 0  # an image of ignored pixels only
    cms["uni"][1] = 0
    scored = {"uni": np.array([True, False, True, True]), "conch": np.ones(4, dtype=bool)}
    table = ConfusionTable(("007", "a", "b", "c"), cms, scored)
    file = tmp_path / f"confusion{suffix}"
    write_confusions(table, file)
    again = read_confusions(file, 3)
    assert again.image_ids == table.image_ids
    for name in cms:
        np.testing.assert_array_equal(again.cms[name], cms[name])
        np.testing.assert_array_equal(again.scored[name], scored[name])


def test_bad_tables(tmp_path):
    good = {
        "sample_id": ["a", "a"],
        "expert": ["u", "u"],
        "true": [0, 0],
        "predicted": [0, 1],
        "n": [1, 2],
    }
    for change, sentence in (
        ({"predicted": [0, 0]}, "image 'a', model 'u', true 0, predicted 0 more than once"),
        ({"true": [0, 7]}, "column 'true': 7 is not a class; they are 0 to 1"),
        ({"n": [1, -2]}, "column 'n', image 'a': '-2' is not a count"),
        ({"expert": ["u", None]}, "column 'expert': row 2 is empty"),
    ):
        file = tmp_path / "bad.parquet"
        pl.DataFrame(good | change).write_parquet(file)
        with pytest.raises(InputError, match=sentence):
            read_confusions(file, 2)
