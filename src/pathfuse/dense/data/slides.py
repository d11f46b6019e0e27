"""Whole-slide images and large tiled TIFFs, read window by window through OpenSlide (extra
``slides``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special

SLIDES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm")
"""Formats that only OpenSlide opens; generic tiled TIFF besides."""


class SlideFile:
    """A slide at its full resolution; where nothing was scanned it is white."""

    def __init__(self, slide: Any, path: Path) -> None:
        self._slide, self._path = slide, path

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        width, height = self._slide.dimensions
        return height, width

    def window(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """RGB, 0 to 255, of a window that lies inside the slide.

        Raises:
            InputError: The file is damaged there.
        """
        import openslide

        try:
            region = self._slide.read_region((left, top), 0, (width, height))
        except openslide.OpenSlideError as error:
            raise InputError(f"the slide {self._path} cannot be read: {error}") from error
        white = Image.new("RGBA", region.size, "white")
        return np.array(Image.alpha_composite(white, region).convert("RGB"))


def has_tiles(path: Path) -> bool:
    """Whether OpenSlide is installed and can read windows of a file."""
    if find_spec("openslide") is None:
        return False
    import openslide

    return openslide.OpenSlide.detect_format(path) is not None


@contextmanager
def open_slide(path: Path) -> Iterator[SlideFile]:
    """A slide to read windows of.

    Raises:
        InputError: The file is missing or no slide, or OpenSlide is not installed.
    """
    refuse_special(path, "the slide")
    if not path.is_file():
        raise InputError(f"the slide {path} does not exist")
    if find_spec("openslide") is None:
        raise InputError(
            f"the slide {path} needs OpenSlide, which is not installed: pip install 'pathfuse[slides]'"
        )
    import openslide

    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError as error:
        raise InputError(f"the slide {path} cannot be read: {error}") from error
    with slide:
        yield SlideFile(slide, path)
