"""Image and mask files as arrays, and what can be wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

import numpy as np
from jaxtyping import Int32, Shaped, UInt8
from PIL import Image

from pathfuse.dense.data.image_checks import (
    Palette,
    palette_of,
    refuse_deep,
    refuse_pages,
    refuse_quantised,
    refuse_turned,
)
from pathfuse.dense.data.image_headers import (
    decoding,
    opened_header,
    refuse_huge,
    refuse_px,
    whole_image,
)
from pathfuse.dense.data.slides import SLIDES, has_tiles, open_slide
from pathfuse.errors import InputError

LOSSY = (".jpg", ".jpeg")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
"""Masks must be lossless."""
SUFFIXES = (*MASK_SUFFIXES, *LOSSY, *SLIDES)
"""Of images."""
LARGE_PX = 10**8
"""An image of more pixels than this is not held while it is worked on: a tiled TIFF is read through
OpenSlide, if that is installed; others are unpacked into a temporary file (3 bytes a pixel), since
Pillow holds 4 bytes for each."""
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Pillow's modes that can be shown as RGB without a choice of window."""
STRIP_PX = 2**22
"""Pixels that are converted at a time; a large file is then held once, not four times."""


class WindowReader(Protocol):
    """An image that is read window by window, since all of it may not fit into memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and perhaps channels, in pixels."""

    def window(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The pixels of a window that lies inside the image."""


class ImageFile:
    """An image file that was opened.

    ``window`` gives parts of it, so that the pixels are held once, as Pillow does.
    """

    def __init__(self, image: Image.Image) -> None:
        self._image, self._has_alpha = image, image.has_transparency_data

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._image.height, self._image.width

    def window(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """RGB, 0 to 255, of a window that lies inside the image; on white where it is transparent."""
        part = self._image.crop((left, top, left + width, top + height))
        if self._has_alpha:
            white = Image.new("RGBA", part.size, "white")
            part = Image.alpha_composite(white, part.convert("RGBA"))
        return np.array(part.convert("RGB"))


class UnpackedImage:
    """Pixels in a file, as they are in memory.

    Each window is mapped anew, so that none stays resident.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, int]) -> None:
        self._file, self.shape = file, shape

    def window(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """RGB, 0 to 255, of a window that lies inside the image."""
        whole = np.memmap(self._file, dtype=np.uint8, mode="r", shape=(*self.shape, 3))
        return np.array(whole[top : top + height, left : left + width])


@contextmanager
def _unpacked(image: Image.Image) -> Iterator[UnpackedImage]:
    """Writes all pixels to a temporary file, and frees the image."""
    packed, (width, height) = ImageFile(image), image.size
    with TemporaryFile() as file:
        for rows in _strips(height, width):
            file.write(packed.window(rows.start, 0, rows.stop - rows.start, width).tobytes())
        file.flush()
        image.close()
        yield UnpackedImage(file, (height, width))


@contextmanager
def open_image(path: Path) -> Iterator[WindowReader]:
    """An image or slide to read windows of.

    Grey and palette images become RGB; what is transparent lies on white, as in a slide.

    Raises:
        InputError: The file is missing, no image, cut off, has too many pixels, more than 8 bits per
            channel or several pages, or is stored turned; or a slide needs a library that is not installed.
    """
    if path.suffix.lower() in SLIDES:
        with open_slide(path) as slide:
            yield slide
        return
    with opened_header(path, "image") as image:
        with decoding(path, "image"):
            refuse_deep(image, path)
            if (
                image.format == "TIFF"
            ):  # which Pillow turns when it loads it, and OpenSlide does not
                refuse_turned(image, "image", path)
                refuse_pages(image, "image", path)
        if image.width * image.height > LARGE_PX and has_tiles(path):
            with open_slide(path) as slide:
                yield slide
            return
        refuse_huge(image, "image", path)
        with decoding(path, "image"):
            image.load()
        refuse_turned(image, "image", path)
        if image.mode not in EIGHT_BIT:
            raise InputError(
                f"the image {path} has more than 8 bits per channel (mode {image.mode}): convert it to RGB"
            )
        if image.width * image.height <= LARGE_PX:
            yield ImageFile(image)
            return
        with _unpacked(image) as unpacked:
            yield unpacked


def read_image(path: Path) -> UInt8[np.ndarray, "row column 3"]:
    """All pixels of an image, RGB, 0 to 255.

    Raises:
        InputError: As ``open_image``.
    """
    with open_image(path) as image:
        height, width = image.shape[:2]
        refuse_px(width, height, 3, f"the image {path}")
        whole = np.empty((height, width, 3), dtype=np.uint8)
        for rows in _strips(height, width):
            whole[rows] = image.window(rows.start, 0, rows.stop - rows.start, width)
        return whole


def image_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels; no pixel is read.

    Raises:
        InputError: The file is missing, no image, or needs a library that is not installed.
    """
    if path.suffix.lower() in SLIDES:
        with open_slide(path) as slide:
            return slide.shape
    with opened_header(path, "image") as image:
        return image.height, image.width


def read_mask(path: Path, *, named: bool = False) -> UInt8[np.ndarray, "row column"]:
    """Numbers as stored; a palette image gives its indices.

    Args:
        path: The file.
        named: Whether it is said what each number stands for, so that a palette need not show it.

    Raises:
        InputError: The file is missing, no image, cut off, lossy, stored turned, has several pages
            or channels, values above 255, or a palette that was not made for classes.
    """
    if path.suffix.lower() in LOSSY:
        raise InputError(
            f"the mask {path} is a JPEG, which blurs class numbers: write masks as PNG"
        )
    values, palette = _numbers(path)
    if values.dtype != np.uint8 and (values.min(initial=0) < 0 or values.max(initial=0) > 255):
        worst = int(values.max() if values.max() > 255 else values.min())
        n_px = int(((values < 0) | (values > 255)).sum())
        raise InputError(
            f"the mask {path} has values outside 0 to 255 in {n_px:,} pixels, such as {worst}"
        )
    mask = values.astype(np.uint8, copy=False)
    if palette is not None and not named:
        refuse_quantised(palette, value_counts(mask) > 0, path)
    return mask


def read_instances(path: Path) -> Int32[np.ndarray, "row column"]:
    """Numbers of instances, 0 where there is none.

    Raises:
        InputError: The file is missing, no image, cut off, or has several channels.
    """
    return _numbers(path)[0].astype(np.int32)


def _numbers(path: Path) -> tuple[Shaped[np.ndarray, "row column"], Palette | None]:
    """Whole numbers of a file with one channel, as stored, and their palette if there is one."""
    with whole_image(path, "mask") as image:
        if image.format == "TIFF":
            refuse_turned(image, "mask", path)
            refuse_pages(image, "mask", path)
        values, palette = np.array(image), palette_of(image)
        refuse_turned(image, "mask", path)
    if values.ndim != 2:
        raise InputError(
            f"the mask {path} has {values.shape[2]} channels: a mask has one, of class numbers"
        )
    if values.dtype.kind == "f":
        raise InputError(f"the mask {path} holds fractions: a mask holds class numbers")
    return values, palette


def check_same_size(
    mask: Path, mask_shape: tuple[int, ...], image: Path, image_shape: tuple[int, ...]
) -> None:
    """Refuses a mask that does not fit its image.

    Raises:
        InputError: Height or width differ.
    """
    if mask_shape[:2] != image_shape[:2]:
        raise InputError(
            f"the mask {mask} is {_size(mask_shape)} pixels, its image {image} is {_size(image_shape)} (width x height)"
        )


def check_values(
    mask: UInt8[np.ndarray, "row column"], n_classes: int, ignore: int | None, source: str
) -> None:
    """Refuses values that are neither a class nor ``ignore``; None: every pixel counts.

    Raises:
        InputError: With the source, the most frequent such value, and its pixels.
    """
    counts = value_counts(mask)
    counts[:n_classes] = 0
    if ignore is not None:
        counts[ignore] = 0
    if not counts.any():
        return
    worst, others = int(counts.argmax()), int((counts > 0).sum()) - 1
    also = f" ({others} other values are wrong, too)" if others else ""
    raise InputError(
        f"the mask {source} has the value {worst} in {counts[worst]:,} pixels{also}: "
        f"with {n_classes} classes it may hold 0 to {n_classes - 1}"
        + (f", and {ignore} where pixels do not count" if ignore is not None else "")
    )


def value_counts(mask: UInt8[np.ndarray, "row column"]) -> np.ndarray:
    """Pixels of each value 0 to 255; in strips, since counting widens what it counts to 64 bits."""
    counts = np.zeros(256, dtype=np.int64)
    for rows in _strips(*mask.shape):
        counts += np.bincount(mask[rows].ravel(), minlength=256)
    return counts


def _strips(height: int, width: int) -> Iterator[slice]:
    step = max(1, STRIP_PX // max(1, width))
    return (slice(top, min(height, top + step)) for top in range(0, height, step))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
