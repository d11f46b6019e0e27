"""What the values of masks stand for: named once, honoured wherever a mask is read."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.items import check_item, read_classes, read_item
from pathfuse.dense.data.mask_values import as_classes, in_words, names_in, read_mask_values
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.evaluation.counting import classes_with_instances, open_count
from pathfuse.dense.evaluation.evaluate import evaluate_dense
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.errors import InputError

NAMES = ("background", "nucleus")
TWO = ((0, 0), (255, 1))
SOURCE = Path(__file__).parents[3] / "src/pathfuse/dense"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"0": "background", "255": "nucleus"}, TWO),
        ({"0": 0, "255": 1}, TWO),
        ({"255": "nucleus", "0": "background", "9": "ignore"}, ((0, 0), (9, 255), (255, 1))),
        ({"0": "background", "128": "nucleus"}, ((0, 0), (128, 1), (255, 255))),
        ({"0": "background", "128": "nucleus", "255": "ignore"}, ((0, 0), (128, 1), (255, 255))),
    ],
)
def test_values_are_read_and_written(content, expected):
    values = read_mask_values(content, NAMES, 255, "it")
    assert values == expected
    assert read_mask_values(in_words(values, NAMES), NAMES, 255, "it") == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([0, 255], 'it has "mask_values" that are not like {"0": "background", "255": "nucleus"}'),
        ({}, "that are not like"),
        ({"256": "nucleus"}, "of the value '256': masks hold whole numbers, 0 to 255"),
        ({"-1": "nucleus"}, "of the value '-1'"),
        ({"red": "nucleus"}, "of the value 'red'"),
        ({"0": "gland"}, "with the class 'gland': classes are background, nucleus, their numbers, or \"ignore\""),
        ({"0": 2}, "with the class 2"),
        ({"0": True}, "with the class True"),
        ({"0": None}, "with the class None"),
        ({"0": "ignore", "255": "ignore"}, "in which no value stands for a class"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_sentence(content, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_mask_values(content, NAMES, 255, "it")


def test_a_class_cannot_be_called_as_what_does_not_count():
    with pytest.raises(InputError, match="give the class another name"):
        read_mask_values({"0": 0}, ("ignore", "b"), 255, "it")


def test_names_come_from_the_values_if_all_classes_are_named():
    assert names_in({"0": "bg", "1": "gland", "2": "gland", "255": "ignore"}, 2) == ("bg", "gland")
    assert names_in({"0": "bg", "1": 1}, 2) is None
    assert names_in([], 2) is None


def test_a_value_that_is_not_named_is_refused_with_its_pixels():
    mask = np.array([[0, 255, 7, 7]], dtype=np.uint8)
    with pytest.raises(
        InputError, match=r"a\.png has the value 7 in 2 pixels, .* they name 0, 255"
    ):
        as_classes(mask, TWO, "a.png")
    assert as_classes(mask, (), "a.png") is mask


@pytest.fixture
def pair(tmp_path):
    """The same truth stored as 0 and 1, and as 0 and 255; the same instances."""
    rng = np.random.default_rng(0)
    truth = (rng.random((6, 9)) < 0.4).astype(np.uint8)
    Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(truth).save(tmp_path / "one.png")
    Image.fromarray(truth * 255).save(tmp_path / "many.png")
    Image.fromarray(truth * np.uint16(7)).save(tmp_path / "instances.png")
    one = Item("a", tmp_path / "a.png", tmp_path / "one.png", "p", tmp_path / "instances.png")
    return one, replace(one, mask=tmp_path / "many.png", mask_values=TWO), truth


def test_every_reader_of_masks_honours_them(pair, tmp_path):
    one, many, truth = pair
    split = Split("toy", 2, NAMES, train=(many,))
    np.testing.assert_array_equal(read_item(many, split)[1], truth)  # training, validation
    check_item(many, split)
    np.testing.assert_array_equal(read_classes(many, 2), truth)
    np.testing.assert_array_equal(read_truth(many, 2), truth)  # fusing, counting
    assert classes_with_instances([many], 2) == classes_with_instances([one], 2) == {1}
    count = open_count(many, 2, things=[1])
    np.testing.assert_array_equal(count.truth, truth)
    (tmp_path / "model").mkdir()
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(tmp_path / "model/a.png")
    cms = [
        evaluate_dense({"m": tmp_path / "model"}, [item], tmp_path / name, classes=NAMES, n_resamples=0)
        .counted.confusions.cms["m"][0].tolist()
        for name, item in (("x", one), ("y", many))
    ]  # fmt: skip
    n = int(truth.sum())
    assert cms == [[[54 - n, 0], [n, 0]]] * 2  # a model that says nothing misses every nucleus


def test_a_prediction_of_0_and_255_is_no_prediction_of_classes(pair, tmp_path):
    one, _, truth = pair
    (tmp_path / "model").mkdir()
    Image.fromarray(truth * 255).save(tmp_path / "model/a.png")
    with pytest.raises(InputError, match=r"a\.png has the value 255 in .* it may hold 0 to 1$"):
        evaluate_dense({"m": tmp_path / "model"}, [one], tmp_path / "x", classes=NAMES)


def test_training_sees_classes(pair):
    pytest.importorskip("torch")
    from pathfuse.dense.recipe import DenseRecipe
    from pathfuse.dense.training.samples import Squares

    one, many, _ = pair
    recipe = DenseRecipe.of("frozen", size_px=16, augment=False)
    squares = [Squares([item], Split("toy", 2, NAMES), recipe).plain(0)[1] for item in (one, many)]
    np.testing.assert_array_equal(*squares)
    assert set(np.unique(squares[1])) == {0, 1}


def test_the_ignored_value_can_be_any(pair, tmp_path):
    _, many, truth = pair
    stored = truth * 255
    stored[0] = 9
    Image.fromarray(stored).save(many.mask)
    values = read_mask_values({"0": 0, "255": 1, "9": "ignore"}, NAMES, 200, "it")
    item = replace(many, mask_values=values)
    assert set(np.unique(read_classes(item, 2, 200))) == {0, 1, 200}
    assert (read_truth(item, 2, 200)[0] == 255).all()


def test_no_other_module_reads_the_masks_of_a_data_set():
    """A second reader would be a second place to forget ``mask_values`` in."""
    reads = re.compile(r"read_mask\([^)]*\.mask\b")
    found = {path.name for path in SOURCE.rglob("*.py") if reads.search(path.read_text())}
    assert found == {"items.py", "set_checks.py"}
