"""Least, mean, greatest value and spread of every feature over the tiles of a slide: enough for
standardising and for pooled references, without reading the features again.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float, Float64, Int

from pathfuse.types import Bag

BLOCK = 2**18
"""Numbers that are added up at a time: what a processor's cache holds as float64."""


class Moments(NamedTuple):
    """Of some slides, or of units of several slides, one row each."""

    n: Int[np.ndarray, "slide dim"]
    """Tiles that have the feature; (slide, 1) where all features have the same tiles."""
    low: Float[np.ndarray, "slide dim"]
    """Least value; NaN without any tile, like ``mean`` and ``high``."""
    mean: Float64[np.ndarray, "slide dim"]
    high: Float[np.ndarray, "slide dim"]
    """Greatest value."""
    square: Float64[np.ndarray, "slide dim"]
    """Sum of squared distances from the mean."""

    @property
    def sd(self) -> Float64[np.ndarray, "slide dim"]:
        """Standard deviation over tiles (divided by n); NaN without any tile."""
        there = np.broadcast_to(self.n, self.square.shape)
        sd = np.sqrt(self.square / np.maximum(there, 1))
        return np.where(there > 0, sd, np.nan)

    def rows(self, rows: Sequence[int]) -> Self:
        """Some of the rows, in the order asked for."""
        index = np.asarray(rows, dtype=np.int64)
        return type(self)(*(part[index] for part in self))

    def joined(self, groups: Sequence[Sequence[int]]) -> Self:
        """Rows put together: of each group of rows the moments over all of its tiles."""
        return self.stacked([self._one(self.rows(group)) for group in groups])

    @classmethod
    def stacked(cls, parts: Sequence[Self]) -> Self:
        """One below the other."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    @classmethod
    def _one(cls, some: Self) -> Self:
        """All rows as one, by the sums of squares within and between (Chan et al., 1979)."""
        if len(some.n) == 1:
            return some
        n = some.n.sum(axis=0, keepdims=True)
        own = np.where(some.n > 0, some.mean, 0.0)
        mean = (some.n * own).sum(axis=0, keepdims=True) / np.maximum(n, 1)
        between = (some.n * (own - mean) ** 2).sum(axis=0, keepdims=True)
        return cls(
            n,
            np.fmin.reduce(some.low, axis=0, keepdims=True),
            np.where(n > 0, mean, np.nan),
            np.fmax.reduce(some.high, axis=0, keepdims=True),
            some.square.sum(axis=0, keepdims=True) + between,
        )


class RunningMoments:
    """Moments of tiles that come in parts.

    Args:
        dim: Length of a feature vector.
    """

    def __init__(self, dim: int) -> None:
        self.n = np.zeros(dim, dtype=np.int64)
        self.low, self.high = (np.full(dim, np.nan, dtype=np.float32) for _ in range(2))
        self.total, self.square, self.shift = np.zeros(dim), np.zeros(dim), np.full(dim, np.nan)

    def add(self, bag: Bag) -> None:
        """Some more tiles; NaN where an encoder lacks a tile."""
        step = max(1, BLOCK // max(bag.shape[1], 1))
        for start in range(0, len(bag), step):
            self._add(np.asarray(bag[start : start + step], dtype=np.float32))

    def _add(self, block: Bag) -> None:
        low, n = block.min(axis=0), np.full(block.shape[1], len(block))
        apart = block.astype(np.float64)
        if np.isnan(low).any():
            there = ~np.isnan(block)
            n = there.sum(axis=0)
            first = np.take_along_axis(apart, there.argmax(axis=0)[None], axis=0)[0]
            low, high = np.fmin.reduce(block, axis=0), np.fmax.reduce(block, axis=0)
        else:
            first, high, there = apart[0].copy(), block.max(axis=0), None
        # Distances from the first tile keep the squares small.
        self.shift = np.where(np.isnan(self.shift), first, self.shift)
        apart -= np.nan_to_num(self.shift)
        if there is not None:
            apart[~there] = 0.0
        self.n += n
        self.low, self.high = np.fmin(self.low, low), np.fmax(self.high, high)
        self.total += apart.sum(axis=0)
        self.square += np.einsum("ij,ij->j", apart, apart)

    @property
    def moments(self) -> Moments:
        """Of all that was added, as one row; ``n`` is a single number where no tile was lacking."""
        there = np.maximum(self.n, 1)
        mean = self.total / there
        square = np.maximum(self.square - self.n * mean**2, 0.0)
        n = self.n if len(np.unique(self.n)) > 1 else self.n[:1]
        whole = np.where(self.n > 0, mean + np.nan_to_num(self.shift), np.nan)
        return Moments(n[None], self.low[None], whole[None], self.high[None], square[None])


def moments_of(bags: Iterable[Bag]) -> Moments:
    """Of all tiles of a slide that comes in parts, as one row."""
    parts = iter(bags)
    first = next(parts)
    running = RunningMoments(first.shape[1])
    for bag in chain([first], parts):
        running.add(bag)
    return running.moments
