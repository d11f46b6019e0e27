"""Views of images: mask and image move together, colours stay near, and nothing depends on the
worker."""

import numpy as np
import pytest

from pathfuse.dense.data.augment import (
    Variation,
    augment,
    fill,
    item_rng,
    random_crop,
    resize,
    vary_colour,
)

STILL = Variation(stain=0, light=0, blur=0)


@pytest.fixture
def pair():
    """The mask is readable from the image: its red is 40 times the class."""
    mask = np.random.default_rng(1).integers(0, 5, (24, 24), dtype=np.uint8)
    image = np.stack([mask * 40, np.full_like(mask, 90), np.full_like(mask, 200)], axis=2)
    return image, mask


def test_image_and_mask_are_moved_alike(pair):
    seen = set()
    for epoch in range(40):
        image, mask = augment(*pair, item_rng(0, epoch, "a"), STILL)
        assert np.abs(image[..., 0].astype(int) - mask * 40).max() <= 1
        assert (np.bincount(mask.ravel()) == np.bincount(pair[1].ravel())).all()
        seen.add(mask.tobytes())
    assert len(seen) == 8  # all symmetries of the square, and no other view


def test_images_that_are_not_square_keep_their_size(pair):
    image, mask = pair[0][:10], pair[1][:10]
    seen = set()
    for epoch in range(30):
        varied, moved = augment(image, mask, item_rng(0, epoch, "a"), STILL)
        assert varied.shape == image.shape
        assert moved.shape == mask.shape
        seen.add(moved.tobytes())
    assert len(seen) == 4


def test_views_depend_on_seed_epoch_and_image_and_on_nothing_else(pair):
    def view(seed, epoch, name):
        return augment(*pair, item_rng(seed, epoch, name))[0].tobytes()

    first = view(1, 2, "x")
    np.random.seed(99)  # noqa: NPY002 - what a worker might have done
    assert view(1, 2, "x") == first
    assert len({first, view(2, 2, "x"), view(1, 3, "x"), view(1, 2, "y")}) == 4


def test_no_variation_leaves_colours(pair):
    image = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    same = vary_colour(image, item_rng(0, 0, "a"), STILL)
    assert np.abs(same.astype(int) - image).max() <= 1


def test_colours_stay_near_and_do_change(pair):
    image = np.full((16, 16, 3), (180, 110, 160), np.uint8)
    shifts = np.array(
        [
            vary_colour(image, item_rng(0, e, "a"))[5, 5].astype(int) - image[5, 5]
            for e in range(100)
        ]
    )
    assert 3 < np.abs(shifts).mean() < 30
    assert np.abs(shifts).max() < 90
    assert np.abs(shifts.mean(axis=0)).max() < 10  # no drift


def test_stain_factors_act_on_optical_density():
    # a pure stain of density 0.5 whose factor is 1.1 must have density 0.55, whatever the stain
    from pathfuse.dense.data.augment import STAINS, _restain

    for k in range(3):
        colour = 256 * 10 ** -(0.5 * STAINS[k]) - 1
        image = np.rint(colour).astype(np.uint8).reshape(1, 1, 3)
        factor = np.ones(3)
        factor[k] = 1.1
        expected = 256 * 10 ** -(0.55 * STAINS[k]) - 1
        np.testing.assert_allclose(_restain(image, factor, np.zeros(3))[0, 0], expected, atol=1)


def test_crops_are_windows_of_both(pair):
    image, mask = random_crop(*pair, 8, item_rng(0, 0, "a"))
    assert image.shape == (8, 8, 3)
    assert (image[..., 0] == mask * 40).all()
    windows = np.lib.stride_tricks.sliding_window_view(pair[1], (8, 8)).reshape(-1, 64)
    assert (windows == mask.ravel()).all(axis=1).any()
    corners = {random_crop(*pair, 8, item_rng(0, e, "a"))[1].tobytes() for e in range(30)}
    assert len(corners) > 20


def test_what_fills_a_small_image_does_not_count(pair):
    image, mask = random_crop(pair[0][:5], pair[1][:5], 30, item_rng(0, 0, "a"), ignore=77)
    assert (image.shape, mask.shape) == ((30, 30, 3), (30, 30))
    assert (mask == 77).sum() == 30 * 30 - 5 * 24
    filled, _ = fill(pair[0], pair[1], 30, 255)
    assert (filled[24:, :24] == pair[0][:-7:-1]).all()  # reflected


def test_magnified_crops_hold_only_classes(pair):
    for epoch in range(20):
        image, mask = random_crop(*pair, 12, item_rng(0, epoch, "a"), scale=(0.5, 2.0))
        assert image.shape == (12, 12, 3)
        assert set(np.unique(mask)) <= {0, 1, 2, 3, 4}


def test_resizing_interpolates_images_only(pair):
    image, mask = resize(pair[0][:, :12], pair[1][:, :12], 48)
    assert (image.shape, mask.shape) == ((48, 48, 3), (48, 48))
    assert set(np.unique(mask)) <= set(np.unique(pair[1]))
    np.testing.assert_array_equal(mask[::2, ::4], pair[1][:, :12])
    assert resize(*pair, 24)[1] is pair[1]
