"""Round things that touch are cut, whatever their size; what is one stays one."""

import numpy as np
import pytest
from scipy import ndimage

from pathfuse.dense.evaluation.instances import instance_metrics
from pathfuse.dense.evaluation.watershed import NECK, NEIGHBOURS, _flooded, watershed


def discs(shape: tuple[int, int], *places: tuple[float, float, float]) -> np.ndarray:
    """Instances: of each pixel the nearest centre whose radius it is within."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    away = np.stack([np.hypot(rows - y, columns - x) / r for y, x, r in places])
    return np.where(away.min(axis=0) < 1, away.argmin(axis=0) + 1, 0)


def crowd(seed: int, n: int = 40, radius: float = 7.0, side: int = 150) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return discs((side, side), *((*rng.uniform(0, side, 2), radius) for _ in range(n)))


@pytest.mark.parametrize("radius", [5, 10, 40])
def test_discs_that_touch_are_two_at_any_scale(radius):
    side = 2 * radius + 4
    truth = discs(
        (side, 2 * side), (side / 2, side / 2, radius), (side / 2, side / 2 + 1.7 * radius, radius)
    )
    assert ndimage.label(truth > 0)[1] == 1
    found = watershed(truth > 0)
    assert found.max() == 2
    assert ((found > 0) == (truth > 0)).all()
    assert instance_metrics(truth, found)["aji"] > 0.92


def test_what_has_no_neck_is_one():
    rod = np.zeros((30, 90), dtype=bool)
    rod[8:22, 5:85] = True
    assert watershed(rod).max() == 1
    rod[8:22, 44:46] = False
    rod[14:16, 44:46] = True  # a neck of a seventh
    assert watershed(rod).max() == 2


@pytest.mark.parametrize(("share", "n"), [(NECK - 0.2, 2), (NECK + 0.07, 1)])
def test_the_neck_decides(share, n):
    """Heights as given: two hills of height 1 and a pass between them."""
    hills = np.full((3, 41), 0.05)
    hills[1] = np.interp(np.arange(41), [0, 10, 20, 30, 40], [0.05, 1, share, 1, 0.05])
    assert _flooded(np.log(hills), np.ones(hills.shape, dtype=bool)).max() == n


def test_nothing_everything_and_a_pixel():
    assert watershed(np.zeros((5, 6), dtype=bool)).max() == 0
    assert (watershed(np.ones((5, 6), dtype=bool)) == 1).all()
    assert watershed(np.zeros((0, 4), dtype=bool)).shape == (0, 4)
    one = np.zeros((5, 6), dtype=bool)
    one[4, 5] = one[0, 0] = True
    assert watershed(one).tolist() == np.where(one, [[1]] + [[2]] * 4, 0).tolist()


@pytest.mark.parametrize("window_px", [16, 37, 150])
def test_windows_change_nothing(window_px):
    mask = crowd(0) > 0
    whole, parts = watershed(mask), watershed(mask, window_px=window_px)
    assert whole.max() == parts.max() > ndimage.label(mask, NEIGHBOURS)[1]
    pairs = np.unique(np.stack([whole.ravel(), parts.ravel()]), axis=1)
    assert pairs.shape[1] == whole.max() + 1  # the same instances by other numbers


def test_against_morphological_reconstruction():
    """The textbook's way: look for the peaks that stand out first, then flood from them."""
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed as flood

    rng = np.random.default_rng(3)
    mask = crowd(1) > 0
    for _ in range(3):
        heights = ndimage.gaussian_filter(rng.normal(size=mask.shape), 3)
        heights = np.where(mask, heights / heights.std() * 0.2, -10.0)
        lowered = heights + np.log(NECK)
        filled = reconstruction(lowered, heights)
        tops, n = ndimage.label((heights > filled) & mask, NEIGHBOURS)
        high = np.isin(np.arange(n + 1), np.unique(tops[(filled == lowered) & mask]))
        markers = np.where(high[tops] & (tops > 0), tops, 0)
        truth = flood(-heights, markers, NEIGHBOURS, mask=mask)
        found = _flooded(heights, mask)
        assert found.max() == len(np.unique(truth)) - 1 > 30
        assert instance_metrics(truth, found)["aji"] > 0.99  # but for ties at a border
