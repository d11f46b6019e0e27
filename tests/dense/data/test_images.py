"""Images and masks as arrays, and every bad file as one sentence."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data import images
from pathfuse.dense.data.images import open_image, read_image, read_instances, read_mask
from pathfuse.dense.data.items import read_item
from pathfuse.dense.data.records import Item, Split
from pathfuse.errors import InputError


@pytest.fixture
def item(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    mask = rng.integers(0, 3, (6, 9), dtype=np.uint8)
    mask[0, 0] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "a_mask.png")
    return Item("a", tmp_path / "a.png", tmp_path / "a_mask.png", "p"), image, mask


SPLIT = Split("toy", 3, ("a", "b", "c"))


def test_what_was_written_is_read(item):
    record, image, mask = item
    read = read_item(record, SPLIT)
    np.testing.assert_array_equal(read[0], image)
    np.testing.assert_array_equal(read[1], mask)
    assert read[0].dtype == read[1].dtype == np.uint8
    assert read_item(replace(record, mask=None), SPLIT)[1] is None


def test_a_value_outside_the_classes_is_named_with_its_file_and_pixels(item):
    record, _, mask = item
    mask[2, 3:7] = 7
    mask[5, 5] = 9
    Image.fromarray(mask).save(record.mask)
    with pytest.raises(
        InputError, match=r"a_mask\.png has the value 7 in 4 pixels \(1 other .* 0 to 2, and 255"
    ):
        read_item(record, SPLIT)


def test_the_ignored_value_is_the_splits_own(item):
    record, _, mask = item
    mask[mask == 255] = 200
    Image.fromarray(mask).save(record.mask)
    assert read_item(record, replace(SPLIT, ignore=200))[1].max() == 200
    with pytest.raises(InputError, match="value 200 in 1 pixels"):
        read_item(record, SPLIT)


def test_sizes_that_differ_are_named(item):
    record, _, mask = item
    Image.fromarray(mask[:, :5]).save(record.mask)
    with pytest.raises(
        InputError, match=r"a_mask\.png is 5 x 6 pixels, its image .*a\.png is 9 x 6"
    ):
        read_item(record, SPLIT)


def test_damaged_missing_and_foreign_files(tmp_path, item):
    record = item[0]
    whole = record.image.read_bytes()
    record.image.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"the image .*a\.png cannot be read"):
        read_image(record.image)
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(InputError, match=r"the mask .* cannot be read"):
        read_mask(tmp_path / "text.png")
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "none.png")
    Image.fromarray(np.zeros((4, 4), np.uint16) + 900).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="more than 8 bits"):
        read_image(tmp_path / "deep.png")


def test_masks_are_one_lossless_channel_of_small_numbers(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(InputError, match="3 channels"):
        read_mask(tmp_path / "rgb.png")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "m.jpg")
    with pytest.raises(InputError, match="JPEG"):
        read_mask(tmp_path / "m.jpg")
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / "n.png")
    with pytest.raises(InputError, match="in 16 pixels, such as 300"):
        read_mask(tmp_path / "n.png")
    assert read_instances(tmp_path / "n.png").tolist() == [[300] * 4] * 4


def test_palettes_give_colours_to_images_and_indices_to_masks(tmp_path):
    palette = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), mode=None).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    palette.putdata([0, 1, 2, 1])
    palette.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 1], [2, 1]]
    assert read_image(tmp_path / "p.png")[1, 0].tolist() == [70, 80, 90]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_windows_are_parts_of_the_whole(tmp_path, mode, monkeypatch):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (13, 9, 3), dtype=np.uint8)).convert(mode).save(
        tmp_path / "a.png"
    )
    monkeypatch.setattr(images, "STRIP_PX", 30)  # three rows at a time
    whole = read_image(tmp_path / "a.png")
    assert whole.shape == (13, 9, 3)
    np.testing.assert_array_equal(whole, np.asarray(Image.open(tmp_path / "a.png").convert("RGB")))
    with open_image(tmp_path / "a.png") as image:
        assert image.shape == (13, 9)
        np.testing.assert_array_equal(image.window(4, 2, 5, 7), whole[4:9, 2:9])
    monkeypatch.setattr(images, "LARGE_PX", 20)
    with open_image(tmp_path / "a.png") as image:
        assert isinstance(image, images.UnpackedImage)
        assert image.shape == (13, 9)
        np.testing.assert_array_equal(image.window(4, 2, 5, 7), whole[4:9, 2:9])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), whole)
    mask = rng.integers(0, 7, (13, 9), dtype=np.uint8)
    np.testing.assert_array_equal(
        images.value_counts(mask), np.bincount(mask.ravel(), minlength=256)
    )
