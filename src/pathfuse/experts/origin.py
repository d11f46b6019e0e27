"""Where the part of a slide begins that QuPath shows.

QuPath cuts the empty border off slides such as MRXS (``openslide.bounds-x`` and ``-y``) and counts
its pixels from there; feature files count them from the corner of the whole slide.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.features.formats.base import Coords
from pathfuse.files.names import bare_names
from pathfuse.files.tables import number_column, read_table, text_column


@dataclass(frozen=True)
class Origins:
    """Origins that were given, in level-0 pixels."""

    of_all: tuple[float, float] | None = None
    by_slide: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, slide: str, coords: Coords | None) -> tuple[float, float] | None:
        """What was given, or else what the slide's feature file says; None if neither."""
        given = self.by_slide.get(slide, self.of_all)
        return given if given is not None or coords is None else coords.origin


def parse_origin(text: str | None) -> Origins:
    """``X,Y`` for every slide, or a table with ``slide_id``, ``x`` and ``y``.

    Examples:
        >>> parse_origin("512,1024").of_all
        (512.0, 1024.0)

    Raises:
        InputError: It is neither.
    """
    if text is None:
        return Origins()
    if Path(text).is_file():
        return _read(Path(text))
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--origin {text} is neither X,Y in level-0 pixels nor a table with slide_id, x and y"
        ) from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(f"--origin {text}: {text} is not a place")
    return Origins((x, y))


def _read(path: Path) -> Origins:
    table = read_table(path)
    lacking = [name for name in ("slide_id", "x", "y") if name not in table.frame.columns]
    if lacking:
        raise InputError(f"{table.source} has no column '{lacking[0]}'")
    names = bare_names(text_column(table, "slide_id"))
    if None in names:
        raise InputError(f"{table.source}, column 'slide_id': a row is empty")
    known = [str(name) for name in names]
    twice = next((name for name in known if known.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{table.source}, column 'slide_id': '{twice}' occurs twice")
    x, y = (number_column(table, axis, known).astype(float).tolist() for axis in ("x", "y"))
    return Origins(by_slide=dict(zip(known, zip(x, y, strict=True), strict=True)))
