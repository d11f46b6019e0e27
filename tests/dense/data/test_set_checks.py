"""What only all files together show: 0 and 255, palettes of their own, the same image twice."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data import set_checks
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.data.set_checks import check_set, twins_of
from pathfuse.dense.data.split_files import read_split
from pathfuse.errors import InputError

NAMES = ("background", "nucleus")


@pytest.fixture
def make(tmp_path):
    """An image of noise with a mask of some values."""

    def _make(name, values=(0, 1), seed=None):
        rng = np.random.default_rng(ord(name[-1]) if seed is None else seed)
        image, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(image)
        Image.fromarray(rng.choice(np.array(values, np.uint8), (8, 9))).save(mask)
        return Item(name, image, mask, name)

    return _make


def of(train, val=(), test=(), **more):
    return Split("toy", 2, NAMES, train=tuple(train), val=tuple(val), test=tuple(test), **more)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_masks_of_0_and_255_say_to_name_what_255_is(make, tmp_path, part):
    parts = {"train": (make("a"),), "val": (make("b"),), "test": (make("c"),)}
    check_set(of(**parts), tmp_path)
    parts[part] = (make("d", (0, 255)), make("e", (0,)))
    with pytest.raises(
        InputError,
        match=re.escape(
            f"the masks of {part} hold only 0 and 255, and 255 means that a pixel does not count: if it is a class, "
            'write "mask_values": {"0": "background", "255": "nucleus"} into the split file'
        ),
    ):
        check_set(of(**parts), tmp_path)
    parts[part] = tuple(
        replace(item, mask_values=((0, 0), (255, 255))) for item in parts[part]
    )  # it is said that they do not count
    check_set(of(**parts), tmp_path)


def test_pixels_that_do_not_count_are_no_fault_beside_classes_or_background(make, tmp_path):
    check_set(of([make("a", (0, 255)), make("b", (0, 1, 255))]), tmp_path)
    check_set(of([make("a", (0,)), make("b", (0,))]), tmp_path)
    check_set(of([make("a", (255,))]), tmp_path)  # nothing counts: whoever evaluates says so
    check_set(of([make("a", (0, 200))], ignore=255), tmp_path)  # its reader refuses 200
    with pytest.raises(InputError, match=r'hold only 0 and 200, .* write "mask_values"'):
        check_set(of([make("a", (0, 200))], ignore=200), tmp_path)


def test_masks_are_read_until_one_has_a_class(make, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        set_checks,
        "read_mask",
        lambda path: (read.append(path.stem), np.array([[0, 1]], np.uint8))[1],
    )
    check_set(of([make(name) for name in "abc"], [make("d")]), tmp_path)
    assert read == ["a_mask", "d_mask"]


def with_palette(item, *colours):
    image = Image.open(item.mask).convert("L")
    image.putpalette([channel for colour in colours for channel in colour])
    image.save(item.mask)
    return item


BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 200, 0)


def test_palettes_that_differ_between_masks_are_refused(make, tmp_path):
    items = [with_palette(make(name), BLACK, RED) for name in "ab"]
    check_set(of(items), tmp_path)
    check_set(of([*items, make("c"), with_palette(make("d"), BLACK, RED, GREEN)]), tmp_path)
    other = with_palette(make("e"), BLACK, GREEN)
    with pytest.raises(
        InputError,
        match=r"a_mask\.png and .*e_mask\.png have palettes of their own.*1 is \(255, 0, 0\) in one and \(0, 200, 0\)",
    ):
        check_set(of([*items, other]), tmp_path)


def copied(item, name, tmp_path):
    shutil.copyfile(item.image, tmp_path / f"{name}.png")
    return replace(item, image_id=name, patient_id=name, image=tmp_path / f"{name}.png")


def test_the_same_image_in_two_parts_is_refused(make, tmp_path):
    a, b = make("a"), make("b")
    with pytest.raises(
        InputError,
        match=r"the images .*a\.png \(train\) and .*x\.png \(test\) are the same, byte for byte: a score would be too",
    ):
        check_set(of([a, b], test=[copied(a, "x", tmp_path)]), tmp_path)
    with pytest.raises(InputError, match="and so are 1 more"):
        check_set(of([a, b], [copied(a, "x", tmp_path)], [copied(b, "y", tmp_path)]), tmp_path)
    check_set(of([a, b, copied(a, "x", tmp_path)]), tmp_path)  # in one part it is only idle


def test_every_earlier_copy_is_found_with_a_later_one(make, tmp_path):
    a = make("a")
    x, y, z = (copied(a, name, tmp_path) for name in "xyz")
    found = twins_of(of([a, x], [y], [z]))
    assert [(first[1].image_id, second[1].image_id) for first, second in found] == [
        ("a", "z"),
        ("x", "z"),
        ("y", "z"),
    ]


def test_blank_images_are_no_copies(tmp_path, make):
    items = [make(name) for name in "ab"]
    for item in items:
        Image.new("RGB", (9, 8), "white").save(item.image)
    check_set(of(items[:1], test=items[1:]), tmp_path)


def test_files_of_one_size_are_told_apart_without_reading_them(tmp_path, make, monkeypatch):
    items = [make("a", seed=1), make("b", seed=2)]
    for item in items:
        bmp = item.image.with_suffix(".bmp")
        with Image.open(item.image) as image:
            image.save(bmp)
    items = [replace(item, image=item.image.with_suffix(".bmp")) for item in items]
    assert len({item.image.stat().st_size for item in items}) == 1
    monkeypatch.setattr(set_checks, "file_digest", lambda _: pytest.fail("a whole file was read"))
    check_set(of(items[:1], test=items[1:]), tmp_path)


def test_files_that_differ_outside_of_the_glance_are_told_apart(tmp_path, make):
    items = [make("a", seed=1), make("b", seed=1)]
    for k, item in enumerate(items):
        noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
        noise[0, 0] = k
        Image.fromarray(noise).save(item.image.with_suffix(".bmp"))
    items = [replace(item, image=item.image.with_suffix(".bmp")) for item in items]
    assert items[0].image.stat().st_size > 3 * set_checks.GLANCE
    check_set(of(items[:1], test=items[1:]), tmp_path)


def test_a_folder_is_checked_too(tmp_path, make):
    item = make("a")
    for part in ("train", "test"):
        for kind, file in (("images", item.image), ("masks", item.mask)):
            (tmp_path / "set" / part / kind).mkdir(parents=True)
            shutil.copyfile(file, tmp_path / "set" / part / kind / f"{part}.png")
    with pytest.raises(InputError, match="are the same, byte for byte"):
        read_split(tmp_path / "set")
