"""TRIDENT's feature files (docs/design/formats.md, section 1)."""

from typing import ClassVar

from pathfuse.features.formats.writer import Attributes, Writer, number


class Trident(Writer):
    """``features`` with the attributes name, savetodir and, of tiles, encoder.

    ``coords`` in pixels of level 0.
    """

    name: ClassVar[str] = "trident"

    def recognises(self, attributes: Attributes) -> bool:
        """By an attribute that only TRIDENT writes."""
        return "savetodir" in attributes.features or "patch_size_level0" in attributes.coords

    def tile(self, attributes: Attributes) -> tuple[str, float | None]:
        """Pixels of level 0; the edge is ``patch_size_level0``."""
        return "px", number(attributes.coords.get("patch_size_level0"))
