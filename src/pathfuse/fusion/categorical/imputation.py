"""Stand-ins for absent experts: conditional means under a joint Gaussian, fitted by EM (Little &
Rubin 2002, ch. 11).

Only regression on all experts at once (stacking) needs them; products renormalise their weights
instead.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops, solve_flops

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
        return self._expect(table)[0]

    def _expect(self, table: Table) -> tuple[Table, Float[np.ndarray, "column column"]]:
        absent = np.isnan(table)
        filled, spread = np.where(absent, 0, table), np.zeros_like(self.covariance)
        patterns, member = np.unique(absent, axis=0, return_inverse=True)
        for p, gap in enumerate(patterns):
            rows = np.flatnonzero(member.reshape(-1) == p)
            if not gap.any():
                continue
            slope, gaps, known_columns = self._regression(gap), int(gap.sum()), int((~gap).sum())
            add_flops(
                solve_flops(known_columns, gaps) + 2 * known_columns * gaps * (len(rows) + gaps)
            )
            known = table[np.ix_(rows, ~gap)] - self.mean[~gap]
            filled[np.ix_(rows, gap)] = self.mean[gap] + np.einsum("rk,gk->rg", known, slope)
            residual = (
                self.covariance[np.ix_(gap, gap)] - slope @ self.covariance[np.ix_(~gap, gap)]
            )
            spread[np.ix_(gap, gap)] += len(rows) * residual
        return filled, spread

    def _regression(self, gap: np.ndarray) -> Float[np.ndarray, "gap known"]:
        known = self.covariance[np.ix_(~gap, ~gap)]
        ridge = RIDGE * np.diag(known) + 1e-6
        return np.asarray(
            np.linalg.solve(known + np.diag(ridge), self.covariance[np.ix_(~gap, gap)]).T
        )


def _covariance(
    table: Table, mean: Float[np.ndarray, " column"]
) -> Float[np.ndarray, "column column"]:
    centred = table - mean
    add_flops(2 * table.size * table.shape[1])
    return np.asarray(centred.T @ centred / len(table))
