"""Which of the arrays of a file are the features, whoever wrote it."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pathfuse.features.formats.base import UnusableError

KEYS = ("features", "feats", "embeddings", "patch_embeddings")
"""What tools call their features."""
OTHERS = ("coords", "coordinates", "spatial", "X_pca", "X_umap", "X_tsne")
"""What is never features: places of tiles, and pictures of features."""
LAST_LAYER = "last_layer_embed"
_LAYER = re.compile(r"^layer_?(\d+)(?:_embed(?:ding)?)?$")
"""GigaPath's slide encoder gives ``layer_0_embed`` to ``layer_12_embed`` and the last once more."""


class Array(NamedTuple):
    """An array of a file, before its numbers are read."""

    shape: tuple[int, ...]
    floating: bool


class Choice(NamedTuple):
    """The array to read."""

    key: str
    note: str | None = None
    """What is to be said of the choice."""
    layer: int | None = None
    """Of several layers, which one."""

    @property
    def encoder(self) -> str | None:
        """Layers of one model are as different as encoders are."""
        return None if self.layer is None else f"layer {self.layer}"


def choose(arrays: Mapping[str, Array], layer: int | None = None) -> Choice | None:
    """The features among the named arrays of a file.

    Args:
        arrays: All arrays, by their names.
        layer: Of the layers of a model, which one; None: the last.

    Returns:
        None if there is no candidate.

    Raises:
        UnusableError: There are several, or no such layer.
    """
    if layer is None:
        known = next((key for key in KEYS if key in arrays), None)
        if known is not None:
            return Choice(known)
    by_number = {int(m[1]): key for key in arrays if (m := _LAYER.match(key))}
    if by_number or layer is not None:
        return _of_layers(by_number, layer)
    if LAST_LAYER in arrays:
        return Choice(LAST_LAYER, f"its features are '{LAST_LAYER}'")
    own = [key for key, a in arrays.items() if a.floating and key.split("/")[-1] not in OTHERS]
    found = [key for key in own if is_matrix(arrays[key].shape)]
    found = found or [key for key in own if len(arrays[key].shape) == 1]
    if len(found) > 1:
        raise UnusableError(
            f"it holds several arrays that may be its features, {', '.join(found)}; call one of them 'features'"
        )
    if not found:
        return None
    return Choice(found[0], f"its features are '{found[0]}', its only floating-point array")


def _of_layers(by_number: Mapping[int, str], layer: int | None) -> Choice:
    wanted = max(by_number) if layer is None else layer
    if wanted not in by_number:
        raise UnusableError(no_layer(wanted, sorted(by_number)))
    return Choice(by_number[wanted], None if layer is not None else last_layer(wanted), wanted)


def no_layer(wanted: int, there: list[int]) -> str:
    """A layer was asked for that a file does not have."""
    return f"it has no layer {wanted}; " + (
        f"it has the layers {there[0]} to {there[-1]}" if there else "it holds no layers"
    )


def last_layer(number: int) -> str:
    """The last of several layers was taken."""
    return (
        f"of the layers 0 to {number} the last is read; write the folder's name with #N for another"
    )


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether an array has rows, perhaps with an axis of length 1 in front of or behind them."""
    return len(shape) == 2 or (len(shape) == 3 and 1 in shape[:2])
