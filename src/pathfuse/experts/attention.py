"""Attention of a multiple-instance expert, tile by tile: as a table, for QuPath, and over a
thumbnail.
"""

import json
import uuid
import warnings
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float

from pathfuse.errors import InputError, unwritten
from pathfuse.files.special import refuse_special

PerTile: TypeAlias = Float[np.ndarray, " tile"]
"""One number per tile of a bag."""
Positions: TypeAlias = Float[np.ndarray, "tile 2"]
"""The upper left corners of the tiles, x and y."""

COLUMNS = ("slide_id", "tile", "x", "y", "attention", "percentile")
UNITS = ("px", "um")
THUMBNAIL_SIDE = 2048
"""A larger thumbnail is made smaller, so that a heatmap never needs more than some dozen megabytes."""
MOST_THUMBNAIL_PX = 10**8
"""Pixels of the file that a thumbnail is made from: it is decoded as a whole, in 4 bytes each."""
COLOURS = "coolwarm"


class AttentionFiles(NamedTuple):
    """What was written about one slide."""

    files: list[Path]
    note: str | None
    """Why there is no GeoJSON; None if there is."""


def attention_frame(slide: str, attention: PerTile, xy: Positions | None = None) -> pl.DataFrame:
    """The attention of one bag: one row per tile, in the bag's order.

    Args:
        slide: The slide's identifier.
        attention: Not negative; scaled so that it sums to 1.
        xy: Upper left corners in the bag's unit; None leaves ``x`` and ``y`` empty.

    Returns:
        The columns ``COLUMNS``; ``percentile`` is the rank within the slide, 0 for the least and
        100 for the most.

    Raises:
        InputError: There is no tile, a number is not finite or negative, or the positions are not
            one per tile.
    """
    from scipy.stats import rankdata

    weights = np.asarray(attention, dtype=np.float64)
    if weights.ndim != 1 or len(weights) == 0:
        raise InputError(
            f"slide '{slide}': the attention has shape {weights.shape}, not one number per tile"
        )
    wrong = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(wrong):
        raise InputError(
            f"slide '{slide}', tile {wrong[0]}: the attention {weights[wrong[0]]:g} is not a weight"
        )
    if weights.sum() == 0:
        raise InputError(f"slide '{slide}': the attention is 0 on every tile")
    n = len(weights)
    places = np.full((n, 2), np.nan) if xy is None else np.asarray(xy, dtype=np.float64)
    if places.shape != (n, 2):
        raise InputError(
            f"slide '{slide}': the positions have shape {places.shape}, but there are {n} tiles"
        )
    if xy is not None and not np.isfinite(places).all():
        raise InputError(f"slide '{slide}': a position is not finite")
    ranks = (rankdata(weights) - 1) / (n - 1) * 100 if n > 1 else np.full(1, 100.0)
    return pl.DataFrame(
        {
            "slide_id": pl.Series([slide] * n, dtype=pl.String),
            "tile": np.arange(n, dtype=np.int64),
            "x": pl.Series(places[:, 0]).fill_nan(None),
            "y": pl.Series(places[:, 1]).fill_nan(None),
            "attention": weights / weights.sum(),
            "percentile": ranks,
        }
    )


def in_pixels(frame: pl.DataFrame, um_per_px: float) -> pl.DataFrame:
    """The frame with positions in level-0 pixels instead of micrometres.

    Raises:
        InputError: ``um_per_px`` is not positive.
    """
    if not (np.isfinite(um_per_px) and um_per_px > 0):
        raise InputError(f"{um_per_px:g} micrometres per pixel is not a size of a pixel")
    return frame.with_columns(pl.col("x", "y") / um_per_px)


