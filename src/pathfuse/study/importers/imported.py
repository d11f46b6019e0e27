"""What every importer returns: the contract's tables in memory and the folder they go to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.files.write import new_folder, write_json, write_table


@dataclass(frozen=True)
class Imported:
    """One study's tables (docs/reference/tables.md). ``save`` writes them."""

    samples: pl.DataFrame
    """Sorted by ``sample_id``."""
    predictions: dict[str, pl.DataFrame]
    """Expert name to its rows, sorted alike."""
    manifest: dict[str, Any]
    """Input files with SHA-256, rows read, rows left out and why, notes."""
    time_edges: tuple[float, ...] | None = None
    """Of right-closed bins; None unless the endpoint is survival."""

    def save(self, folder: Path, force: bool = False) -> Path:
        """Writes ``samples.csv``, ``predictions/``, ``manifest.json`` and ``time_edges.txt``,
        complete or not at all.

        Args:
            folder: Where to; must not exist unless ``force``.
            force: Overwrite.

        Returns:
            The folder.

        Raises:
            InputError: The folder exists, or cannot be written.
        """
        with new_folder(folder, force) as partial:
            write_table(self.samples, partial / "samples.csv")
            (partial / "predictions").mkdir()
            for name, frame in self.predictions.items():
                write_table(frame, partial / "predictions" / f"{name}.csv")
            if self.time_edges is not None:
                (partial / "time_edges.txt").write_text(
                    edges_text(self.time_edges) + "\n", encoding="utf-8"
                )
            write_json(self.manifest, partial / "manifest.json")
        return folder


def edges_text(edges: tuple[float, ...]) -> str:
    """Edges as ``--time-edges`` takes them; reading them back gives the same numbers."""
    return ",".join(repr(float(edge)) for edge in edges)
