"""The one door for image files that Pillow reads: what a file is and how large, before a pixel is
decoded.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special

# Regions of slides are larger than Pillow takes for an attack; ``refuse_huge`` has a limit of its own.
Image.MAX_IMAGE_PIXELS = None

FORMATS = ("PNG", "TIFF", "BMP", "DIB", "JPEG", "JPEG2000", "GIF", "PPM")
"""Of Pillow's, those that hold pixels and nothing else; for some others it would start a program."""
MOST_PX = 5 * 10**8
"""Pixels of an image or mask that is decoded as a whole: Pillow holds up to 4 bytes for each, 2 GB.
A square has a side of 22,360. What is larger is a slide, and is read by windows."""
ONE_BYTE = ("1", "L", "P")
"""Modes of which Pillow holds one byte for each pixel; four of all others."""
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for a file that is damaged."""


def opened_header(path: Path, what: str) -> Image.Image:
    """An image of which the header is known and no pixel is decoded; it is to be closed.

    Args:
        path: The file.
        what: Image or mask.

    Raises:
        InputError: It is missing, no image, or no file at all but a pipe or device.
    """
    refuse_special(path, f"the {what}")
    try:
        return Image.open(path, formats=FORMATS)
    except DAMAGE as error:
        raise unreadable(what, path, error) from error


def refuse_huge(image: Image.Image, what: str, path: Path) -> None:
    """Refuses an image of more pixels than the memory should be asked for, by its header.

    Raises:
        InputError: It has more than ``MOST_PX``.
    """
    instead = "" if what == "mask" else ", or write it as a tiled TIFF, which is read by windows"
    n_bytes = 1 if image.mode in ONE_BYTE else 4
    refuse_px(image.width, image.height, n_bytes, f"the {what} {path}", instead)


def refuse_px(width: int, height: int, n_bytes: int, source: str, instead: str = "") -> None:
    """Refuses pixels that are too many to be held.

    Args:
        width: In pixels.
        height: In pixels.
        n_bytes: Of each pixel in memory.
        source: What has them, in sentences.
        instead: What may be done besides cutting it.

    Raises:
        InputError: They are more than ``MOST_PX``.
    """
    if width * height > MOST_PX:
        raise InputError(
            f"{source} has {width:,} x {height:,} pixels, {width * height * n_bytes / 1e9:.1f} GB when it is "
            f"unpacked; at most {MOST_PX // 10**6:,} million pixels are read as a whole: cut it into smaller "
            f"regions{instead}"
        )


@contextmanager
def whole_image(path: Path, what: str) -> Iterator[Image.Image]:
    """An image whose pixels are decoded in the block.

    Raises:
        InputError: It is missing, no image, or has too many pixels; or the block finds it damaged.
    """
    with opened_header(path, what) as image:
        refuse_huge(image, what, path)
        with decoding(path, what):
            yield image


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Turns what Pillow says of a damaged file into a sentence.

    Raises:
        InputError: The block finds it damaged.
    """
    try:
        yield
    except InputError:  # our own sentence
        raise
    except DAMAGE as error:
        raise unreadable(what, path, error) from error


def unreadable(what: str, path: Path, error: Exception) -> InputError:
    """The sentence about a file that Pillow does not read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"the {what} {path} does not exist")
    return InputError(f"the {what} {path} cannot be read: it is damaged or no image file")
