"""Stand-ins for absent experts: conditional means under a joint Gaussian, fitted by EM (Little &
Rubin 2002, ch. 11).

Only regression on all experts at once (stacking) needs them; products renormalise their weights
instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt64

from pathfuse.costs import add_flops, solve_flops
from pathfuse.types import Index

Table = Float[np.ndarray, "sample column"]

RIDGE = 0.02
"""Share of each column's variance added to the diagonal: columns of one expert are collinear."""
MAX_STEPS = 15
TOLERANCE = 1e-3


@dataclass(frozen=True)
class GaussianImputer:
    """Mean and covariance of the columns."""

    mean: Float[np.ndarray, " column"]
    covariance: Float[np.ndarray, "column column"]

    @classmethod
    def fit(cls, table: Table) -> "GaussianImputer":
        """EM over the patterns of absent cells (NaN); plain moments if nothing is absent."""
        absent = np.isnan(table)
        count = np.maximum((~absent).sum(axis=0), 1)
        mean = np.where(absent, 0, table).sum(axis=0) / count
        filled = np.where(absent, mean, table)
        fitted = cls(mean, _covariance(filled, mean))
        if not absent.any():
            return fitted
        for _ in range(MAX_STEPS):
            filled, spread = fitted._expect(table)
            mean = filled.mean(axis=0)
            updated = cls(mean, _covariance(filled, mean) + spread / len(table))
            moved = np.abs(updated.covariance - fitted.covariance).max()
            fitted = updated
            if moved <= TOLERANCE * np.abs(fitted.covariance).max():
                break
        return fitted

    def fill(self, table: Table) -> Table:
        """Replaces NaN by the conditional mean given the row's other columns."""
        absent = np.isnan(table)
        filled = np.where(absent, 0, table)
        for gap, rows in patterns(absent):
            self._fill_rows(filled, rows, gap, self._regression(gap))
        return filled

    def regression(
        self, gap: Bool[np.ndarray, " column"]
    ) -> tuple[Float[np.ndarray, "gap known"], Float[np.ndarray, " gap"]]:
        """Slope and intercept of absent columns on those that are known."""
        slope = self._regression(gap)
        add_flops(solve_flops(slope.shape[1], slope.shape[0]))
        return slope, self.mean[gap] - slope @ self.mean[~gap]

    def _expect(self, table: Table) -> tuple[Table, Float[np.ndarray, "column column"]]:
        """The filled table, and the sum over rows of the conditional covariance of their gaps."""
        absent = np.isnan(table)
        filled, spread = np.where(absent, 0, table), np.zeros_like(self.covariance)
        for gap, rows in patterns(absent):
            slope = self._regression(gap)
            self._fill_rows(filled, rows, gap, slope)
            residual = (
                self.covariance[np.ix_(gap, gap)] - slope @ self.covariance[np.ix_(~gap, gap)]
            )
            add_flops(2 * slope.size * len(slope))
            spread[np.ix_(gap, gap)] += len(rows) * residual
        return filled, spread

    def _fill_rows(
        self,
        filled: Table,
        rows: Index,
        gap: Bool[np.ndarray, " column"],
        slope: Float[np.ndarray, "gap known"],
    ) -> None:
        known = filled[np.ix_(rows, ~gap)] - self.mean[~gap]
        filled[np.ix_(rows, gap)] = self.mean[gap] + np.einsum("rk,gk->rg", known, slope)
        add_flops(solve_flops(slope.shape[1], slope.shape[0]) + 2 * slope.size * len(rows))

    def _regression(self, gap: np.ndarray) -> Float[np.ndarray, "gap known"]:
        known = self.covariance[np.ix_(~gap, ~gap)]
        ridge = RIDGE * np.diag(known) + 1e-6
        return np.asarray(
            np.linalg.solve(known + np.diag(ridge), self.covariance[np.ix_(~gap, gap)]).T
        )


def patterns(
    absent: Bool[np.ndarray, "sample column"],
) -> Iterator[tuple[Bool[np.ndarray, " column"], Index]]:
    """Which columns are absent together, and the rows that lack them; not the complete rows."""
    rows = np.flatnonzero(absent.any(axis=1))
    if not len(rows):
        return
    words = _as_words(absent[rows])
    order = np.lexsort(words.T[::-1])  # stable, first columns first
    ranked = words[order]
    starts = np.flatnonzero(np.r_[True, (ranked[1:] != ranked[:-1]).any(axis=1)])
    for members in np.split(rows[order], starts[1:]):
        yield absent[members[0]], members


def _as_words(absent: Bool[np.ndarray, "sample column"]) -> UInt64[np.ndarray, "sample word"]:
    """Rows of bits as numbers of 64 bits, which are compared much faster than row by row."""
    n_samples, n_columns = absent.shape
    padded = np.zeros((n_samples, -(-n_columns // 64) * 64), dtype=bool)
    padded[:, :n_columns] = absent
    return np.packbits(padded, axis=1).view(">u8").astype(np.uint64)


def _covariance(
    table: Table, mean: Float[np.ndarray, " column"]
) -> Float[np.ndarray, "column column"]:
    centred = table - mean
    add_flops(2 * table.size * table.shape[1])
    return np.asarray(centred.T @ centred / len(table))
