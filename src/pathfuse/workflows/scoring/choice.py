"""Whether predictions are read in blocks or as a whole."""

from pathlib import Path

from pathfuse.scale.places import NotParquetError, Places, parquet_files
from pathfuse.workflows.model import FusedModel

LARGE_BYTES = 256 << 20
"""Parquet files of more than this together are read in blocks."""


def may_be_blocks(model: FusedModel, places: Places) -> bool:
    """Whether predictions are Parquet alone, of experts that the model knows.

    Args:
        model: The model.
        places: Where the predictions are.
    """
    return _files(model, places) is not None


def needs_blocks(model: FusedModel, places: Places) -> bool:
    """Whether they are, and too many files or too large to be read as a whole."""
    found = _files(model, places)
    if found is None:
        return False
    files = [file for several in found.values() for file in several]
    return len(files) > len(found) or sum(file.stat().st_size for file in files) > LARGE_BYTES


def _files(model: FusedModel, places: Places) -> dict[str, tuple[Path, ...]] | None:
    try:
        found = parquet_files(places, model.experts)
    except NotParquetError:
        return None
    return found if set(found) <= set(model.experts) else None
