"""CLAM's feature files (docs/design/formats.md, section 2)."""

from typing import ClassVar

from pathfuse.features.formats.writer import Attributes, Writer, number

FOLDERS = ("h5_files", "pt_files")
"""Where CLAM puts its features; the files themselves mostly have no attributes that would tell."""


class Clam(Writer):
    """``features`` and ``coords`` in pixels of level 0.

    Attributes only where those of the patches were kept.
    """

    name: ClassVar[str] = "clam"

    def recognises(self, attributes: Attributes) -> bool:
        """By the attributes of its patches."""
        return {"patch_size", "patch_level"} <= set(attributes.coords)

    def tile(self, attributes: Attributes) -> tuple[str, float | None]:
        """Pixels of level 0; ``patch_size`` counts pixels of the patch level."""
        size, downsample = (
            number(attributes.coords.get(key)) for key in ("patch_size", "downsample")
        )
        if size is None or downsample is None:
            return "px", None
        return "px", size * downsample
