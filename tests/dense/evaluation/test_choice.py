"""Nuclei are cut, glands are not; and only by images that are looked at for it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.records import Item
from pathfuse.dense.evaluation import choice
from pathfuse.dense.evaluation.choice import choose_separation
from pathfuse.dense.evaluation.separation import COMPONENTS, WATERSHED
from pathfuse.errors import InputError

ROWS, COLUMNS = np.ogrid[:24, :40]
NUCLEI = np.where(
    np.hypot(ROWS - 12, COLUMNS - 12) < 8, 1, np.where(np.hypot(ROWS - 12, COLUMNS - 26) < 8, 2, 0)
)
GLAND = (NUCLEI > 0).astype(int)
"""The same shape, and one thing."""


@pytest.fixture
def item(tmp_path):
    def write(name, instances, mask=None):
        files = {"mask": instances > 0 if mask is None else mask, "instances": instances}
        for kind, pixels in files.items():
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}_{kind}.png")
        file = tmp_path / f"{name}_mask.png"
        return Item(name, file, file, name, tmp_path / f"{name}_instances.png")

    return write


def test_by_what_the_true_masks_say(item):
    nuclei = choose_separation([item("a", NUCLEI), item("b", NUCLEI)], 2)
    assert nuclei.separation is WATERSHED
    assert nuclei.aji["watershed"] > 0.95 > 0.6 > nuclei.aji["components"]
    assert nuclei.n_images == 2
    assert "chosen by AJI of the true masks of 2 validation images: watershed " in nuclei.sentence()
    assert nuclei.about()["separation"] == "watershed"
    glands = choose_separation([item("c", GLAND)], 2)
    assert glands.separation is COMPONENTS
    assert glands.aji["components"] == 1.0
    apart = np.where(COLUMNS == 20, 0, NUCLEI) * (abs(COLUMNS - 20) > 5)
    assert (
        choose_separation([item("d", apart)], 2).separation is COMPONENTS
    )  # both right: the simpler


def test_pixels_that_do_not_count_are_no_background_of_a_mask(item):
    mask = np.where(ROWS < 3, 255, NUCLEI > 0)
    assert choose_separation([item("a", NUCLEI, mask)], 2).separation is WATERSHED


def test_nothing_to_choose_by(item):
    bare = replace(item("a", NUCLEI), instances=None)
    for items in ([], [bare], [replace(bare, mask=None)], [item("b", NUCLEI * 0)]):
        chosen = choose_separation(items, 2)
        assert chosen.separation is WATERSHED
        assert (chosen.aji, chosen.n_images) == ({}, 0)
        assert chosen.sentence() == WATERSHED.words
    named = choose_separation([item("c", NUCLEI)], 2, how="components")
    assert named.separation is COMPONENTS
    assert named.aji == {}
    with pytest.raises(InputError, match="known are watershed, components"):
        choose_separation([], 2, how="cut")


def test_a_few_images_are_enough(item, monkeypatch):
    monkeypatch.setattr(choice, "LOOKED_AT_PX", 2 * NUCLEI.size + 1)
    items = [item("a", NUCLEI), item("b", NUCLEI), item("c", GLAND)]
    assert choose_separation(items, 2).n_images == 2
