"""The experts' log-probabilities, ready for pooling: the one input of every fusion method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.distributions.lanes import added, normalise, weighted
from pathfuse.distributions.likelihood import BLOCK_CELLS, floor_normalised
from pathfuse.errors import InputError
from pathfuse.types import ExpertLogProbs, Index, Logits, Present

COMPACT_ROWS = 100_000
"""Tables with more rows are fitted block by block, in the precision in which they were given."""


@dataclass(frozen=True)
class Experts:
    """What M experts predicted of n samples, and who scored what."""

    log_prob: ExpertLogProbs
    """Float64 (``from_logits`` may keep Float32), (sample, expert, outcome); 0 where absent, floored
    and normalised elsewhere."""
    present: Present
    """Bool, (sample, expert); at least one True per row."""
    context: Float[np.ndarray, "sample feature"] | None = None
    """Gate features read around each sample, such as the mean over neighbouring pixels; None: from
    the sample alone."""

    @classmethod
    def from_logits(cls, logits: Logits, *, compact: bool = False) -> "Experts":
        """Logits or log-probabilities (NaN = absent) become floored log-probabilities.

        Args:
            logits: Float, (sample, expert, outcome).
            compact: Keep what was given in single precision so, if there are more rows than
                ``COMPACT_ROWS``; ``rows`` and ``blocks`` are in double precision all the same. For
                fits: a prediction must not depend on the number of rows.

        Raises:
            InputError: A row is partly NaN or infinite, or a sample has no expert at all.
        """
        values = np.asarray(logits)
        if values.ndim != 3:
            raise InputError(
                f"logits need the shape (samples, experts, outcomes), not {values.shape}"
            )
        n, m, k = values.shape
        single = compact and n > COMPACT_ROWS and values.dtype == np.float32
        planes = np.empty((m, k, n), dtype=np.float32 if single else np.float64)
        present = np.ones((n, m), dtype=bool)
        for rows in row_blocks(n, m * k):
            lanes = np.array(values[rows].transpose(2, 1, 0), dtype=np.float64, order="C")
            if not np.isfinite(lanes.max(axis=0)).all():  # NaN and infinity show in the largest
                present[rows] = _present(lanes, rows.start)
            normalise(lanes)
            floor_normalised(lanes)
            if not present[rows].all():
                lanes[:, ~present[rows].T] = 0.0
            planes[:, :, rows] = lanes.transpose(1, 0, 2)
        return cls(planes.transpose(2, 0, 1), present)

    @cached_property
    def planes(self) -> Float[np.ndarray, "expert outcome sample"]:
        """The log-probabilities with samples side by side in memory (``distributions.lanes``)."""
        planes = self.log_prob.transpose(1, 2, 0)
        across, along, one = planes.strides
        aligned = one == planes.itemsize and across == along * planes.shape[1]
        return planes if aligned else np.ascontiguousarray(planes)

    @cached_property
    def complete(self) -> bool:
        """Whether every expert scored every sample."""
        return bool(self.present.all())

    @cached_property
    def shown(self) -> Bool[np.ndarray, "expert sample"]:
        """``present`` with samples side by side in memory."""
        return np.ascontiguousarray(self.present.T)

    @cached_property
    def prob_planes(self) -> Float[np.ndarray, "expert outcome sample"]:
        """Probabilities, 0 where absent: several methods read them."""
        prob = np.exp(self.planes)
        if not self.complete:
            prob *= self.shown[:, None]
        return prob

    @cached_property
    def even_weights(self) -> Float[np.ndarray, "expert sample"]:
        """Equal weights of the experts present, samples side by side."""
        return self.shown / added(self.shown.astype(np.float64))

    @cached_property
    def even(self) -> Float[np.ndarray, "outcome sample"]:
        """The product with equal weights."""
        pooled = weighted(self.even_weights, self.planes)
        normalise(pooled)
        return pooled

    @cached_property
    def notes(self) -> dict[Any, Any]:
        """What methods worked out for this table and all its blocks, to be read again."""
        return {}

    @cached_property
    def own_notes(self) -> dict[str, Any]:
        """What methods worked out for these very samples."""
        return {}

    def blocks(self) -> "Iterator[tuple[slice, Experts]]":
        """The table in blocks that fit the cache: rows, and the experts of these.

        What methods share of a block (probabilities, the gate's features) lasts as long as the
        block.
        """
        n, m, k = self.shape
        for rows in row_blocks(n, m * k):
            block = self if rows.stop - rows.start == n else self.rows(rows)
            block.__dict__["notes"] = self.notes
            yield rows, block

    def __getstate__(self) -> dict[str, Any]:
        """The fields, without what was worked out from them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(samples, experts, outcomes)."""
        n, m, k = self.log_prob.shape
        return n, m, k

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.log_prob)

    @property
    def n_columns(self) -> int:
        """Number of outcomes."""
        return self.log_prob.shape[2]

    @property
    def scored(self) -> Present:
        """Which experts scored which samples."""
        return self.present

    @property
    def can_hide(self) -> bool:
        """Not with features read around the samples: those know all experts."""
        return self.context is None

    def only(self, index: np.ndarray, shown: Present) -> "Experts":
        """Some of the samples, with all experts hidden that are not shown."""
        planes = np.where(shown.T[:, None], np.take(self.planes, index, axis=2), 0.0)
        return Experts(planes.transpose(2, 0, 1), shown)

    @classmethod
    def joined(cls, parts: "Sequence[Experts]") -> "Experts":
        """Samples of several tables of the same experts, one after the other."""
        planes = np.concatenate([p.planes for p in parts], axis=2)
        return cls(planes.transpose(2, 0, 1), np.concatenate([p.present for p in parts]))

    def rows(self, index: np.ndarray | slice) -> "Experts":
        """The same experts on some of the samples."""
        context = None if self.context is None else self.context[index]
        if isinstance(index, slice):
            planes = self.planes[:, :, index]
        else:  # "take" leaves samples side by side
            planes = np.take(self.planes, np.arange(self.n_samples)[index], axis=2)
        planes = planes.astype(np.float64, copy=False)
        return Experts(planes.transpose(2, 0, 1), self.present[index], context)


def row_blocks(n_rows: int, cells: int) -> Iterator[slice]:
    """Rows in blocks of so many numbers each that a block fits the cache.

    Args:
        n_rows: Number of rows.
        cells: Numbers of one row.
    """
    step = max(16, BLOCK_CELLS // max(cells, 1))
    for start in range(0, max(n_rows, 1), step):
        yield slice(start, min(start + step, n_rows))


def spread_rows(n_rows: int, at_most: int) -> Index:
    """Rows evenly spread over a table, about so many."""
    return np.arange(0, n_rows, max(1, round(n_rows / at_most)))


def _present(lanes: Float[np.ndarray, "outcome expert sample"], first: int) -> Present:
    """Who scored which sample of a block.

    Raises:
        InputError: A row is partly NaN or infinite, or a sample has no expert at all; samples count
            from ``first``.
    """
    absent = np.isnan(lanes)
    present = ~absent.all(axis=0).T
    broken = (absent.any(axis=0).T & present) | np.isposinf(lanes).any(axis=0).T
    if broken.any():
        n, m = np.argwhere(broken)[0]
        raise InputError(f"logits of sample {first + n}, expert {m} are partly NaN or infinite")
    if not present.any(axis=1).all():
        n = int(np.flatnonzero(~present.any(axis=1))[0])
        raise InputError(f"sample {first + n} was scored by no expert")
    return present