def write_attention(
    frame: pl.DataFrame,
    folder: Path,
    tile_size: float | None,
    unit: str,
    tiles_top: int | None = None,
    um_per_px: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
) -> AttentionFiles:
    """Writes ``<slide>.parquet`` with all tiles, and ``<slide>.geojson`` for QuPath (0.4 or later)
    if that is possible.

    Args:
        frame: Of ``attention_frame``.
        folder: Created if need be; files of the same name are overwritten.
        tile_size: Side of a tile in ``unit``; None if unknown.
        unit: Of the positions and the tile size: level-0 pixels (``px``) or micrometres (``um``).
        tiles_top: Draw only that many tiles with the highest attention.
        um_per_px: Side of a level-0 pixel, which micrometres need to become pixels.
        origin: x and y of the corner of QuPath's image, in level-0 pixels: they are subtracted in
            the GeoJSON, and in it alone.

    Raises:
        InputError: The unit or a number makes no sense, the slide's name is not a file name, or the
            folder cannot be written.
    """
    slide = _only_slide(frame)
    if unit not in UNITS:
        raise InputError(f"slide '{slide}': the unit '{unit}' is neither px nor um")
    if tile_size is not None and not (np.isfinite(tile_size) and tile_size > 0):
        raise InputError(f"slide '{slide}': the tile size {tile_size:g} is not positive")
    if tiles_top is not None and tiles_top < 1:
        raise InputError(
            f"slide '{slide}': the number of tiles to draw is {tiles_top}, not at least 1"
        )
    if not slide or slide in (".", "..") or any(mark in slide for mark in "/\\\0"):
        raise InputError(f"the slide '{slide}' cannot name a file")
    content, note = _geojson(frame, slide, tile_size, unit, tiles_top, um_per_px, origin)
    # Not with_suffix: slide names hold dots
    table, drawing = folder / f"{slide}.parquet", folder / f"{slide}.geojson"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The table alone must say what its positions mean
        meaning = {"unit": unit} | (
            {} if tile_size is None else {"tile_size": repr(float(tile_size))}
        )
        frame.write_parquet(table, compression="zstd", statistics=False, metadata=meaning)
        if content is None:
            drawing.unlink(missing_ok=True)  # an older drawing would no longer fit the table
            return AttentionFiles([table], note)
        drawing.write_text(content, encoding="utf-8")
    except OSError as error:
        raise unwritten(f"the attention in {folder}", error) from error
    return AttentionFiles([table, drawing], None)


def _only_slide(frame: pl.DataFrame) -> str:
    """The name of the one slide of the frame."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(f"the attention has no column '{missing[0]}'")
    names = frame["slide_id"].unique(maintain_order=True).to_list()
    if len(names) != 1:
        raise InputError(f"the attention is of {len(names)} slides, not of one")
    return str(names[0])


def _geojson(
    frame: pl.DataFrame,
    slide: str,
    size: float | None,
    unit: str,
    top: int | None,
    um_per_px: float | None,
    origin: tuple[float, float],
) -> tuple[str | None, str | None]:
    """The text of the drawing, or why there is none."""
    if frame["x"].null_count() or frame["y"].null_count():
        return None, f"no GeoJSON for slide '{slide}': its tiles have no coordinates"
    if size is None:
        return None, f"no GeoJSON for slide '{slide}': the size of its tiles is unknown"
    if unit == "um":
        if um_per_px is None:
            return (
                None,
                f"no GeoJSON for slide '{slide}': its coordinates are micrometres and the pixel size is unknown",
            )
        frame, size = in_pixels(frame, um_per_px), size / um_per_px
    frame = frame.with_columns(pl.col("x") - origin[0], pl.col("y") - origin[1])
    if top is not None:
        frame = frame.sort("attention", "tile", descending=[True, False]).head(top).sort("tile")
    lines = (
        json.dumps(_feature(row, size), ensure_ascii=False, allow_nan=False)
        for row in frame.iter_rows(named=True)
    )
    return '{"type": "FeatureCollection", "features": [\n' + ",\n".join(lines) + "\n]}\n", None


def _feature(row: dict[str, Any], size: float) -> dict[str, Any]:
    """One tile as QuPath 0.4 and later read it.

    Lists of measurements are what older versions wrote.
    """
    left, top = _tidy(row["x"]), _tidy(row["y"])
    right, bottom = _tidy(row["x"] + size), _tidy(row["y"] + size)
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {
        "type": "Feature",
        # QuPath wants a UUID; the same tile has the same one, so that a second import is noticed
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"pathfuse:{row['slide_id']}:{row['tile']}")),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "tile",
            "measurements": {"attention": row["attention"], "percentile": row["percentile"]},
        },
    }


def _tidy(value: float) -> float | int:
    """A thousandth of a pixel is enough; whole numbers without ``.0``."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def heatmap(
    frame: pl.DataFrame,
    image: Path,
    out: Path,
    slide_size_px: tuple[int, int],
    tile_size_px: float,
    alpha: float = 0.5,
) -> Path:
    """Draws the attention's percentiles over a thumbnail of the whole slide, blue for the least and
    red for the most.

    Args:
        frame: Of ``attention_frame``, in level-0 pixels (see ``in_pixels``).
        image: The thumbnail, in any format that Pillow reads.
        out: A PNG file; overwritten. The same input gives the same bytes.
        slide_size_px: Width and height of the slide at level 0.
        tile_size_px: Side of a tile at level 0.
        alpha: Opacity of the colours, 0 to 1.

    Raises:
        InputError: The image cannot be read or shows another area, a tile lies outside the slide,
            or ``out`` cannot be written.
    """
    from matplotlib import colormaps
    from PIL import Image

    slide = _only_slide(frame)
    if not 0 <= alpha <= 1:
        raise InputError(f"the opacity must be between 0 and 1, not {alpha:g}")
    if out.suffix.lower() != ".png":
        raise InputError(f"the output {out} must end in .png")
    if not (np.isfinite(tile_size_px) and tile_size_px > 0):
        raise InputError(f"slide '{slide}': the tile size {tile_size_px:g} is not positive")
    _check_places(frame, slide, slide_size_px)
    paper = _thumbnail(image, slide_size_px)
    heat = _heat(
        frame, tile_size_px, paper.shape[1] / slide_size_px[0], (paper.shape[0], paper.shape[1])
    )
    covered = np.isfinite(heat)
    colours = colormaps[COLOURS](heat[covered] / 100)[:, :3] * 255
    paper[covered] = np.round(paper[covered] * (1 - alpha) + colours * alpha).astype(np.uint8)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paper).save(out, format="PNG")
    except OSError as error:
        raise unwritten(f"the heatmap {out}", error) from error
    return out


