"""Whose attention is written: that of the models that did not see a sample, or of those that serve
new ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathfuse.errors import InputError
from pathfuse.experts.apply import apply
from pathfuse.experts.attention import attention_frame, heatmap, in_pixels, write_attention
from pathfuse.experts.cohort import Unit
from pathfuse.experts.fitted import Fitted, load_fitted
from pathfuse.experts.heads.registry import HEADS
from pathfuse.experts.origin import Origins
from pathfuse.experts.parts import MODEL, Prepared
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.features.folder import FeatureFolder
from pathfuse.files.tables import id_column, number_column, read_table
from pathfuse.files.write import new_folder

NOWHERE = Origins()
SIZES = "sizes.csv"
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class Pictures:
    """Thumbnails of whole slides, and how large the slides are."""

    folder: Path
    sizes: dict[str, tuple[int, int]]
    """Width and height at level 0, by slide."""

    def of(self, slide: str) -> Path | None:
        """The thumbnail of a slide; None if there is none."""
        return next((p for s in SUFFIXES if (p := self.folder / f"{slide}{s}").is_file()), None)


def read_pictures(folder: Path) -> Pictures:
    """Reads ``sizes.csv`` (``slide_id,width_px,height_px``) of a folder of thumbnails.

    Raises:
        InputError: The table is missing or wrong.
    """
    table = read_table(folder / SIZES)
    if "slide_id" not in table.frame.columns:
        raise InputError(f"{table.source} has no column 'slide_id'")
    renamed = type(table)(table.source, table.frame.rename({"slide_id": "sample_id"}))
    names = id_column(renamed)
    sizes = [
        number_column(renamed, column, names).astype(int).tolist()
        for column in ("width_px", "height_px")
    ]
    return Pictures(folder, dict(zip(names, zip(*sizes, strict=True), strict=True)))


def check_attends(recipe: TrainingRecipe) -> None:
    """Refuses heads without attention.

    Raises:
        InputError: Naming those that have some.
    """
    if not recipe.facts.shows_attention:
        attend = ", ".join(name for name, facts in HEADS.items() if facts.shows_attention)
        raise InputError(f"the head '{recipe.head}' has no attention; {attend} have")


def attend_held_out(
    prepared: Prepared, out: Path, um_per_px: float | None = None, origins: Origins = NOWHERE
) -> list[str]:
    """Writes the attention of every predicted sample, by the models that predicted it.

    See ``attend``.
    """
    cohort = prepared.cohort
    models: dict[Unit, list[Fitted]] = {}
    for part in prepared.plan.parts:
        fitted = load_fitted(prepared.expert.work / part.name / MODEL)
        for unit in cohort.units_of(part.predict):
            models.setdefault(unit, []).append(fitted)
    return _write(cohort.folder, list(models.items()), out, um_per_px, None, origins)


def attend(
    fitted: Sequence[Fitted],
    folder: FeatureFolder,
    units: Sequence[Unit],
    out: Path,
    um_per_px: float | None = None,
    images: Path | None = None,
    force: bool = False,
    origins: Origins = NOWHERE,
) -> list[str]:
    """Writes ``<slide>.parquet``, ``<slide>.geojson`` and, with a thumbnail, ``<slide>.png``.

    Args:
        fitted: Models whose attention is averaged.
        folder: One encoder's features.
        units: Whose slides.
        out: Folder to write.
        um_per_px: Micrometres per level-0 pixel, where coordinates are in micrometres.
        images: Folder of thumbnails with ``sizes.csv``.
        force: Overwrite the folder.
        origins: Where QuPath's image of a slide begins.

    Returns:
        What could not be drawn, or is drawn at another place, in sentences.
    """
    pictures = None if images is None else read_pictures(images)
    with new_folder(out, force) as place:
        everything = [(unit, list(fitted)) for unit in units]
        return _write(folder, everything, place, um_per_px, pictures, origins)


def attend_more(
    fitted: Sequence[Fitted], folder: FeatureFolder, units: Sequence[Unit], out: Path
) -> list[str]:
    """Writes the files of some slides into a folder that may hold those of others; see ``attend``."""
    out.mkdir(parents=True, exist_ok=True)
    return _write(folder, [(unit, list(fitted)) for unit in units], out, None, None, NOWHERE)


def _write(
    folder: FeatureFolder,
    units: Sequence[tuple[Unit, list[Fitted]]],
    out: Path,
    um_per_px: float | None,
    pictures: Pictures | None,
    origins: Origins,
) -> list[str]:
    notes: dict[str, list[str]] = {}
    for unit, models in units:
        each = [apply(one, folder, [unit], keep_attention=True).attention for one in models]
        mean = np.mean([one[0] for one in each if one is not None], axis=0)
        for slide, attention in _by_slide(folder, unit, mean):
            for note in _one(folder, slide, attention, out, um_per_px, pictures, origins):
                notes.setdefault(note, []).append(slide)
    return [
        f"{note} ({len(slides)} slides, the first is '{slides[0]}')"
        for note, slides in notes.items()
    ]


def _by_slide(
    folder: FeatureFolder, unit: Unit, attention: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    start = 0
    for slide in unit.slides:
        n = folder.slides[slide].n_tiles
        yield slide, attention[start : start + n]
        start += n


def _one(
    folder: FeatureFolder,
    slide: str,
    attention: np.ndarray,
    out: Path,
    um_per_px: float | None,
    pictures: Pictures | None,
    origins: Origins,
) -> Iterator[str]:
    """Writes one slide; yields what could not be drawn, or is drawn at another place."""
    coords = folder.coords(slide)
    frame = attention_frame(slide, attention, None if coords is None else coords.xy)
    size, unit = (None, "px") if coords is None else (coords.tile_size, coords.unit)
    origin = origins.of(slide, coords)
    note = write_attention(
        frame, out, size, unit, um_per_px=um_per_px, origin=origin or (0.0, 0.0)
    ).note
    if note is not None:
        yield note.replace(f"slide '{slide}': ", "")
        return
    if origin is not None and origin != (0.0, 0.0):
        yield "the GeoJSON is counted from the corner of QuPath's image (origin), not of the slide"
    picture = None if pictures is None else pictures.of(slide)
    if pictures is None or size is None:
        return
    if picture is None or slide not in pictures.sizes:
        yield f"no thumbnail, or no line in {SIZES}, so no heatmap"
        return
    if unit == "um" and um_per_px is not None:
        frame, size = in_pixels(frame, um_per_px), size / um_per_px
    heatmap(frame, picture, out / f"{slide}.png", pictures.sizes[slide], size)
