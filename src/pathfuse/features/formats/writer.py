"""What the attributes of an HDF5 file say, and who wrote it; here an unknown writer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Attributes:
    """The attributes of a feature file."""

    file: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    coords: Mapping[str, Any] = field(default_factory=dict)


class Writer:
    """A tool that writes features to HDF5. As it stands: one that left no mark."""

    name: ClassVar[str] = "h5"

    def recognises(self, attributes: Attributes) -> bool:
        """Whether this tool wrote the file."""
        return True

    def granularity(self, attributes: Attributes) -> str | None:
        """``tile`` or ``slide``, if the attributes say so."""
        return None

    def encoder(self, attributes: Attributes) -> str | None:
        """The encoder's name, if stated."""
        stated = (
            text(place.get(key))
            for key in ("encoder", "extractor")
            for place in _places(attributes)
        )
        return next((name for name in stated if name is not None), None)

    def tile(self, attributes: Attributes) -> tuple[str, float | None]:
        """Unit of the coordinates (``px`` or ``um``), and the edge of a tile in it if stated."""
        return "px", None


def _places(attributes: Attributes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return attributes.features, attributes.file


def text(value: Any) -> str | None:
    """An attribute as text; None where it is absent, empty or the word ``None``."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    text = "" if value is None else str(value).strip()
    return text if text not in ("", "None") else None


def number(value: Any) -> float | None:
    """An attribute as a positive number, the first of several; None where it is none."""
    if isinstance(value, (np.ndarray, list, tuple)):
        value = value[0] if np.ndim(value) == 1 and len(value) else text(value)
    try:
        found = float(text(value) or "nan")
    except ValueError:
        return None
    return found if 0 < found < float("inf") else None
