"""Strips of an image with what the models say of their pixels; each reading of the logits is made
once, and only where it is asked for.

Where all models give a pixel the same class, most fusions give it that class too, whatever their
weights; so what costs (logarithms, exponentials, gates) is worked out for the other pixels alone.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles, Strip
from pathfuse.dense.fusion.local_gate import pooled
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import gate_features

T = TypeVar("T")
Planes: TypeAlias = Float32[np.ndarray, "expert outcome pixel"]
Decisions: TypeAlias = UInt8[np.ndarray, "expert pixel"]
PixelClasses: TypeAlias = UInt8[np.ndarray, " pixel"]


class PixelStrip:
    """Rows of an image as samples, row by row.

    Args:
        strip: As it was read, with the context that ``pool_px`` needs.
        pool_px: Side of the square over which gate features are averaged, odd; 1: none.

    Attributes:
        rows: Of the image.
        width: Of the image.
        present: Bool, (expert,): who scored the image.
    """

    def __init__(self, strip: Strip, pool_px: int = 1) -> None:
        self.rows = slice(strip.start, strip.stop)
        self._strip, self._pool_px = strip, pool_px
        self.width: int = strip.planes.shape[3]
        self.present: Bool[np.ndarray, " expert"] = ~np.isnan(strip.planes[:, 0, 0, 0])

    @cached_property
    def planes(self) -> Planes:
        """Logits; NaN where a model did not score the image."""
        m, k = self._strip.planes.shape[:2]
        return self._strip.planes[:, :, self._strip.inside].reshape(m, k, -1)

    @cached_property
    def decisions(self) -> Decisions:
        """Each model's class; 0 where it did not score the image."""
        found = np.zeros((len(self.planes), self.planes.shape[2]), dtype=np.uint8)
        for m in np.flatnonzero(self.present):
            found[m] = largest(self.planes[m])
        return found

    @cached_property
    def agreed(self) -> PixelClasses:
        """The class that all models give, where they give the same one."""
        return self.decisions[int(np.flatnonzero(self.present)[0])]

    @cached_property
    def disputed(self) -> Int[np.ndarray, " disputed"]:
        """The pixels to which models give different classes."""
        differ = np.zeros(self.planes.shape[2], dtype=bool)
        for m in np.flatnonzero(self.present)[1:]:
            differ |= self.decisions[m] != self.agreed
        return np.flatnonzero(differ)

    @cached_property
    def disputed_experts(self) -> Experts:
        """The models' distributions over classes at the disputed pixels."""
        return self.experts_at(self.disputed)

    @cached_property
    def experts(self) -> Experts:
        """The models' distributions over classes at all pixels."""
        experts = Experts.from_logits(self.planes.transpose(2, 0, 1))
        if self._pool_px == 1:
            return experts
        whole = self._strip.planes
        m, k, rows, width = whole.shape
        around = Experts.from_logits(whole.reshape(m, k, -1).transpose(2, 0, 1))
        features = gate_features(around)[0].reshape(rows, width, -1)
        context = pooled(features, self._pool_px, self._strip.inside)
        return Experts(experts.log_prob, experts.present, context)

    def experts_at(self, index: Int[np.ndarray, " chosen"]) -> Experts:
        """The models' distributions over classes at some pixels."""
        if self._pool_px > 1:
            return self.experts.rows(index)
        return Experts.from_logits(self.planes[:, :, index].transpose(2, 0, 1))

    def at(self, index: Int[np.ndarray, " chosen"]) -> "PixelStrip":
        """Some of the pixels, side by side in one row."""
        few = PixelStrip(Strip(0, 1, 0, self.planes[:, :, None, index]), self._pool_px)
        if self._pool_px > 1:
            few.__dict__["experts"] = self.experts.rows(index)  # what lies around them stays known
        return few


def pixel_strips(
    files: LogitFiles, image_id: str, pool_px: int = 1, cells: int = CHUNK_CELLS
) -> Iterator[PixelStrip]:
    """One image in strips, from top to bottom; the next one is read while one is worked on.

    Args:
        files: The models' logits.
        image_id: An image that some model scored.
        pool_px: Side of the square in pixels, odd; 1: each pixel by itself.
        cells: Numbers of one strip, at most (but at least one row).
    """
    for strip in read_ahead(files.strips(image_id, context=pool_px // 2, cells=cells)):
        yield PixelStrip(strip, pool_px)


def read_ahead(things: Iterator[T]) -> Iterator[T]:
    """The same things; the next one is made in a thread while the one before is looked at."""
    with ThreadPoolExecutor(1) as thread:
        end = object()
        coming = thread.submit(next, things, end)
        while (one := coming.result()) is not end:
            coming = thread.submit(next, things, end)
            yield one  # type: ignore[misc]


def largest(
    scores: Float[np.ndarray, "outcome pixel"] | Float32[np.ndarray, "outcome pixel"],
) -> PixelClasses:
    """The class with the highest score, of equals the first: an argmax along memory.

    Examples:
        >>> largest(np.array([[0.0, 2.0], [1.0, 2.0], [1.0, 1.0]])).tolist()
        [1, 0]
    """
    if len(scores) == 2:
        return (scores[1] > scores[0]).view(np.uint8)
    best, found = scores[0].copy(), np.zeros(scores.shape[1], dtype=np.uint8)
    for k, own in enumerate(scores[1:], start=1):
        np.copyto(found, np.uint8(k), where=own > best)
        np.maximum(best, own, out=best)
    return found
