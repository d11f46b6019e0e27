"""``pathfuse inspect``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.options import Force
from pathfuse.errors import InputError

if TYPE_CHECKING:
    from pathfuse.features.inspect import Summary


def inspect(
    *folder: Annotated[
        Path, Parameter(help="Folders of features, folders of such folders, or tables of vectors.")
    ],
    json: Annotated[
        Path | None, Parameter(name="--json", help="Write the figures to this file, too.")
    ] = None,
    strict: Annotated[
        bool, Parameter(negative="", help="A slide that cannot be used is an error.")
    ] = False,
    values: Annotated[
        bool,
        Parameter(
            name="--values", negative="--no-values", help="Look for NaN and infinite values."
        ),
    ] = True,
    force: Force = False,
) -> None:
    """Say what folders of features hold: slides, tiles, dimensions, and what is broken."""
    import sys

    from pathfuse.features.folder import open_folder
    from pathfuse.features.inspect import describe
    from pathfuse.features.locate import encoder_folders
    from pathfuse.files.write import check_file, write_json_file

    if not folder:
        raise InputError("there is no folder to inspect")
    if json is not None:
        check_file(json, force, list(folder), [".json"])
    places = [place for given in folder for place in encoder_folders(given)]
    found = [describe(open_folder(place, check_values=values)) for place in places]
    _show(found)
    broken = [item for summary in found for item in summary.broken]
    if broken and strict:
        first = broken[0]
        raise InputError(
            f"{first.path}, '{first.name}': {first.reason} (broken: {len(broken)}, and --strict is set)"
        )
    if json is not None:
        write_json_file({"folders": [summary.as_dict() for summary in found]}, json, force)
        sys.stdout.write(f"Figures: {json}\n")


def _show(found: "list[Summary]") -> None:
    """A row per encoder, then a line per slide that cannot be used."""
    import sys

    from pathfuse.cli.console import Table, console

    table = Table()
    for name in ("features", "format", "encoder", "kind", "dtype"):
        table.add_column(name)
    for name in ("dim", "slides", "tiles", "per slide: min, median, max", "with coords", "broken"):
        table.add_column(name, justify="right")
    for item in found:
        tiles = item.granularity == "tile"
        words = (
            Path(item.source).name or item.source,
            item.format,
            item.encoder or "",
            item.granularity,
        )
        spread = f"{item.min_tiles}, {item.median_tiles:g}, {item.max_tiles}" if tiles else ""
        counts = (str(item.dim), str(item.n_slides), str(item.n_tiles) if tiles else "", spread)
        table.add_row(
            *(*words, ", ".join(item.dtypes)),
            *counts,
            str(item.n_with_coords) if tiles else "",
            str(len(item.broken)),
        )
    console().print(table)
    for item in found:
        for note in item.notes:
            sys.stdout.write(f"Note: {note}\n")
        for b in item.broken:
            sys.stdout.write(f"Broken: {b.path}, '{b.name}': {b.reason}\n")
