"""Turned images, transparency, 16 bits and palettes: each is read as it is meant, or refused in a
sentence."""

import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.image_checks import refuse_quantised
from pathfuse.dense.data.images import image_size, open_image, read_image, read_instances, read_mask
from pathfuse.dense.data.items import read_classes
from pathfuse.dense.data.records import Item
from pathfuse.errors import InputError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 8, 3), dtype=np.uint8)
ORIENTATION = 0x0112


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_image_that_is_stored_turned_is_refused(tmp_path, suffix, orientation):
    file = tmp_path / f"a{suffix}"
    Image.fromarray(RGB).save(file, exif=turned(orientation))
    with pytest.raises(
        InputError,
        match=rf"the image .*a{suffix} says that it is stored turned .*orientation {orientation}.*store it upright",
    ):
        read_image(file)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("read", [read_mask, read_instances])
def test_a_mask_that_is_stored_turned_is_refused(tmp_path, suffix, read):
    file = tmp_path / f"m{suffix}"
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(file, exif=turned(6))
    with pytest.raises(InputError, match=r"the mask .* says that it is stored turned"):
        read(file)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_an_upright_image_is_read_whatever_else_is_said_of_it(tmp_path, suffix):
    plain, tagged = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(RGB).save(plain)
    Image.fromarray(RGB).save(tagged, exif=turned(1))
    np.testing.assert_array_equal(read_image(tagged), read_image(plain))
    assert image_size(tagged) == (5, 8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's own, when it opens the file
def test_broken_words_on_an_image_do_not_hide_its_pixels(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_image(tmp_path / "a.jpg").shape == (5, 8, 3)


def on_white(alpha):
    share = alpha[..., None] / 255
    return RGB * share + 255 * (1 - share)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_is_transparent_lies_on_white(tmp_path, suffix):
    alpha = RNG.integers(0, 256, (5, 8), dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}")
    assert (read[0] == 255).all()  # not the colour that hides below
    np.testing.assert_array_equal(read[1], RGB[1])
    np.testing.assert_allclose(read, on_white(alpha), atol=1)
    with open_image(tmp_path / f"a{suffix}") as image:
        np.testing.assert_array_equal(image.window(1, 2, 3, 4), read[1:4, 2:6])


def test_transparent_greys_and_palettes_lie_on_white(tmp_path):
    grey = np.dstack([RGB[..., 0], np.full((5, 8), 0, np.uint8)])
    Image.fromarray(grey).save(tmp_path / "la.png")
    assert (read_image(tmp_path / "la.png") == 255).all()
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "p.png", transparency=1)
    assert (read_image(tmp_path / "p.png") == 255).all()
    palette.save(tmp_path / "q.png", transparency=0)
    assert (read_image(tmp_path / "q.png") == [10, 20, 30]).all()


def png16(path, pixels):
    """Pillow cannot write PNG of 16 bits per colour."""
    height, width, channels = pixels.shape

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    kind = {2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


SENTENCE = r"has more than 8 bits per channel \(16\), and it is not known which .* convert it to RGB of 8 bits"


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_of_16_bits_is_refused(tmp_path, channels):
    png16(tmp_path / "a.png", RNG.integers(0, 2**12, (5, 8, channels)))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode in ("RGB", "RGBA")  # Pillow drops the lower 8 in silence
    with pytest.raises(InputError, match=SENTENCE):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_of_16_bits_is_refused(tmp_path, layout, compression):
    tifffile = pytest.importorskip("tifffile")
    pixels = RNG.integers(0, 2**12, (5, 8, 3), dtype=np.uint16)
    pixels = pixels if layout == "contig" else pixels.transpose(2, 0, 1).copy()
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", planarconfig=layout, compression=compression
    )
    with pytest.raises(InputError, match=SENTENCE):
        read_image(tmp_path / "a.tif")


def test_tiff_of_8_bits_is_read_in_every_layout(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", compression="zlib")
    tifffile.imwrite(
        tmp_path / "b.tif",
        RGB.transpose(2, 0, 1).copy(),
        photometric="rgb",
        planarconfig="separate",
    )
    for name in "ab":
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.tif"), RGB)


@pytest.mark.parametrize(("read", "what"), [(read_mask, "mask"), (read_image, "image")])
def test_pages_of_one_size_are_refused_and_smaller_ones_are_not(tmp_path, read, what):
    pages = [Image.fromarray(np.full((6, 7), k, np.uint8)) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(
        InputError, match=rf"the {what} .*a\.tif has 3 pages of one size, of which only the first"
    ):
        read(tmp_path / "a.tif")
    smaller = [page.resize((3, 3)) for page in pages[1:]]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=smaller)
    assert read(tmp_path / "b.tif").shape[:2] == (6, 7)
    assert not read(tmp_path / "b.tif").any()


def disc(size=40):
    rows, columns = np.mgrid[:size, :size]
    return (rows - size // 2) ** 2 + (columns - size // 2) ** 2 < size**2 // 8


@pytest.mark.parametrize("colours", [2, 8])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pillows_own_reduction_of_a_black_and_white_mask_is_refused(tmp_path, colours, mode):
    """It gives white, the nucleus, the number 0."""
    picture = Image.fromarray((disc() * 255).astype(np.uint8)).convert(mode)
    reduced = picture.quantize(colours, method=Image.Quantize.MEDIANCUT)
    assert np.asarray(reduced)[0, 0] == 1
    reduced.save(tmp_path / "m.png")
    with pytest.raises(
        InputError,
        match=r"m\.png has a palette .*0 \(255, 255, 255\) comes before 1 \(0, 0, 0\).*\"mask_values\" in the split",
    ):
        read_mask(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", named=True).max() == 1  # what the numbers mean is said


def test_reduced_colours_of_a_coloured_mask_are_refused(tmp_path):
    picture = np.zeros((30, 30, 3), np.uint8)
    picture[:, :9], picture[:, 20:] = (255, 0, 0), (0, 200, 0)
    Image.fromarray(picture).quantize(8).save(tmp_path / "m.png")
    with pytest.raises(InputError, match=r"comes before \d \(0, 0, 0\)"):
        read_mask(tmp_path / "m.png")


@pytest.mark.parametrize("method", [Image.Quantize.MEDIANCUT, Image.Quantize.FASTOCTREE])
def test_reduced_colours_of_a_blurred_mask_are_refused(tmp_path, method):
    """Colours nearly the same, or, of colours spread out, more than there are classes."""
    blurred = np.repeat((disc() * 255.0)[..., None], 3, axis=2) + RNG.normal(0, 12, (40, 40, 3))
    file = tmp_path / "m.png"
    Image.fromarray(np.clip(blurred, 0, 255).astype(np.uint8)).quantize(64, method=method).save(
        file
    )
    sentence = {
        Image.Quantize.MEDIANCUT: "are nearly the same",
        Image.Quantize.FASTOCTREE: "has the value",
    }
    with pytest.raises(InputError, match=sentence[method]):
        read_classes(Item("a", file, file, "p"), 3)


def voc():
    """The palette of PASCAL VOC: the bits of the number, spread over the colours."""
    bits = np.arange(256)[:, None] >> np.arange(8)
    channels = [(bits[:, channel::3] & 1) for channel in range(3)]
    weights = [2 ** np.arange(7, 7 - one.shape[1], -1) for one in channels]
    return np.stack([one @ w for one, w in zip(channels, weights, strict=True)], axis=1)


PALETTES = {
    "grey": np.repeat(np.arange(256)[:, None], 3, axis=1),
    "voc": voc(),
    "black and white": np.array([[0, 0, 0], [255, 255, 255]]),
    "brighter": np.array([[0, 0, 0], [60, 60, 60], [120, 120, 120], [255, 255, 255]]),
    "of somebody": np.array([[255, 255, 255], [200, 40, 40], [40, 40, 200], [40, 160, 40]]),
    "without colours": np.zeros((256, 3), int),
    "jet": np.clip(1.5 - np.abs(4 * np.arange(256)[:, None] / 255 - [3, 2, 1]), 0, 1) * 255,
    "white to black": 255 - np.repeat(np.arange(256)[:, None], 3, axis=1),
}


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_of_classes_give_their_numbers(tmp_path, name):
    palette = PALETTES[name]
    values = RNG.integers(0, min(len(palette), 22), (9, 9)).astype(np.uint8)
    image = Image.fromarray(values)
    image.putpalette(palette.astype(np.uint8).ravel().tolist())
    image.save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as stored:
        assert stored.mode == "P"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), values)


def test_instances_may_have_any_colours(tmp_path):
    values = np.arange(100, dtype=np.uint8).reshape(10, 10)
    image = Image.fromarray(values)
    image.putpalette(RNG.integers(0, 256, 768).tolist())
    image.save(tmp_path / "i.png")
    np.testing.assert_array_equal(read_instances(tmp_path / "i.png"), values)


def test_of_the_ignored_value_the_colour_does_not_matter(tmp_path):
    palette = PALETTES["of somebody"].astype(np.uint8)
    palette = np.vstack([palette, np.zeros((252, 3), np.uint8)])
    used = np.zeros(256, bool)
    used[[0, 1, 2, 255]] = True  # black is what does not count
    refuse_quantised(palette, used, tmp_path)
    used[200] = True
    with pytest.raises(InputError, match=r"comes before 200 \(0, 0, 0\)"):
        refuse_quantised(palette, used, tmp_path)


def test_the_palettes_that_are_accepted_have_colours_that_differ():
    """What ``NEAR`` must not refuse: the fewest steps between colours of VOC."""
    colours = [tuple(one) for one in voc()[:22]]
    assert len(set(colours)) == len(colours)
    assert all(max(np.abs(np.subtract(a, b))) >= 64 for a, b in pairwise(colours))
