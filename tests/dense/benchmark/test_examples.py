"""Masks over images: which images are shown, and what is drawn on them."""

import io

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.benchmark.examples import (
    PREDICTED,
    SIDE_PX,
    TRUE,
    chosen_images,
    outline,
    picture,
)
from pathfuse.dense.data.records import Item, Split


def test_the_worst_and_the_middle_image_are_shown():
    dice = [(9, 1), (1, 9), (8, 2), (5, 5), (0, 0)]  # hits and misses; the last counts no pixel
    cms = np.array([[[hit, miss], [miss, hit]] for hit, miss in dice])
    assert chosen_images(cms) == [("worst", 1), ("median", 2)]
    assert chosen_images(cms[4:]) == []
    assert chosen_images(cms[:1]) == [("worst", 0)]


def test_pixels_that_do_not_count_have_no_outline():
    mask = np.array([[0, 255, 1], [0, 255, 1]])
    assert not outline(mask).any()


@pytest.mark.parametrize("side", [30, 1000])
def test_a_picture_has_both_outlines_and_fits_the_page(tmp_path, side):
    truth, predicted = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    truth[:, side // 2 :], predicted[side // 3 :] = 1, 1
    Image.fromarray(np.full((side, side, 3), 200, np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(truth).save(tmp_path / "mask.png")
    item = Item("image", tmp_path / "image.png", tmp_path / "mask.png", "p")
    png = picture(item, Split("x", 2, ("a", "b")), predicted)
    pixels = np.array(Image.open(io.BytesIO(png)))
    assert SIDE_PX // 2 < pixels.shape[0] <= SIDE_PX
    columns = (pixels == TRUE).all(axis=2).sum(axis=0)
    rows = (pixels == PREDICTED).all(axis=2).sum(axis=1)
    assert columns.argmax() == pytest.approx(len(columns) / 2, abs=15)
    assert rows.argmax() == pytest.approx(len(rows) / 3, abs=15)
