"""STAMP's feature files (docs/design/formats.md, section 4)."""

from typing import ClassVar

from pathfuse.features.formats.writer import Attributes, Writer, number, text

GRANULARITY = {"tile": "tile", "slide": "slide", "patient": "slide"}
"""``feat_type`` to ours; a patient's vector is one vector as well."""


class Stamp(Writer):
    """``feats`` with file attributes; ``coords`` in micrometres where ``unit`` says so.

    Its oldest files have no attributes: they are read as those of an unknown writer, with
    coordinates in pixels.
    """

    name: ClassVar[str] = "stamp"

    def recognises(self, attributes: Attributes) -> bool:
        """By its version, or by the attributes of version 2."""
        return bool({"stamp_version", "feat_type"} & set(attributes.file)) or {
            "unit",
            "tile_size",
        } <= set(attributes.file)

    def granularity(self, attributes: Attributes) -> str | None:
        """As ``feat_type`` says."""
        return GRANULARITY.get(text(attributes.file.get("feat_type")) or "")

    def tile(self, attributes: Attributes) -> tuple[str, float | None]:
        """Micrometres, or pixels where ``unit`` does not say ``um``."""
        if text(attributes.file.get("unit")) != "um":
            return "px", None
        sizes = (number(attributes.file.get(key)) for key in ("tile_size_um", "tile_size"))
        return "um", next((size for size in sizes if size is not None), None)
