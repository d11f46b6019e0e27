"""What an image claims is looked at before its pixels are decoded."""

import io
import re
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pathfuse.dense.data import image_headers
from pathfuse.dense.data.image_headers import opened_header, refuse_huge, whole_image
from pathfuse.dense.data.images import image_size, read_image, read_instances, read_mask
from pathfuse.errors import InputError

SIDE = 40_000


def png() -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b""))
    )


def bmp() -> bytes:
    about = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 0, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078, 0, 0, 1078) + about + bytes(1024)


def tiff() -> bytes:
    file = io.BytesIO()
    Image.new("L", (300, 300)).save(file, "TIFF")  # a side of two bytes
    raw, n = re.subn(
        rb"([\x00\x01]\x01[\x03\x04]\x00\x01\x00\x00\x00)\x2c\x01",
        lambda found: found[1] + struct.pack("<H", SIDE),
        file.getvalue(),
    )
    assert n >= 2
    return raw


FILES = {".png": png, ".bmp": bmp, ".tif": tiff}


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("read", [read_image, read_mask, read_instances])
def test_too_many_pixels_are_refused_by_the_header(tmp_path, suffix, read):
    path = tmp_path / f"large{suffix}"
    path.write_bytes(FILES[suffix]())
    assert image_size(path) == (SIDE, SIDE)  # which reads no pixel
    with pytest.raises(InputError, match=r"has 40,000 x 40,000 pixels, 1.6 GB .* 500 million"):
        read(path)


def test_the_limit_itself_is_read(tmp_path, monkeypatch):
    path = tmp_path / "i.png"
    Image.new("RGB", (4, 5)).save(path)
    monkeypatch.setattr(image_headers, "MOST_PX", 20)
    assert read_image(path).shape == (5, 4, 3)
    monkeypatch.setattr(image_headers, "MOST_PX", 19)
    with pytest.raises(InputError, match="has 4 x 5 pixels"):
        read_image(path)


def test_only_what_holds_pixels_is_opened(tmp_path):
    path = tmp_path / "i.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(InputError, match="damaged or no image file"):
        opened_header(path, "image")


@pytest.mark.parametrize("cut", [5, 20, 60])
def test_a_file_that_is_cut_off(tmp_path, cut):
    path = tmp_path / "i.png"
    path.write_bytes(png()[:cut])
    with (
        pytest.raises(InputError, match=r"damaged or no image file|40,000"),
        whole_image(path, "mask") as image,
    ):
        image.load()


def test_the_advice_fits_what_it_is(tmp_path):
    path = Path("i.png")
    image = Image.new("L", (1, 1))
    image._size = (SIDE, SIDE)
    with pytest.raises(InputError, match="tiled TIFF"):
        refuse_huge(image, "image", path)
    with pytest.raises(InputError, match=r"cut it into smaller regions$"):
        refuse_huge(image, "mask", path)
