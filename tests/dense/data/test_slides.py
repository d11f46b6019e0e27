"""Slides and large tiled TIFFs: windows are parts of the whole, which is never read."""

import numpy as np
import pytest

pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")

from pathfuse.dense.data import image_headers, images  # noqa: E402
from pathfuse.dense.data.images import open_image, read_image  # noqa: E402
from pathfuse.dense.data.slides import SlideFile  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (300, 410, 3), dtype=np.uint8)


@pytest.fixture
def tiled(tmp_path):
    tifffile.imwrite(tmp_path / "tiled.tif", PIXELS, tile=(64, 64), photometric="rgb")
    return tmp_path / "tiled.tif"


def test_a_large_tiled_tiff_is_read_by_windows(tiled, tmp_path, monkeypatch):
    with open_image(tiled) as image:
        assert not isinstance(image, SlideFile)  # small
    monkeypatch.setattr(images, "LARGE_PX", 1000)
    with open_image(tiled) as image:
        assert isinstance(image, SlideFile)
        assert image.shape == (300, 410)
        np.testing.assert_array_equal(image.window(37, 90, 100, 111), PIXELS[37:137, 90:201])
    np.testing.assert_array_equal(read_image(tiled), PIXELS)
    tifffile.imwrite(tmp_path / "strips.tif", PIXELS, photometric="rgb")
    with open_image(tmp_path / "strips.tif") as image:  # no tiles
        assert not isinstance(image, SlideFile)


def test_a_slide_by_its_suffix(tiled):
    slide = tiled.rename(tiled.with_suffix(".svs"))
    np.testing.assert_array_equal(read_image(slide), PIXELS)


def test_sentences(tmp_path, tiled, monkeypatch):
    (tmp_path / "bad.svs").write_bytes(b"nothing")
    for name, sentence in (("none", "does not exist"), ("bad", "cannot be read")):
        with pytest.raises(InputError, match=f"the slide .*{name}.svs {sentence}"):
            read_image(tmp_path / f"{name}.svs")
    monkeypatch.setattr("pathfuse.dense.data.slides.find_spec", lambda name: None)
    with pytest.raises(
        InputError,
        match=r"needs OpenSlide, which is not installed: pip install 'pathfuse\[slides\]'",
    ):
        read_image(tmp_path / "bad.svs")
    monkeypatch.setattr(images, "LARGE_PX", 1000)
    np.testing.assert_array_equal(read_image(tiled), PIXELS)  # Pillow can do it


def test_of_a_slide_only_what_is_held_counts(tiled, monkeypatch):
    monkeypatch.setattr(image_headers, "MOST_PX", 1000)
    monkeypatch.setattr(images, "LARGE_PX", 1000)
    with open_image(tiled) as slide:
        assert slide.window(0, 0, 10, 10).shape == (10, 10, 3)
    with pytest.raises(
        InputError, match=r"pixels are read as a whole: cut it into smaller regions$"
    ):
        read_image(tiled)
