"""Whether predictions are read in blocks or as a whole."""

from pathfuse.scale.places import Places, parquet_files
from pathfuse.workflows.model import FusedModel

LARGE_BYTES = 256 << 20
"""Parquet files of more than this together are read in blocks."""


def needs_blocks(model: FusedModel, places: Places) -> bool:
    """Whether predictions are Parquet alone, and too many files or too large to be read as a whole.

    Args:
        model: The model.
        places: Where the predictions are.
    """
    found = parquet_files(places, model.experts)
    if found is None or not set(found) <= set(model.experts):
        return False
    files = [file for several in found.values() for file in several if file.is_file()]
    return len(files) > len(found) or sum(file.stat().st_size for file in files) > LARGE_BYTES
