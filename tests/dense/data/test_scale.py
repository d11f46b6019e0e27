"""How many micrometres a pixel has, in the file and as the network sees it."""

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.records import Item
from pathfuse.dense.data.scale import FAR, read_mpp, scale_warnings
from pathfuse.errors import InputError


def test_numbers_of_microscopes_are_read():
    assert [read_mpp(value, "it") for value in (None, 0.25, 1, 0.01, 100)] == [
        None,
        0.25,
        1,
        0.01,
        100,
    ]


@pytest.mark.parametrize(
    "value", [0, -0.5, 250, "0.5", True, float("nan"), float("inf"), [0.5], {}]
)
def test_other_things_are_a_sentence(value):
    with pytest.raises(
        InputError, match=r'it has "mpp" .*: it must be the micrometres of a pixel, 0.01 to 100'
    ):
        read_mpp(value, "it")


@pytest.fixture
def items(tmp_path):
    def _items(*scales, width=1000, height=1000):
        made = []
        for k, mpp_um in enumerate(scales):
            file = tmp_path / f"{k}.png"
            Image.fromarray(np.zeros((height, width), np.uint8)).save(file)
            made.append(Item(str(k), file, None, str(k), mpp_um=mpp_um))
        return made

    return _items


def said(items, trained_um=(0.5,), size_px=224, resized=True):
    return scale_warnings(
        items, encoder="uni_v1", trained_um=trained_um, size_px=size_px, resized=resized
    )


def test_images_that_are_resized_too_far_are_named_with_the_size_that_keeps_the_scale(items):
    sentence = (
        "the network sees 1.12 micrometres per pixel (images of 0.25, resized from about 1,000 to 224 pixels), but "
        "uni_v1 was trained at 0.5: a factor of 2.2; size_px=500 would keep the scale"
    )
    assert said(items(0.25)) == [sentence]
    assert said(items(0.25), size_px=500) == []


def test_images_at_their_own_scale(items):
    assert said(items(0.5), resized=False) == []
    (sentence,) = said(items(0.25), resized=False)
    assert "sees 0.25 micrometres per pixel (the images' own scale)" in sentence
    assert "a factor of 2.0; resample the images" in sentence
    assert said(items(0.25), trained_um=(0.25, 0.5, 1, 2), resized=False) == []


def test_the_nearest_of_several_scales_counts(items):
    assert said(items(0.25), trained_um=(1.0, 0.25)) == []
    (sentence,) = said(items(1.0), trained_um=(1.0, 0.25))
    assert "trained at 0.25, 1: a factor of 4.5; size_px=1000" in sentence


@pytest.mark.parametrize(("share", "n"), [(0.99, 0), (1.01, 1)])
def test_the_factor_from_which_on_it_is_said(items, share, n):
    for mpp_um in (0.5 * FAR * share, 0.5 / FAR / share):
        assert len(said(items(mpp_um), resized=False)) == n


def test_without_a_scale_nothing_is_said(items):
    assert said(items(None)) == []
    assert said(items(0.25), trained_um=()) == []
    assert said([]) == []


def test_the_middle_of_several_images_counts_and_those_without_scale_do_not(items):
    assert said(items(0.5, 0.5, 0.05, None), resized=False) == []
    (sentence,) = said(items(0.25, 0.25, 0.5, None), resized=False)
    assert "sees 0.25" in sentence


def test_an_image_that_is_not_square_counts_by_its_area(items):
    (sentence,) = said(items(0.25, width=2000, height=500))
    assert "from about 1,000 to 224" in sentence