def _check_places(frame: pl.DataFrame, slide: str, size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise InputError(f"slide '{slide}': {size[0]} x {size[1]} pixels is not a size of a slide")
    if frame["x"].null_count() or frame["y"].null_count():
        raise InputError(f"slide '{slide}' has no coordinates, so there is no heatmap")
    outside = frame.filter(
        (pl.col("x") < 0) | (pl.col("y") < 0) | (pl.col("x") >= size[0]) | (pl.col("y") >= size[1])
    )
    if outside.height:
        row = outside.row(0, named=True)
        raise InputError(
            f"slide '{slide}', tile {row['tile']}: ({row['x']:g}, {row['y']:g}) lies outside the slide of "
            f"{size[0]} x {size[1]} pixels"
        )


def _thumbnail(file: Path, slide_size: tuple[int, int]) -> np.ndarray:
    """The image on white paper, (height, width, 3), its sides at most ``THUMBNAIL_SIDE``."""
    from PIL import Image

    refuse_special(file, "the thumbnail")
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as opened:
                if opened.width * opened.height > MOST_THUMBNAIL_PX:
                    raise Image.DecompressionBombError
                opened.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
                picture = opened.convert("RGBA")
    except bombs as error:
        raise InputError(
            f"{file} is too large for a thumbnail; save the slide's overview in less pixels"
        ) from error
    except (
        OSError,
        ValueError,
        SyntaxError,
    ) as error:  # Pillow's ways to say that a file is broken
        raise InputError(f"{file} is not an image that can be read: {error}") from error
    width, height = picture.size
    wanted = slide_size[1] * width / slide_size[0]
    if abs(height - wanted) > max(2.0, 0.03 * wanted):
        raise InputError(
            f"{file} is not a thumbnail of the whole slide: {width} x {height} pixels, but the slide's shape asks for "
            f"{width} x {wanted:.0f}"
        )
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture)
    return np.array(paper.convert("RGB"))


def _heat(
    frame: pl.DataFrame, size: float, scale: float, shape: tuple[int, int]
) -> Float[np.ndarray, "y x"]:
    """The highest percentile at every pixel of the thumbnail; NaN where there is no tile."""
    heat = np.full(shape, np.nan, dtype=np.float32)
    ordered = frame.sort("percentile", "tile")  # later tiles cover earlier ones
    for x, y, percentile in ordered.select("x", "y", "percentile").iter_rows():
        rows, columns = _span(y, size, scale, shape[0]), _span(x, size, scale, shape[1])
        heat[rows, columns] = percentile
    return heat


def _span(start: float, size: float, scale: float, length: int) -> slice:
    """The pixels of a tile along one side: neighbours share an edge without a gap, and a small tile
    keeps a pixel.
    """
    first = min(round(start * scale), length - 1)
    return slice(first, max(round((start + size) * scale), first + 1))
